import pytest

from questwell.games.feedback import execution_feedback
from questwell.games.verdict import Acceptance, Criteria, PassRateBand, StepTarget, decide
from questwell.types.corpus import Passage
from questwell.types.game import Attempt, FeedbackKind, Judgement, Label, Outcome, Proposal, Round
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn

P = Passage(id="p", title="T", text="fact", document_id="p")
R, W, U = Label.RIGHT, Label.WRONG, Label.UNSCORED


def played(*results: tuple[Label, int, str | None], acceptance: Acceptance | None = None, target: int = 3) -> Round:
    """A round of attempts, each with its label, searches and answer."""
    attempts = tuple(
        Attempt(
            index,
            Trajectory(
                Role.SOLVER,
                Style.FREE,
                (*[Turn("", query="q")] * searches, Turn("no query")),
                StopReason.FINISHED,
                answer,
            ),
            Judgement(label, "llm"),
        )
        for index, (label, searches, answer) in enumerate(results)
    )
    verdict = decide(attempts, Criteria(len(attempts), target, acceptance or StepTarget(), unscored_is_wrong=True))
    proposer = Trajectory(Role.PROPOSER, Style.FREE, (), StopReason.FINISHED)
    return Round(0, Proposal("Q?", "a", (), (), (P,), proposer), attempts, verdict)


def shown(last: Round, random_seed: int = 0) -> int | None:
    found = execution_feedback(last, random_seed).shown
    return None if found is None else found.index


def test_too_easy_shows_the_easiest_right_attempt() -> None:
    last = played((W, 0, "b"), (R, 2, "a"), (R, 1, "a"), (R, 1, "a"), (W, 0, None))
    assert last.verdict.outcome is Outcome.TOO_EASY
    assert execution_feedback(last, 0).kind is FeedbackKind.DIFFICULTY
    assert {shown(last, seed) for seed in range(20)} == {2}  # the first of two, and not by chance


def test_unsolved_shows_each_answer_by_chance_and_the_same_for_the_same_random_seed() -> None:
    last = played((W, 0, "b"), (W, 2, None), (W, 5, "c"), (W, 1, ""), (U, 1, "d"))
    assert last.verdict.outcome is Outcome.UNSOLVED
    assert execution_feedback(last, 0).kind is FeedbackKind.CORRECTNESS
    assert {shown(last, seed) for seed in range(50)} == {0, 2, 4}
    assert [shown(last, seed) for seed in range(50)] == [shown(last, seed) for seed in range(50)]


def test_unsolved_without_an_answer_shows_the_attempt_that_searched_most() -> None:
    last = played((W, 0, None), (W, 2, ""))
    assert execution_feedback(last, 0).kind is FeedbackKind.CORRECTNESS
    assert shown(last) == 1


@pytest.mark.parametrize(
    ("high", "outcome", "kind", "expected"),
    [
        (0.25, Outcome.TOO_EASY, FeedbackKind.DIFFICULTY, {0}),
        (1.0, Outcome.TOO_HARD, FeedbackKind.CORRECTNESS, {2}),
    ],
)
def test_outside_a_band(high: float, outcome: Outcome, kind: FeedbackKind, expected: set[int]) -> None:
    low = 0.0 if outcome is Outcome.TOO_EASY else 0.75
    last = played((R, 4, "a"), (R, 5, "a"), (W, 1, "b"), (W, 1, None), acceptance=PassRateBand(low, high))
    assert last.verdict.outcome is outcome
    assert execution_feedback(last, 0).kind is kind
    assert {shown(last, seed) for seed in range(20)} == expected
