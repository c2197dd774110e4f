"""What hardening takes as evidence, what it refuses of any rewriter, and what a rewriter is shown."""

from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from questwell.agents.proposer import Draft
from questwell.errors import LLMUnavailable
from questwell.games.conftest import (
    BRIDGE,
    ENGINEER,
    HARDER,
    QUESTION,
    VILLAGE,
    Table,
    outcomes,
    pair,
    right,
    wrong,
)
from questwell.games.harden import with_evidence
from questwell.games.harden_test import FINDS, GIVEN, REPLY, START, rewritten
from questwell.games.verdict import PassRateBand
from questwell.types.corpus import Hit, Passage
from questwell.types.game import Accepted, Attempt, Judgement, Label, Outcome, Proposal, Reason, Rejected
from questwell.types.gates import Gate
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn

OLDEST = HARDER.replace("old", "oldest")


def attempt(label: Label, *found: Passage) -> Attempt:
    hits = tuple(Hit(one, 1.0, rank) for rank, one in enumerate(found, 1))
    turn = Turn("", query="q", hits=hits)
    played = Trajectory(Role.SOLVER, Style.FREE, (turn,), StopReason.FINISHED, answer="1881")
    return Attempt(0, played, Judgement(label, ""))


TITLED = Passage("p1", "The year 1881", "It was a cold one.", "d1")
ALIASED = Passage("p2", "Cold years", "The year of the flood was the coldest.", "d2")


@pytest.mark.parametrize(
    ("attempts", "evidence"),
    [
        ([attempt(Label.RIGHT, BRIDGE, ENGINEER, VILLAGE)], (ENGINEER,)),
        ([attempt(Label.RIGHT, TITLED)], (TITLED,)),
        ([attempt(Label.RIGHT, ALIASED)], (ALIASED,)),  # an alias is enough, and the answer need not stand there too
        ([attempt(Label.WRONG, ENGINEER), attempt(Label.RIGHT, ALIASED, ENGINEER)], (ALIASED, ENGINEER)),
        ([attempt(Label.RIGHT, ENGINEER), attempt(Label.RIGHT, ENGINEER, TITLED)], (ENGINEER, TITLED)),
        ([attempt(Label.WRONG, ENGINEER), attempt(Label.UNSCORED, TITLED)], ()),
    ],
)
def test_evidence_is_what_right_attempts_found_with_the_answer_in_it(
    attempts: list[Attempt], evidence: tuple[Passage, ...]
) -> None:
    bare = replace(GIVEN, aliases=("year of the flood",), evidence=())
    assert with_evidence(bare, attempts).evidence == evidence
    assert with_evidence(GIVEN, attempts) is GIVEN


async def test_a_rewriting_that_too_few_solve_is_rewritten_again() -> None:
    table = Table().solves(0, *[right(1)] * 3).proposes(1, *rewritten()).solves(1, right(2), *[wrong(2)] * 3)
    table.proposes(2, pair(OLDEST, cited=1)).solves(2, *[right(2)] * 2, *[wrong(2)] * 2).reads(2, Gate.EVIDENCE, REPLY)
    played = await table.harden(GIVEN, START, acceptance=PassRateBand(0.5, 0.5))
    assert isinstance(played, Accepted)
    assert outcomes(played) == [Outcome.TOO_EASY, Outcome.TOO_HARD, Outcome.PASS]


async def test_a_rewriter_is_told_what_went_wrong_and_only_once_of_the_last_question() -> None:
    table = Table().solves(0, right(1)).proposes(1, *rewritten()).solves(1, *[wrong(2)] * 4)
    table.proposes(2, pair(OLDEST, cited=1)).solves(2, right(1))
    await table.harden(GIVEN, START, rounds=2)
    easier, harder = table.prompt(1, Role.PROPOSER), table.prompt(2, Role.PROPOSER)
    assert "Solvers found the answer too easily" in easier and "went too far" not in easier
    assert "the new question went too far" in harder and "too easily" not in harder
    assert "Earlier rounds:\n(none)" in easier
    assert f"- round 0: {QUESTION} -> 1881 (too_easy, searches needed: 1)" in harder and "- round 1:" not in harder


