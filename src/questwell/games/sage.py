"""The SAGE game (arXiv 2601.18202, section 3): propose, attempt, verdict, feedback, and again.

A play is a pure function of what its sessions answer: it knows no file, no clock and no random number
that its seed does not fix. So a recorded play can be replayed call by call.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from questwell.agents import form
from questwell.agents.proposer import Draft, Proposer
from questwell.agents.rewriter import Rewriter
from questwell.agents.session import Sessions
from questwell.agents.solver import Solver
from questwell.games import gates
from questwell.games.feedback import execution_feedback
from questwell.games.verdict import Acceptance, Criteria, StepTarget, decide, is_decisive
from questwell.scoring.answers import normalise
from questwell.scoring.judge import Judge
from questwell.types.game import (
    Accepted,
    Attempt,
    Outcome,
    Place,
    Proposal,
    Reason,
    Rejected,
    Repair,
    Round,
    Seed,
    Verdict,
    failed_rollout,
)
from questwell.types.gates import Gate, GateOutcome, GateResult
from questwell.types.trajectory import Role, StopReason


class Variant(StrEnum):
    """The systems that the paper's intrinsic table compares."""

    INITIAL = "initial"
    """One proposal a seed."""
    RESAMPLE = "resample"
    """A failing item is written anew: same seed, same target, no trace of what failed."""
    FEEDBACK = "feedback"
    """A failing item is repaired from what its attempts showed."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How the game is played."""

    variant: Variant = Variant.FEEDBACK
    attempts: int = 4
    """K, independent solver rollouts per proposal."""
    rounds: int = 2
    """Further rounds after the first proposal; the paper found 2 best for training data."""
    early_stop: bool = True
    """Attempts run one after another and stop at the first decisive one; off: all K, in parallel."""
    acceptance: Acceptance = field(default_factory=StepTarget)
    unscored_is_wrong: bool = False
    """The paper's rule for a judgement that cannot be read; ours fails closed."""
    last_round_takes_correct: bool = False
    """The release's assembly: what is solved in the last round is accepted even if too easy."""
    minimum_difficulty: int = 0
    """With `last_round_takes_correct`: search steps below which it is dropped all the same."""
    gates: tuple[Gate, ...] = ()
    """What an accepted question must pass too; not in the paper."""

    def criteria(self, seed: Seed) -> Criteria:
        """What the attempts at a proposal from `seed` are measured by."""
        return Criteria(self.attempts, seed.target, self.acceptance, self.unscored_is_wrong)


@dataclass(frozen=True, slots=True)
class Players:
    """Who plays."""

    proposer: Proposer
    solver: Solver
    judge: Judge
    gatekeeper: gates.Gatekeeper | None = None
    """Needed where the rules name gates."""
    rewriter: Rewriter | None = None
    """Of hardening (`games/harden.py`): who rewrites what was given."""


async def play(seed: Seed, rules: Rules, players: Players, sessions: Sessions) -> Accepted | Rejected:
    """Play one seed to its end.

    Failures of a model, the judge or the retriever end the play as Rejected(ERRORED), unless an attempt shows that the
    question is too easy anyway. Raises only what ends the run (BudgetReached, StoreError).
    """
    rounds: list[Round] = []
    critique: Repair | None = None
    draft = await _propose(seed, 0, players, sessions)
    for index in range(rules.rounds + 1):
        proposal = draft.proposal
        if rejected := _refuse(draft, seed, rounds, rules):
            return rejected
        assert proposal is not None

        last = index == rules.rounds or rules.variant is Variant.INITIAL
        attempts = await attempt(proposal, seed, index, rules, players, sessions, last=last)
        verdict = decide(attempts, rules.criteria(seed))
        rounds.append(Round(index, proposal, attempts, verdict, critique))

        if verdict.outcome is Outcome.PASS or (last and _good_enough(verdict, rules)):
            return await _accept(seed, rounds, rules, players, sessions)
        if last or verdict.outcome in (Outcome.ERRORED, Outcome.UNSCORED):
            return Rejected(seed, tuple(rounds), Reason(verdict.outcome.value), verdict.detail)

        if rules.variant is Variant.RESAMPLE:
            draft = await _propose(seed, index + 1, players, sessions)
        else:
            draft, critique = await _repair(seed, rounds, players, sessions)
    raise AssertionError("unreachable: the last round returns")


async def examine(
    seed: Seed, proposal: Proposal, rules: Rules, players: Players, sessions: Sessions
) -> Accepted | Rejected:
    """Try a question that is there already: K attempts, the verdict and the gates, as in a last round."""
    attempts = await attempt(proposal, seed, 0, rules, players, sessions, last=True)
    verdict = decide(attempts, rules.criteria(seed))
    rounds = [Round(0, proposal, attempts, verdict)]
    if verdict.outcome is Outcome.PASS or _good_enough(verdict, rules):
        return await _accept(seed, rounds, rules, players, sessions)
    return Rejected(seed, tuple(rounds), Reason(verdict.outcome.value), verdict.detail)


async def _propose(seed: Seed, index: int, players: Players, sessions: Sessions) -> Draft:
    place = Place(seed.id, index, Role.PROPOSER)
    return await players.proposer.propose(seed, sessions(place), place.random_seed(seed.random_seed))


