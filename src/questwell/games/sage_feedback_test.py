"""What follows a failing question: nothing, a new one, or a repair, and what the repair is shown."""

from dataclasses import replace

import pytest

from questwell.games.conftest import (
    BRIDGE,
    ENGINEER,
    HARDER,
    PROPOSAL,
    QUESTION,
    SEED,
    SILENT,
    VILLAGE,
    Table,
    outcomes,
    pair,
    right,
    wrong,
)
from questwell.games.rules import Variant
from questwell.games.verdict import PassRateBand
from questwell.types.game import Accepted, AnswerType, FeedbackKind, Outcome, Reason, Rejected
from questwell.types.trajectory import Role


@pytest.mark.parametrize(("attempts", "reason"), [([right(1)], Reason.TOO_EASY), ([wrong(1)] * 4, Reason.UNSOLVED)])
async def test_initial_has_one_round(attempts, reason) -> None:
    played = await Table().proposes(0, *PROPOSAL).solves(0, *attempts).play(variant=Variant.INITIAL)
    assert isinstance(played, Rejected)
    assert (played.reason, len(played.rounds)) == (reason, 1)


async def test_resample_starts_anew_without_a_trace() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, right(1))
    table.proposes(1, *PROPOSAL).solves(1, *[wrong(1)] * 4)
    table.proposes(2, "<search>Elsa Marwood", pair(HARDER)).solves(2, *[right(2)] * 4)
    played = await table.play(variant=Variant.RESAMPLE)
    assert isinstance(played, Accepted)
    assert outcomes(played) == [Outcome.TOO_EASY, Outcome.UNSOLVED, Outcome.PASS]
    assert [round_.feedback for round_ in played.rounds] == [None] * 3
    openings = [table.requests(index, Role.PROPOSER)[0] for index in range(3)]
    assert openings[0].messages == openings[1].messages == openings[2].messages  # same seed passage, same S
    assert len({request.seed for request in openings}) == 3  # but another draw
    assert "needs exactly 2 search steps" in openings[2].messages[0].content


async def test_resample_that_proposes_nothing() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, right(1)).proposes(1, *["Hm."] * 3)
    played = await table.play(variant=Variant.RESAMPLE)
    assert isinstance(played, Rejected)
    assert (played.reason, len(played.rounds)) == (Reason.NO_MOVES, 1)


async def test_difficulty_feedback_shows_the_right_attempt_with_the_fewest_searches() -> None:
    attempts = [
        ["<search>Quillan one", "<think>solver zero</think><answer>1881"],
        ["<think>solver one</think><answer>1700"],
        ["<think>solver two</think><answer>1881"],
        ["<search>Quillan three", "<search>Quillan", "<think>solver three</think><answer>1881"],
    ]
    table = Table().proposes(0, "<search>Elsa Marwood", pair(thought="the plan")).solves(0, *attempts)
    table.proposes(1, pair(HARDER)).solves(1, *[right(2)] * 4)
    played = await table.play(early_stop=False)
    assert isinstance(played, Accepted)
    assert played.rounds[1].feedback is not None and played.rounds[1].feedback.attempt == 2
    prompt = table.prompt(1, Role.PROPOSER)
    assert "Verdict: Too easy: 3 of 4 attempts gave your answer, the quickest with 0 searches; at least 2" in prompt
    assert '- attempt 2: "1700" (wrong), 0 searches' in prompt
    assert "solver two" in prompt
    assert not any(f"solver {other}" in prompt for other in ("zero", "one", "three"))
    assert "the plan" in prompt and "Elsa Marwood" in prompt  # the proposer's own trace
    assert QUESTION in prompt and "1881" in prompt
    # every passage that any agent of the play has seen, and none else, under the numbers that the traces use
    for line in (f"[1] {BRIDGE.title}", f"[2] {ENGINEER.title}", f"[3] {VILLAGE.title}", "found: [2]"):
        assert line in prompt
    assert "\n[4]" not in prompt


async def test_the_first_of_equally_easy_attempts_is_shown() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, wrong(0), right(1), right(1), wrong(0))
    table.proposes(1, pair()).solves(1, *[right(2)] * 4)
    played = await table.play(early_stop=False)
    assert played.rounds[1].feedback is not None and played.rounds[1].feedback.attempt == 1


async def test_correctness_feedback_shows_a_wrong_attempt_that_has_an_answer() -> None:
    answered = ["<search>Quillan", "<think>solver two</think><answer>1912"]
    table = Table().proposes(0, *PROPOSAL).solves(0, SILENT, SILENT, answered, SILENT)
    table.proposes(1, pair()).solves(1, *[right(2)] * 4)
    played = await table.play()
    assert played.rounds[1].feedback is not None and played.rounds[1].feedback.attempt == 2
    prompt = table.prompt(1, Role.PROPOSER)
    assert "Verdict: None of 4 attempts gave your answer." in prompt
    assert "which answered 1912" in prompt and "solver two" in prompt
    assert prompt.count(": no answer,") == 3
    assert "I do not know" not in prompt
    assert f"[3] {VILLAGE.title}" in prompt


