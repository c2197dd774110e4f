"""Every way that hardening can go, by real agents whose models follow a script."""

from dataclasses import replace

import pytest

from questwell.errors import LLMFiltered, LLMUnavailable
from questwell.games.conftest import ENGINEER, HARDER, QUESTION, SEED, SILENT, Table, outcomes, pair, right, wrong
from questwell.games.verdict import PassRateBand
from questwell.types.corpus import Passage
from questwell.types.game import Accepted, FeedbackKind, Outcome, Proposal, Reason, Rejected
from questwell.types.gates import Gate, GateOutcome
from questwell.types.trajectory import Role, StopReason, Style, Trajectory

BARE = Proposal(QUESTION, "1881", ("1,881",), (), (), Trajectory(Role.PROPOSER, Style.FREE, (), StopReason.FINISHED))
GIVEN = replace(BARE, evidence=(ENGINEER,))
START = replace(SEED, passage=Passage("row-1", "", "", "row-1"))
FINDS = "<search>Elsa Marwood"
"""A query that finds the passage with the answer, and gives it the next number."""
REPLY = '{"answer": "1881"}'


def looked_up(searches: int) -> list[str]:
    """A right attempt that finds the passage with the answer."""
    return [FINDS, *right(searches)[1:]] if searches else right(0)


def rewritten(question: str = HARDER, answer: str = "1881", cited: int = 1) -> tuple[str, str]:
    return FINDS, pair(question, answer, cited)


async def test_what_is_hard_already_is_kept_as_it_is() -> None:
    table = Table().solves(0, right(2), wrong(1), right(3), SILENT)
    played = await table.harden(GIVEN, START)
    assert isinstance(played, Accepted)
    (only,) = played.rounds
    assert (only.proposal, only.gates, only.verdict.difficulty) == (GIVEN, (), 2)


async def test_too_easy_is_rewritten_and_its_evidence_must_still_give_the_answer() -> None:
    table = Table().solves(0, wrong(1), right(1)).proposes(1, *rewritten()).solves(1, *[right(2)] * 4)
    played = await table.reads(1, Gate.EVIDENCE, REPLY).harden(GIVEN, START)
    assert isinstance(played, Accepted)
    assert outcomes(played) == [Outcome.TOO_EASY, Outcome.PASS]
    last = played.rounds[-1]
    assert (last.proposal.question, last.proposal.answer, last.proposal.aliases) == (HARDER, "1881", ("1,881",))
    assert last.proposal.evidence == (ENGINEER,)
    assert [(one.gate, one.outcome) for one in last.gates] == [(Gate.EVIDENCE, GateOutcome.PASSED)]
    assert last.feedback is not None
    assert (last.feedback.kind, last.feedback.attempt) == (FeedbackKind.DIFFICULTY, 1)
    assert last.feedback.change == f"{QUESTION} -> {HARDER}"
    asked = table.prompt(1, Role.PROPOSER)
    assert f"Question to make harder: {QUESTION}" in asked and "Its answer, which stays: 1881" in asked
    assert "at least 2 search steps" in asked and "Too easy: 1 of 2 attempts" in asked


async def test_no_attempt_right_is_hard_or_broken_and_costs_no_rewriting() -> None:
    played = await Table().solves(0, *[wrong(2)] * 3, SILENT).harden(GIVEN, START)
    assert isinstance(played, Rejected)
    assert (played.reason, len(played.rounds)) == (Reason.HARD_OR_BROKEN, 1)
    assert played.detail == "none of 4 attempts at the question as it was given gave the answer"


async def test_a_rewriting_that_nobody_solves_is_rewritten_and_at_last_hard_or_broken() -> None:
    table = Table().solves(0, right(1)).proposes(1, *rewritten()).solves(1, *[wrong(2)] * 4)
    other = HARDER.replace("old", "oldest")
    table.proposes(2, pair(other, cited=1)).solves(2, *[wrong(2)] * 4)
    played = await table.harden(GIVEN, START, rounds=2)
    assert isinstance(played, Rejected)
    assert played.reason is Reason.HARD_OR_BROKEN and "the rewritten question" in played.detail
    assert outcomes(played) == [Outcome.TOO_EASY, Outcome.UNSOLVED, Outcome.UNSOLVED]
    assert played.rounds[2].feedback is not None
    assert played.rounds[2].feedback.kind is FeedbackKind.CORRECTNESS
    assert "None of 4 attempts gave your answer" in table.prompt(2, Role.PROPOSER)


