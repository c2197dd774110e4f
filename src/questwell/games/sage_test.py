"""Every way that a play can go, by real agents whose models follow a script."""

import asyncio
from dataclasses import replace

import pytest

from questwell.errors import BudgetReached, LLMFiltered, LLMUnavailable, StoreError
from questwell.games.conftest import (
    ENGINEER,
    HARDER,
    PROPOSAL,
    QUESTION,
    SEED,
    SILENT,
    Table,
    outcomes,
    pair,
    right,
    wrong,
)
from questwell.games.rules import Variant
from questwell.games.verdict import PassRateBand, StepTarget, Tally
from questwell.llm.scripted import Answer
from questwell.types.game import Accepted, FeedbackKind, Label, Outcome, Place, Reason, Rejected
from questwell.types.trajectory import Role, StopReason

# --- how a play can go


async def test_pass_at_once() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, right(2), wrong(1), right(3), SILENT)
    played = await table.play()
    assert isinstance(played, Accepted)
    (only,) = played.rounds
    assert (only.proposal.question, only.proposal.answer) == (QUESTION, "1881")
    assert only.proposal.evidence == (ENGINEER,)
    assert [attempt.judgement.label for attempt in only.attempts] == ["right", "wrong", "right", "wrong"]
    verdict = only.verdict
    assert (verdict.outcome, verdict.right, verdict.scored, verdict.difficulty) == (Outcome.PASS, 2, 4, 2)
    assert only.feedback is None


async def test_too_easy_then_mended() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, wrong(1), right(1))
    table.proposes(1, pair(HARDER, thought="one passage settles both"))
    table.solves(1, *[right(2)] * 4)
    played = await table.play()
    assert isinstance(played, Accepted)
    assert outcomes(played) == [Outcome.TOO_EASY, Outcome.PASS]
    assert played.rounds[0].verdict.skipped == 2
    feedback = played.rounds[1].feedback
    assert feedback is not None
    assert (feedback.kind, feedback.attempt) == (FeedbackKind.DIFFICULTY, 1)
    assert feedback.explanation == "<think>one passage settles both</think>"
    assert feedback.change == f"{QUESTION} -> {HARDER}"
    assert played.rounds[1].proposal.question == HARDER


async def test_nobody_right_then_mended() -> None:
    table = Table().proposes(0, "<search>Elsa Marwood", pair(answer="1881")).solves(0, *[wrong(3, "1882")] * 4)
    table.proposes(1, pair()).solves(1, *[right(2)] * 4)
    played = await table.play()
    assert isinstance(played, Accepted)
    assert outcomes(played) == [Outcome.UNSOLVED, Outcome.PASS]
    feedback = played.rounds[1].feedback
    assert feedback is not None and feedback.kind is FeedbackKind.CORRECTNESS


@pytest.mark.parametrize(
    ("attempts", "reason", "acceptance"),
    [
        ([right(1)], Reason.TOO_EASY, StepTarget()),
        ([wrong(4), wrong(0), SILENT, wrong(1)], Reason.UNSOLVED, StepTarget()),
        ([wrong(2), right(2), wrong(2), wrong(2)], Reason.TOO_HARD, PassRateBand(0.5, 1.0)),
        ([right(4), right(4)], Reason.TOO_EASY, PassRateBand(0.0, 0.25)),
    ],
)
async def test_rounds_used_up_keep_the_last_reason(attempts, reason, acceptance) -> None:
    table = Table().proposes(0, *PROPOSAL).proposes(1, pair()).proposes(2, pair())
    for index in range(3):
        table.solves(index, *attempts)
    played = await table.play(rounds=2, acceptance=acceptance)
    assert isinstance(played, Rejected)
    assert (played.reason, len(played.rounds), played.trajectory) == (reason, 3, None)


async def test_rounds_may_fail_in_different_ways() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, right(0))
    table.proposes(1, pair()).solves(1, *[wrong(2)] * 4)
    table.proposes(2, pair()).solves(2, *[right(5)] * 4)
    played = await table.play()
    assert outcomes(played) == [Outcome.TOO_EASY, Outcome.UNSOLVED, Outcome.PASS]
    kinds = [round_.feedback.kind for round_ in played.rounds if round_.feedback]
    assert kinds == [FeedbackKind.DIFFICULTY, FeedbackKind.CORRECTNESS]