async def test_correctness_feedback_when_no_attempt_gave_an_answer() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, *[SILENT] * 4)
    table.proposes(1, pair()).solves(1, *[right(2)] * 4)
    played = await table.play()
    assert played.rounds[1].feedback is not None and played.rounds[1].feedback.attempt == 0
    prompt = table.prompt(1, Role.PROPOSER)
    assert "which answered (none)" in prompt
    assert "I do not know" in prompt  # what was tried is shown all the same


async def test_a_question_solved_too_rarely_shows_a_wrong_attempt() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, right(2), wrong(2, "1912"), SILENT, SILENT)
    table.proposes(1, pair()).solves(1, *[right(2)] * 4)
    played = await table.play(acceptance=PassRateBand(0.5, 1.0))
    assert outcomes(played) == [Outcome.TOO_HARD, Outcome.PASS]
    feedback = played.rounds[1].feedback
    assert feedback is not None and (feedback.kind, feedback.attempt) == (FeedbackKind.CORRECTNESS, 1)
    assert "which answered 1912" in table.prompt(1, Role.PROPOSER)
    assert "Verdict: Too hard: only 1 of 4 attempts gave your answer." in table.prompt(1, Role.PROPOSER)


async def test_a_repair_that_changes_nothing_is_not_attempted() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, right(1))
    same = pair(f"  {QUESTION.upper()} ", "“1881”.")
    table.proposes(1, same)
    played = await table.play()
    assert isinstance(played, Rejected)
    assert (played.reason, len(played.rounds)) == (Reason.UNCHANGED_REPAIR, 1)
    assert "too_easy before" in played.detail
    other = Table().proposes(0, *PROPOSAL).solves(0, right(1)).proposes(1, "<search>Elsa Marwood", same)
    other.solves(1, *[right(2)] * 4)
    assert isinstance(await other.play(variant=Variant.RESAMPLE), Accepted)


async def test_under_a_band_the_verdict_is_told_as_it_was() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, *[right(3)] * 4).proposes(1, pair(HARDER)).solves(1, right(3))
    table.solves(1, right(3), *[wrong(3)] * 3)
    await table.play(acceptance=PassRateBand(0.25, 0.75))
    prompt = table.prompt(1, Role.PROPOSER)
    assert "Verdict: Too easy: 4 of 4 attempts gave your answer. Solvers must miss it more often" in prompt
    assert "at least 2 are wanted" not in prompt


async def test_a_repair_is_offered_no_search_and_no_more_passages_than_it_can_read() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, right(1)).proposes(1, pair(HARDER)).solves(1, *[right(2)] * 4)
    await table.play()
    system = table.requests(1, Role.PROPOSER)[0].messages[0].content
    assert "<search>" not in system and "<question>" in system


async def test_a_repair_does_not_search() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, right(1))
    table.proposes(1, "<search>Harrow Bridge", pair(HARDER)).solves(1, *[right(2)] * 4)
    played = await table.play()
    assert isinstance(played, Accepted)
    assert "Harrow Bridge" not in table.books.queries
    assert played.rounds[1].proposal.trajectory.searches == 0
    assert "used all your searches" in table.requests(1, Role.PROPOSER)[1].messages[-1].content


async def test_a_repair_may_use_what_only_a_solver_found() -> None:
    """Facts may come from passages that either agent has retrieved, in any round before."""
    table = Table().proposes(0, "<search>nothing", pair(BRIDGE_QUESTION, "Elsa Marwood", cited=1))
    table.solves(0, ["<search>Elsa Marwood", "<answer>Elsa Marwood"])
    table.proposes(1, pair(cited=2)).solves(1, right(0))
    table.proposes(2, pair(HARDER, cited=2)).solves(2, *[right(2)] * 4)
    played = await table.play(replace(SEED, other_types=(AnswerType.ENTITY,)))
    assert isinstance(played, Accepted)
    assert [round_.proposal.evidence for round_ in played.rounds] == [(BRIDGE,), (ENGINEER,), (ENGINEER,)]


BRIDGE_QUESTION = "Which engineer designed the crossing?"


async def test_later_rounds_carry_the_earlier_ones_in_short() -> None:
    table = Table().proposes(0, "<search>Elsa Marwood", pair(thought="first thought")).solves(0, right(1))
    table.proposes(1, pair(HARDER, thought="second thought")).solves(1, right(0))
    table.proposes(2, pair()).solves(2, *[right(2)] * 4)
    await table.play()
    prompt = table.prompt(2, Role.PROPOSER)
    assert f"- round 0: {QUESTION} -> 1881 (too_easy, searches needed: 1)" in prompt
    assert "second thought" in prompt
    assert "first thought" not in prompt  # bounded: the traces of earlier rounds are dropped first
    assert "- round 1" not in prompt
    assert "(none)" in table.prompt(1, Role.PROPOSER)