async def test_what_the_shown_attempt_found_is_there_for_the_rewriter() -> None:
    table = Table().solves(0, right(1)).proposes(1, *rewritten()).solves(1, right(0))
    await table.harden(GIVEN, START, rounds=1)
    asked = table.prompt(1, Role.PROPOSER)
    assert f"[1] Elsa Marwood: {ENGINEER.text}" in asked and f"[2] Quillan: {VILLAGE.text}" in asked
    assert "found: [2]" in asked


async def test_an_alias_is_the_answer_too_and_the_answer_stays_as_it_was_given() -> None:
    given = replace(GIVEN, aliases=("the year of the flood",))
    table = Table().solves(0, right(1)).proposes(1, *rewritten(answer="the year of the flood"))
    played = await table.solves(1, *[right(2)] * 4).reads(1, Gate.EVIDENCE, REPLY).harden(given, START)
    assert isinstance(played, Accepted)
    last = played.rounds[1].proposal
    assert (last.answer, last.aliases) == ("1881", ("the year of the flood",))


async def test_why_a_rewriter_failed_is_told_in_the_words_of_what_failed() -> None:
    down = await Table().solves(0, right(1)).proposes(1, LLMUnavailable("the line is down")).harden(GIVEN, START)
    assert isinstance(down, Rejected) and down.reason is Reason.ERRORED and down.detail.endswith("the line is down")
    assert "ended without a question" not in down.detail
    again = [FINDS] * 5
    looped = await Table(proposer_turns=6).solves(0, right(1)).proposes(1, *again).harden(GIVEN, START)
    assert isinstance(looped, Rejected) and looped.reason is Reason.LOOPING
    stubborn = Table().solves(0, right(1)).proposes(1, *[pair(HARDER, "Quillan", 1)] * 3)
    refused = await stubborn.harden(GIVEN, START)
    assert isinstance(refused, Rejected) and refused.detail == (
        "too_easy before; The answer must stay '1881'; you wrote 'Quillan'."
    )


@dataclass
class Writes:
    """A rewriter of somebody else's, which keeps no rule."""

    drafts: list[Proposal]

    async def rewrite(self, seed, rounds, feedback, session, random_seed):
        return Draft(self.drafts[len(rounds) - 1], self.drafts[0].trajectory), None


HARD = replace(GIVEN, question=HARDER)


@pytest.mark.parametrize(
    ("drafts", "reason", "detail"),
    [
        ([replace(HARD, answer="1882")], Reason.BAD_FORM, "the answer '1881' became '1882'"),
        ([replace(HARD, aliases=())], Reason.BAD_FORM, "the answer '1881' became '1881'"),
        ([replace(HARD, aliases=("1,881", "1999"))], Reason.BAD_FORM, "the answer '1881' became '1881'"),
        ([replace(HARD, question="Who was born in 1881 in the village?")], Reason.BAD_FORM, "contains its own answer"),
        ([replace(HARD, evidence=(VILLAGE,))], Reason.BAD_FORM, "does not stand in the passages"),
        ([replace(GIVEN, question=QUESTION.upper())], Reason.UNCHANGED_REPAIR, "too_easy before, and the question"),
        ([HARD, replace(HARD, question=HARDER.upper())], Reason.UNCHANGED_REPAIR, "too_easy before, and the question"),
    ],
)
async def test_what_any_rewriter_may_not_do(drafts: list[Proposal], reason: Reason, detail: str) -> None:
    table = Table().solves(0, right(1))
    for index, _ in enumerate(pairwise(drafts), 1):
        table.solves(index, right(1))
    table._players = replace(table._players, rewriter=Writes(drafts))
    played = await table.harden(GIVEN, START)
    assert isinstance(played, Rejected)
    assert (played.reason, len(played.rounds)) == (reason, len(drafts)) and detail in played.detail
    assert played.trajectory is drafts[0].trajectory