async def test_nothing_that_can_be_read() -> None:
    table = Table(proposer_turns=2).proposes(0, "Well.", "<question>Half a pair?</question>", "Still nothing.")
    played = await table.play()
    assert isinstance(played, Rejected)
    assert (played.reason, played.rounds) == (Reason.NO_MOVES, ())
    assert played.trajectory is not None and len(played.trajectory.turns) == 3
    searching = Table(proposer_turns=2).proposes(0, "Well.", "<search>Elsa Marwood", "Still nothing.")
    played = await searching.play()
    assert isinstance(played, Rejected) and played.reason is Reason.NO_PROPOSAL


async def test_a_proposer_that_will_not_play_costs_three_calls() -> None:
    table = Table(proposer_turns=20).proposes(0, "Well.", "I would rather not.", "No.")
    played = await table.play()
    assert isinstance(played, Rejected) and played.reason is Reason.NO_MOVES
    # a move in between starts the count again
    table = Table(proposer_turns=20).proposes(0, "Hm.", "Hm.", "<search>Elsa Marwood", "Hm.", "Hm.", "Hm.")
    played = await table.play()
    assert isinstance(played, Rejected) and played.reason is Reason.NO_MOVES


async def test_a_filtered_passage_is_a_final_reason() -> None:
    played = await Table().proposes(0, LLMFiltered("content policy")).play()
    assert isinstance(played, Rejected) and played.reason is Reason.FILTERED
    table = Table().proposes(0, *PROPOSAL).solves(0, [LLMFiltered("content policy")], *[right(4)] * 3)
    played = await table.play()
    assert isinstance(played, Rejected) and played.reason is Reason.UNSCORED


async def test_a_repair_that_cannot_be_read_keeps_the_rounds_before() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, right(1)).proposes(1, "Hm.", "Hm.")
    played = await table.play()
    assert isinstance(played, Rejected)
    assert (played.reason, outcomes(played)) == (Reason.NO_REPAIR, [Outcome.TOO_EASY])
    assert played.detail.startswith("too_easy before; ")
    assert played.trajectory is not None and played.trajectory.turns[0].text == "Hm."


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (pair("Why was the designer born in 1881?"), "How or Why"),
        (pair("Who was born in the year 1881 in Quillan?"), "its own answer"),
        (pair(answer="Elsa Marwood"), "not a date"),
        (pair(answer="1882"), "does not stand"),
        (pair(cited=9), "No step names"),
        (pair(cited=1), "does not stand"),  # the seed passage does not say it
    ],
)
async def test_bad_form(bad: str, says: str) -> None:
    """The proposer is told, and may write another pair as long as it has turns."""
    table = Table().proposes(0, "<search>Elsa Marwood", bad, bad, bad)
    played = await table.play()
    assert isinstance(played, Rejected)
    assert played.reason is Reason.BAD_FORM
    assert says in played.detail
    assert played.trajectory is not None and says in played.trajectory.turns[-1].observation
    assert says in table.requests(0, Role.PROPOSER)[2].messages[-1].content

    mended = Table().proposes(0, "<search>Elsa Marwood", bad, pair()).solves(0, *[right(2)] * 4)
    assert isinstance(await mended.play(), Accepted)


async def test_bad_form_in_a_repair() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, right(1)).proposes(1, pair(answer="1882"), pair(answer="1883"))
    played = await table.play()
    assert isinstance(played, Rejected)
    assert (played.reason, outcomes(played)) == (Reason.BAD_FORM, [Outcome.TOO_EASY])


async def test_a_pair_of_bad_form_that_is_left_behind_is_no_proposal() -> None:
    played = await Table().proposes(0, pair(cited=9), "Hm.", "Hm.", "Hm.").play()
    assert isinstance(played, Rejected) and played.reason is Reason.NO_MOVES


async def test_the_proposer_is_forced_to_a_last_thought() -> None:
    table = Table(proposer_turns=2).proposes(0, "<search>Elsa Marwood", "<search>Quillan", pair())
    table.solves(0, *[right(2)] * 4)
    assert isinstance(await table.play(), Accepted)
    requests = table.requests(0, Role.PROPOSER)
    assert "budget is used up" in requests[2].messages[-1].content
    assert not any("budget is used up" in message.content for message in requests[1].messages)
    assert table.books.queries[:2] == ["Elsa Marwood", "Quillan"]

    more = Table(proposer_turns=2).proposes(0, "<search>Elsa Marwood", "<search>Quillan", "<search>Harrow Bridge")
    assert isinstance(await more.play(), Rejected)
    assert more.books.queries == ["Elsa Marwood", "Quillan"]  # the forced thought cannot search