async def test_one_rewriting_that_nobody_solves_is_named_as_such() -> None:
    table = Table().solves(0, right(1)).proposes(1, *rewritten()).solves(1, *[wrong(2)] * 4)
    played = await table.harden(GIVEN, START, rounds=1)
    assert isinstance(played, Rejected) and played.reason is Reason.HARD_OR_BROKEN
    assert played.detail == "none of 4 attempts at the rewritten question gave the answer"


async def test_a_rewriting_that_went_too_far_can_be_mended() -> None:
    table = Table().solves(0, right(1)).proposes(1, *rewritten()).solves(1, *[wrong(2)] * 4)
    table.proposes(2, pair(HARDER.replace("old", "oldest"), cited=1)).solves(2, *[right(3)] * 4)
    played = await table.reads(2, Gate.EVIDENCE, REPLY).harden(GIVEN, START)
    assert isinstance(played, Accepted) and len(played.rounds) == 3


async def test_rounds_used_up_while_too_easy() -> None:
    table = Table().solves(0, right(1)).proposes(1, *rewritten()).solves(1, right(0))
    played = await table.harden(GIVEN, START, rounds=1)
    assert isinstance(played, Rejected)
    assert (played.reason, len(played.rounds)) == (Reason.TOO_EASY, 2)


async def test_no_rounds_only_tries() -> None:
    played = await Table().solves(0, right(1)).harden(GIVEN, START, rounds=0)
    assert isinstance(played, Rejected) and played.reason is Reason.TOO_EASY


@pytest.mark.parametrize(("first", "reason"), [([right(1)] * 4, None), ([wrong(1)] * 3 + [right(1)], Reason.TOO_HARD)])
async def test_into_the_band(first: list[list[str]], reason: Reason | None) -> None:
    table = Table().solves(0, *(first if reason else first[:3]))
    band = {"acceptance": PassRateBand(0.5, 0.5)}
    if reason is None:
        table.proposes(1, *rewritten()).solves(1, right(1), wrong(1), right(1), wrong(1))
        played = await table.reads(1, Gate.EVIDENCE, REPLY).harden(GIVEN, START, **band)
        assert isinstance(played, Accepted) and played.rounds[-1].verdict.solve_rate == 0.5
    else:  # what is too hard already cannot be hardened
        played = await table.harden(GIVEN, START, **band)
        assert isinstance(played, Rejected) and (played.reason, len(played.rounds)) == (reason, 1)


async def test_evidence_that_no_longer_gives_the_answer_is_fed_back_then_rejected() -> None:
    def table() -> Table:
        begun = Table().solves(0, right(1)).proposes(1, *rewritten()).solves(1, *[right(2)] * 4)
        return begun.reads(1, Gate.EVIDENCE, '{"answer": "Ostia"}')

    played = await table().harden(GIVEN, START, rounds=1)
    assert isinstance(played, Rejected)
    assert played.reason is Reason.UNSUPPORTED and "'Ostia'" in played.detail
    mended = table().proposes(2, pair(HARDER.replace("old", "oldest"), cited=1)).solves(2, *[right(2)] * 4)
    played = await mended.reads(2, Gate.EVIDENCE, REPLY).harden(GIVEN, START, rounds=2)
    assert isinstance(played, Accepted)
    assert played.rounds[2].feedback is not None and played.rounds[2].feedback.kind is FeedbackKind.GATE
    assert "the check 'evidence' did not let it through" in mended.prompt(2, Role.PROPOSER)


@pytest.mark.parametrize(("said", "reason"), [("???\n" * 9, Reason.UNSCORED), (LLMUnavailable("down"), Reason.ERRORED)])
async def test_a_gate_that_fails_accepts_nothing_and_is_not_fed_back(said, reason: Reason) -> None:
    table = Table().solves(0, right(1)).proposes(1, *rewritten()).solves(1, *[right(2)] * 4)
    played = await table.reads(1, Gate.EVIDENCE, said).harden(GIVEN, START)
    assert isinstance(played, Rejected) and played.reason is reason