async def _repair(
    seed: Seed, rounds: Sequence[Round], players: Players, sessions: Sessions
) -> tuple[Draft, Repair | None]:
    """Show the proposer what happened; it answers with a new pair. No search: facts only from what was retrieved."""
    place = Place(seed.id, len(rounds), Role.PROPOSER)
    random_seed = place.random_seed(seed.random_seed)
    feedback = execution_feedback(rounds[-1], random_seed, seed.target)
    return await players.proposer.repair(seed, tuple(rounds), feedback, sessions(place), random_seed)


async def attempt(
    proposal: Proposal, seed: Seed, index: int, rules: Rules, players: Players, sessions: Sessions, *, last: bool
) -> tuple[Attempt, ...]:
    """K independent attempts: in index order up to the first decisive one, or all in parallel."""

    async def one(number: int) -> Attempt:
        place = Place(seed.id, index, Role.SOLVER, number)
        trajectory = await players.solver.solve(proposal.question, sessions(place), place.random_seed(seed.random_seed))
        if failed := failed_rollout(trajectory):
            return Attempt(number, trajectory, failed)
        judge = sessions(Place(seed.id, index, Role.JUDGE, number))
        references = (proposal.answer, *proposal.aliases)
        judgement = await players.judge.judge(proposal.question, references, trajectory.answer, judge.complete)
        return Attempt(number, trajectory, judgement)

    if not rules.early_stop:
        # All are awaited even if one ends the run: what they have paid for is recorded first.
        results = await asyncio.gather(*map(one, range(rules.attempts)), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return tuple(result for result in results if isinstance(result, Attempt))
    attempts: list[Attempt] = []
    for number in range(rules.attempts):
        attempts.append(await one(number))
        if not is_decisive(attempts, rules.criteria(seed)):
            continue
        # Where too easy may still be accepted, the remaining attempts decide how easy it is.
        so_far = decide(attempts, rules.criteria(seed))
        if not (last and _good_enough(so_far, rules)):
            break
    return tuple(attempts)


async def _accept(
    seed: Seed, rounds: Sequence[Round], rules: Rules, players: Players, sessions: Sessions
) -> Accepted | Rejected:
    """The end of a play whose last round is good, unless a gate stops it.

    Gates ask after the attempts: few questions come that far, and one that was too easy has had its repair by then.
    """
    if not rules.gates:
        return Accepted(seed, tuple(rounds))
    *earlier, last = rounds
    results = await ask_gates(rules.gates, last, seed, players, sessions)
    played = (*earlier, replace(last, gates=results))
    stopped = results[-1]
    if stopped.outcome is GateOutcome.PASSED:
        return Accepted(seed, played)
    return Rejected(seed, played, gates.reason_of(stopped), f"{stopped.gate.value}: {stopped.reason}")


async def ask_gates(
    wanted: Iterable[Gate], last: Round, seed: Seed, players: Players, sessions: Sessions
) -> tuple[GateResult, ...]:
    """What the gates say of the question of `last`, up to the first that does not let it through."""
    assert players.gatekeeper is not None
    place = Place(seed.id, last.index, Role.SOLVER)
    random_seed = place.random_seed(seed.random_seed)
    return await gates.check_all(wanted, gates.pair_of(last.proposal), players.gatekeeper, place, sessions, random_seed)


def _refuse(draft: Draft, seed: Seed, rounds: Sequence[Round], rules: Rules) -> Rejected | None:
    """Why a draft cannot be attempted, if so."""
    if draft.trajectory.stop is StopReason.ERRORED:
        reason, detail = Reason.ERRORED, draft.trajectory.error
    elif draft.proposal is None and draft.trajectory.stop in _WHY:
        reason, detail = _WHY[draft.trajectory.stop], draft.problem
    elif draft.proposal is None and rounds and rules.variant is Variant.FEEDBACK:
        reason, detail = Reason.NO_REPAIR, f"{rounds[-1].verdict.outcome.value} before; {draft.problem}"
    elif draft.proposal is None:
        reason, detail = Reason.NO_PROPOSAL, draft.problem
    else:
        pair = draft.proposal
        problem = form.problem(pair.question, pair.answer, seed, pair.evidence, pair.derivation)
        repairing = bool(rounds) and rules.variant is Variant.FEEDBACK
        if problem is None and not (repairing and unchanged(pair, rounds[-1].proposal)):
            return None
        reason, detail = Reason.BAD_FORM, problem or ""
        if problem is None:
            reason = Reason.UNCHANGED_REPAIR
            detail = f"{rounds[-1].verdict.outcome.value} before, and neither question nor answer was changed"
    return Rejected(seed, tuple(rounds), reason, detail, draft.trajectory)


def unchanged(pair: Proposal, before: Proposal) -> bool:
    """Whether two pairs are the same but for case, spaces and punctuation."""
    return normalise(pair.question) == normalise(before.question) and normalise(pair.answer) == normalise(before.answer)


_WHY = {
    StopReason.NO_MOVES: Reason.NO_MOVES,
    StopReason.LOOPING: Reason.LOOPING,
    StopReason.FILTERED: Reason.FILTERED,
}
"""Ends of a proposer that have a reason of their own."""


def _good_enough(verdict: Verdict, rules: Rules) -> bool:
    """The release's rule for the last round, when the preset asks for it. Nothing is accepted next to a failure."""
    return (
        rules.last_round_takes_correct
        and verdict.outcome is Outcome.TOO_EASY
        and verdict.scored + verdict.skipped == rules.attempts
        and verdict.difficulty is not None
        and verdict.difficulty >= rules.minimum_difficulty
    )