async def test_a_solver_is_not_forced_to_answer() -> None:
    searching = [f"<search>Quillan {number}" for number in range(6)]
    table = Table().proposes(0, *PROPOSAL).solves(0, *[searching] * 4)
    played = await table.play(rounds=0)
    attempts = played.rounds[0].attempts
    assert [attempt.trajectory.stop for attempt in attempts] == [StopReason.TURNS] * 4
    assert [attempt.judgement.method for attempt in attempts] == ["no_answer"] * 4
    assert outcomes(played) == [Outcome.UNSOLVED]


# --- the judge


async def test_an_answer_in_other_words_goes_to_the_judge_of_its_attempt() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, wrong(2, "the year 1881"), wrong(2, "1881 or so"))
    table.judges(0, 0, "verdict: yes").judges(0, 1, "verdict: no")
    played = await table.play(variant=Variant.INITIAL, attempts=2)
    assert isinstance(played, Accepted)
    assert [attempt.judgement.method for attempt in played.rounds[0].attempts] == ["llm", "llm"]
    assert table.prompt(0, Role.JUDGE, 1) == f"{QUESTION}|1881|1881 or so"
    assert (played.rounds[0].verdict.right, played.rounds[0].verdict.scored) == (1, 2)


@pytest.mark.parametrize("variant", list(Variant))
@pytest.mark.parametrize(
    ("judge", "reason"),
    [(["yes and no", "Incorrect"], Reason.UNSCORED), ([LLMUnavailable("judge is gone")], Reason.ERRORED)],
)
async def test_a_judgement_that_fails_ends_the_play(variant, judge, reason) -> None:
    """Whatever the variant: no repair may hang on a verdict that is none."""
    table = Table().proposes(0, *PROPOSAL).solves(0, right(2), wrong(1, "about 1881"))
    table.judges(0, 1, *judge)
    if reason is Reason.UNSCORED:  # a later attempt might show that it is too easy
        table.solves(0, right(2), wrong(1, "about 1881"), right(3), wrong(2))
    played = await table.play(variant=variant)
    assert isinstance(played, Rejected)
    assert played.reason is reason
    assert str(judge[-1]) in played.detail


async def test_the_papers_rule_for_an_unreadable_judgement() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, right(2), wrong(1, "about 1881")).judges(0, 1, "hm", "hm")
    played = await table.play(attempts=2, unscored_is_wrong=True)
    assert isinstance(played, Accepted)
    assert [attempt.judgement.label for attempt in played.rounds[0].attempts] == [Label.RIGHT, Label.UNSCORED]
    assert played.rounds[0].verdict.scored == 2


# --- failures


@pytest.mark.parametrize("early_stop", [True, False])
async def test_an_errored_attempt_is_never_outvoted(early_stop: bool) -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, ["<search>broken"], *([right(4)] * 3 if not early_stop else []))
    played = await table.play(early_stop=early_stop)
    assert isinstance(played, Rejected) and played.reason is Reason.ERRORED
    assert "the shelf fell over" in played.detail
    assert played.rounds[0].attempts[0].judgement.method == "rollout"


@pytest.mark.parametrize("answers", [[LLMUnavailable("gone")], ["<search>broken"]])
async def test_an_errored_proposer_ends_the_play(answers: list[Answer]) -> None:
    played = await Table().proposes(0, *answers).play()
    assert isinstance(played, Rejected)
    assert (played.reason, played.rounds) == (Reason.ERRORED, ())
    assert "gone" in played.detail or "fell over" in played.detail

    table = Table().proposes(0, *PROPOSAL).solves(0, right(1)).proposes(1, LLMUnavailable("gone"))
    played = await table.play()
    assert isinstance(played, Rejected)
    assert (played.reason, len(played.rounds)) == (Reason.ERRORED, 1)


@pytest.mark.parametrize("halt", [BudgetReached("max_cost"), StoreError("disk full")])
@pytest.mark.parametrize("early_stop", [True, False])
@pytest.mark.parametrize("where", [Role.PROPOSER, Role.SOLVER, Role.JUDGE])
async def test_what_ends_the_run_passes_through(halt: Exception, early_stop: bool, where: Role) -> None:
    table = Table().proposes(0, *([halt] if where is Role.PROPOSER else PROPOSAL))
    solver = [halt] if where is Role.SOLVER else wrong(2, "about 1881")
    table.solves(0, *[solver] * 4)
    for number in range(4):
        table.judges(0, number, halt)
    with pytest.raises(type(halt), match=str(halt)):
        await table.play(early_stop=early_stop)