async def test_a_gate_that_is_asked_for_holds_for_what_was_given_too() -> None:
    table = Table().solves(0, *[right(2)] * 4).reads(0, Gate.CLOSED_BOOK, REPLY)
    table.proposes(1, *rewritten()).solves(1, *[right(2)] * 4)
    table.reads(1, Gate.CLOSED_BOOK, '{"answer": "unknown"}').reads(1, Gate.EVIDENCE, REPLY)
    played = await table.harden(GIVEN, START, gates=(Gate.CLOSED_BOOK,))
    assert isinstance(played, Accepted)
    assert [one.outcome for one in played.rounds[0].gates] == [GateOutcome.FAILED]


async def test_evidence_of_a_bare_question_is_what_right_attempts_found() -> None:
    table = Table().solves(0, looked_up(2), wrong(1), right(3), SILENT)
    played = await table.harden(BARE, START)
    assert isinstance(played, Accepted)
    assert played.rounds[0].proposal.evidence == (ENGINEER,)
    none = await Table().solves(0, [FINDS, "<answer>1999"], *[wrong(1)] * 3).harden(BARE, START)
    assert none.rounds[0].proposal.evidence == ()  # a wrong attempt proves nothing


async def test_another_answer_is_refused_at_once_and_may_be_mended() -> None:
    table = Table().solves(0, right(1)).proposes(1, FINDS, pair(HARDER, "Quillan", 1), pair(HARDER, "1881", 1))
    table.solves(1, *[right(2)] * 4)
    played = await table.reads(1, Gate.EVIDENCE, REPLY).harden(GIVEN, START)
    assert isinstance(played, Accepted) and played.rounds[-1].proposal.answer == "1881"
    stubborn = Table().solves(0, right(1)).proposes(1, *[pair(HARDER, "Quillan", 1)] * 3)
    played = await stubborn.harden(GIVEN, START)
    assert isinstance(played, Rejected)
    assert played.reason is Reason.NO_REPAIR and "The answer must stay '1881'; you wrote 'Quillan'" in played.detail


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([pair(QUESTION.upper(), cited=1)], Reason.UNCHANGED_REPAIR),
        ([pair("Who was born in 1881 in the village?", cited=1)] * 3, Reason.NO_REPAIR),
        ([pair(HARDER, cited=9)] * 3, Reason.NO_REPAIR),
        (["No."] * 3, Reason.NO_MOVES),
        (["<search>Quillan", "<search>Quillan 2", "<search>Quillan 3"], Reason.NO_REPAIR),
        ([LLMUnavailable("down")], Reason.ERRORED),
        ([LLMFiltered("policy")], Reason.FILTERED),
    ],
)
async def test_rewritings_that_cannot_be_tried(said, reason: Reason) -> None:
    table = Table().solves(0, right(1)).proposes(1, *said)
    # `proposes` gives later rounds another question; here the words matter
    table._scripts[1, Role.PROPOSER, 0] = said
    played = await table.harden(GIVEN, START)
    assert isinstance(played, Rejected)
    assert (played.reason, len(played.rounds)) == (reason, 1)
    assert played.trajectory is not None


@pytest.mark.parametrize(
    ("attempts", "reason"),
    [
        ([right(2), [LLMUnavailable("down")]], Reason.ERRORED),
        ([right(2), right(2), right(2), [LLMFiltered("policy")]], Reason.UNSCORED),
    ],
)
async def test_attempts_that_fail_decide_nothing(attempts, reason: Reason) -> None:
    played = await Table().solves(0, *attempts).harden(GIVEN, START)
    assert isinstance(played, Rejected) and played.reason is reason


async def test_yes_and_no_need_not_stand_in_the_evidence() -> None:
    given = replace(GIVEN, answer="yes", aliases=())
    table = Table().solves(0, ["<answer>yes"]).proposes(1, *rewritten(answer="yes"))
    table.solves(1, *[[*right(2)[:-1], "<answer>yes"]] * 4).reads(1, Gate.EVIDENCE, '{"answer": "yes"}')
    assert isinstance(await table.harden(given, START), Accepted)
