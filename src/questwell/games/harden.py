"""The hardening game: a given question is rewritten until it is hard enough, and its answer stays the same.

Attempts come first, so that a question that is already hard is not rewritten. Then, as in SAGE, the rewriter sees what
happened, searches, and writes another question. Like `sage.play`, a play is a pure function of its sessions.
"""

from collections.abc import Sequence
from dataclasses import replace

from questwell.agents import form
from questwell.agents.proposer import Draft
from questwell.agents.session import Sessions
from questwell.games.checks import Stop, checked, how_it_failed, stop_of
from questwell.games.feedback import execution_feedback
from questwell.games.rules import Players, Rules
from questwell.games.sage import attempt, unchanged
from questwell.games.verdict import decide
from questwell.scoring.answers import contains
from questwell.types.game import Accepted, Attempt, Outcome, Place, Proposal, Reason, Rejected, Repair, Round, Seed
from questwell.types.gates import Gate
from questwell.types.trajectory import Role, StopReason


async def harden(
    seed: Seed, given: Proposal, rules: Rules, players: Players, sessions: Sessions
) -> Accepted | Rejected:
    """Play one given question to its end; `seed.target` is how many searches it must need.

    Round 0 tries the question as it was given. A question that no attempt solves is never kept: it is hard or broken,
    and nothing here can tell which. Raises only what ends the run (BudgetReached, StoreError).
    """
    rounds: list[Round] = []
    critique: Repair | None = None
    proposal = given
    for index in range(rules.rounds + 1):
        attempts = await attempt(proposal, seed, index, rules, players, sessions, last=False)
        verdict = decide(attempts, rules.criteria(seed))
        now = Round(index, with_evidence(proposal, attempts), attempts, verdict, critique)
        if verdict.outcome is Outcome.PASS:
            # A rewritten question must also keep evidence that gives the answer.
            asked = replace(rules, gates=(*rules.gates, Gate.EVIDENCE)) if index else rules
            now = await checked(now, asked, seed, players, sessions)
        rounds.append(now)

        stopped = stop_of(now)
        if verdict.outcome is Outcome.PASS and stopped is None:
            return Accepted(seed, tuple(rounds))
        if index == rules.rounds or not _can_be_rewritten(now, stopped):
            return _ended(seed, rounds, stopped)

        draft, critique = await _rewrite(seed, rounds, players, sessions)
        if rejected := _refuse(draft, seed, rounds):
            return rejected
        assert draft.proposal is not None
        proposal = draft.proposal
    raise AssertionError("unreachable: the last round returns")


def with_evidence(proposal: Proposal, attempts: Sequence[Attempt]) -> Proposal:
    """`first` with evidence if it had none: the passages in which right attempts found the answer."""
    if proposal.evidence:
        return proposal
    references = (proposal.answer, *proposal.aliases)
    hits = (hit.passage for one in attempts if one.right for hit in one.trajectory.hits)
    holding = (
        passage
        for passage in hits
        if any(contains(f"{passage.title} {passage.text}", reference) for reference in references)
    )
    return replace(proposal, evidence=tuple({passage.id: passage for passage in holding}.values()))


def _can_be_rewritten(now: Round, stopped: Stop | None) -> bool:
    """Whether rewriting can fix the problem: not if a call failed, nor if the given question is already too hard."""
    if stopped is not None:
        return stopped.mendable
    if now.verdict.outcome in (Outcome.UNSOLVED, Outcome.TOO_HARD):
        return now.index > 0
    return now.verdict.outcome is Outcome.TOO_EASY


def _ended(seed: Seed, rounds: Sequence[Round], stopped: Stop | None) -> Rejected:
    verdict = rounds[-1].verdict
    if stopped is not None:
        return Rejected(seed, tuple(rounds), stopped.reason, stopped.detail)
    if verdict.outcome is Outcome.UNSOLVED:
        what = "the question as it was given" if len(rounds) == 1 else "the rewritten question"
        detail = f"none of {verdict.scored} attempts at {what} gave the answer"
        return Rejected(seed, tuple(rounds), Reason.HARD_OR_BROKEN, detail)
    return Rejected(seed, tuple(rounds), Reason(verdict.outcome.value), verdict.detail)


async def _rewrite(
    seed: Seed, rounds: Sequence[Round], players: Players, sessions: Sessions
) -> tuple[Draft, Repair | None]:
    assert players.rewriter is not None
    place = Place(seed.id, len(rounds), Role.PROPOSER)
    random_seed = place.random_seed(seed.random_seed)
    feedback = execution_feedback(rounds[-1], random_seed, seed.target)
    return await players.rewriter.rewrite(seed, tuple(rounds), feedback, sessions(place), random_seed)


def _refuse(draft: Draft, seed: Seed, rounds: Sequence[Round]) -> Rejected | None:
    """Why a rewritten question cannot be attempted; None if it can."""
    before = how_it_failed(rounds[-1])
    if draft.trajectory.stop in _WHY:
        reason = _WHY[draft.trajectory.stop]
        detail = draft.trajectory.error or draft.problem
    elif draft.proposal is None:
        reason, detail = Reason.NO_REPAIR, f"{before}; {draft.problem}"
    else:
        pair, first = draft.proposal, rounds[0].proposal
        references = (pair.answer, *pair.aliases)
        problem = form.rewrite_problem(pair.question, references, pair.evidence, pair.derivation)
        if (pair.answer, pair.aliases) != (first.answer, first.aliases):
            problem = f"the answer {first.answer!r} became {pair.answer!r}"
        if problem is not None:
            reason, detail = Reason.BAD_FORM, problem
        elif unchanged(pair, rounds[-1].proposal):
            reason, detail = Reason.UNCHANGED_REPAIR, f"{before}, and the question was not changed"
        else:
            return None
    return Rejected(seed, tuple(rounds), reason, detail, draft.trajectory)


_WHY = {
    StopReason.ERRORED: Reason.ERRORED,
    StopReason.NO_MOVES: Reason.NO_MOVES,
    StopReason.LOOPING: Reason.LOOPING,
    StopReason.FILTERED: Reason.FILTERED,
}
"""Stop reasons of a rewriter that have their own reason of rejection."""
