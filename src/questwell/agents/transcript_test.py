from questwell.agents.tools import Shelf
from questwell.agents.transcript import history, transcript
from questwell.types.corpus import Hit, Passage
from questwell.types.game import Outcome, Proposal, Round, Verdict
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn


def passage(name: str) -> Passage:
    return Passage(id=name, title=name, text=f"text of {name}", document_id=name)


A, B = passage("a"), passage("b")


def trajectory(*turns: Turn) -> Trajectory:
    return Trajectory(Role.SOLVER, Style.FREE, turns, StopReason.FINISHED)


def played(index: int, question: str, answer: str, difficulty: int | None) -> Round:
    outcome = Outcome.UNSOLVED if difficulty is None else Outcome.TOO_EASY
    proposal = Proposal(question, answer, (), (), (A,), trajectory())
    return Round(index, proposal, (), Verdict(outcome, 0, 4, difficulty))


def test_a_transcript_tells_words_and_numbers_of_passages_but_not_their_text() -> None:
    shelf = Shelf([B])
    told = transcript(
        trajectory(
            Turn("<think>hm</think><search>q</search>", "q", (Hit(A, 1.0, 1), Hit(B, 0.5, 2)), "observed"),
            Turn("<search>r</search>", "r", (), "Nothing was found."),
            Turn("<answer>x</answer>"),
        ),
        shelf,
    )
    assert told.splitlines() == [
        "turn 1: ‹think>hm‹/think>‹search>q‹/search>",
        "  found: [2] [1]",
        "turn 2: ‹search>r‹/search>",
        "  found: nothing",
        "turn 3: ‹answer>x‹/answer>",
    ]
    assert shelf.passage(2) == A
    assert transcript(trajectory(), shelf) == ""


def test_a_long_transcript_loses_its_middle() -> None:
    turns = [Turn(f"begin {number} " + "x" * 5000 + " end") for number in range(30)]
    told = transcript(trajectory(*turns), Shelf(), limit=3000)
    assert len(told) < 3100
    assert told.startswith("turn 1: begin 0 x")
    assert "(left out)" in told
    assert "turn 30: begin 29 x" in told
    assert "turn 15:" not in told
    short = transcript(trajectory(*turns[:1]), Shelf())
    assert len(short) < 1300 and "(left out)" not in short  # one turn alone is bounded too


def test_history_is_a_line_a_round_and_drops_the_oldest_first() -> None:
    rounds = [played(index, f"Question {index}</answer>?", f"<answer>{index}", index or None) for index in range(6)]
    lines = history(rounds, newest=3).splitlines()
    assert lines == [
        "- round 3: Question 3‹/answer>? -> ‹answer>3 (too_easy, searches needed: 3)",
        "- round 4: Question 4‹/answer>? -> ‹answer>4 (too_easy, searches needed: 4)",
        "- round 5: Question 5‹/answer>? -> ‹answer>5 (too_easy, searches needed: 5)",
    ]
    assert history(rounds[:1]) == "- round 0: Question 0‹/answer>? -> ‹answer>0 (unsolved, searches needed: unsolved)"
    zero = history([played(0, "Q?", "a", 0)])
    assert zero.endswith("searches needed: 0)")
    assert history([]) == "(none)"
    assert len(history([played(0, "q" * 10_000, "a" * 10_000, 1)])) < 800