async def test_without_early_stop_all_other_attempts_end_before_the_run_does() -> None:
    """What they have in flight is paid for, so it must be recorded first."""

    async def dawdle(place: Place) -> None:
        for _ in range(50 * place.attempt):
            await asyncio.sleep(0)

    table = Table().proposes(0, *PROPOSAL).solves(0, [BudgetReached("money")], right(3), right(1), right(2))
    table.gate = dawdle
    with pytest.raises(BudgetReached):
        await table.play(early_stop=False)
    asked = table.asked()
    assert [asked[0, Role.SOLVER, number] for number in range(4)] == [1, 4, 2, 3]


# --- acceptance


async def test_unspecified_target_takes_any_solved_question() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, *[right(0)] * 4)
    played = await table.play(replace(SEED, target=None))
    assert isinstance(played, Accepted)
    prompt = table.prompt(0, Role.PROPOSER)
    assert "needs multiple search steps" in prompt
    assert "None" not in prompt
    unsolved = Table().proposes(0, *PROPOSAL).solves(0, *[wrong(0)] * 4).proposes(1, pair()).solves(1, *[right(1)] * 4)
    assert isinstance(await unsolved.play(replace(SEED, target=None)), Accepted)
    assert "Needed: multiple search steps" in unsolved.prompt(1, Role.PROPOSER)


@pytest.mark.parametrize(
    ("last", "minimum", "taken"),
    [
        ([right(1)] * 4, 0, True),
        ([right(1)] * 4, 1, True),
        ([right(1)], 2, False),  # decided at once
        ([right(1), wrong(3), right(0)], 1, False),  # easier than the first right attempt showed
        ([wrong(3)] * 4, 0, False),
        ([["<search>broken"]], 0, False),
        ([right(1), ["<search>broken"]], 0, False),  # nothing is accepted next to a failure
    ],
)
async def test_the_papers_assembly_takes_what_is_solved_in_the_last_round(last, minimum: int, taken: bool) -> None:
    """And only there: the same result in the first round is mended."""
    table = Table().proposes(0, *PROPOSAL).solves(0, right(1)).proposes(1, pair()).solves(1, *last)
    played = await table.play(rounds=1, last_round_takes_correct=True, minimum_difficulty=minimum)
    assert isinstance(played, Accepted) is taken
    assert len(played.rounds) == 2


@pytest.mark.parametrize(
    ("solved", "outcome"),
    [(0, Outcome.UNSOLVED), (1, Outcome.TOO_HARD), (2, Outcome.PASS), (3, Outcome.PASS), (4, Outcome.TOO_EASY)],
)
async def test_pass_rate_band(solved: int, outcome: Outcome) -> None:
    """Searches do not count under this policy."""
    attempts = [right(0)] * solved + [wrong(4)] * (4 - solved)
    table = Table().proposes(0, *PROPOSAL).solves(0, *attempts)
    played = await table.play(variant=Variant.INITIAL, acceptance=PassRateBand(0.5, 0.75))
    assert outcomes(played) == [outcome]
    assert isinstance(played, Accepted) is (outcome is Outcome.PASS)


@pytest.mark.parametrize(("rate", "planned"), [(0.29, 100), (0.07, 100), (0.58, 50), (0.2, 5), (0.3, 10)])
def test_the_ends_of_a_band_are_in_it(rate: float, planned: int) -> None:
    exactly = round(rate * planned)
    band = PassRateBand(rate, rate)
    low, within, high = (Tally(exactly + more, planned, planned, 1, None) for more in (-1, 0, 1))
    assert (band.too_easy(within), band.too_hard(within)) == (False, False)
    assert (band.too_easy(high), band.too_hard(low)) == (True, True)


async def test_a_minimum_holds_beside_the_target() -> None:
    table = Table().proposes(0, *PROPOSAL).solves(0, right(2))
    played = await table.play(variant=Variant.INITIAL, acceptance=StepTarget(minimum=3))
    assert isinstance(played, Rejected) and played.reason is Reason.TOO_EASY
