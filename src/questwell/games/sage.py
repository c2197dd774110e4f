"""The SAGE game (arXiv 2601.18202, section 3): propose, attempt, verdict, feedback, repeat.

A play is a pure function of its sessions' answers: it uses no file and no clock, and its seed fixes every random
number. So a recorded play can be replayed call by call.
"""

from collections.abc import Callable, Sequence

from questwell.agents import form
from questwell.agents.kinds import kind_problem
from questwell.agents.proposer import Draft
from questwell.agents.session import Sessions
from questwell.games.attempts import Trial
from questwell.games.checks import Stop, checked, how_it_failed, stop_of
from questwell.games.feedback import execution_feedback
from questwell.games.rules import Players, Rules, Variant
from questwell.games.verdict import decide
from questwell.scoring.answers import normalise
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
)
from questwell.types.trajectory import Role, StopReason

Known = Callable[[str, str], str | None]
"""From (question, answer) to the accepted question that the pair nearly repeats; None if it repeats none."""


async def play(
    seed: Seed, rules: Rules, players: Players, sessions: Sessions, known: Known | None = None
) -> Accepted | Rejected:
    """Play one seed to its end. A question that nearly repeats a `known` one is not attempted.

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
        if known is not None and (before := known(proposal.question, proposal.answer)) is not None:
            return Rejected(seed, tuple(rounds), Reason.NEAR_DUPLICATE, f"nearly {before!r}", draft.trajectory)

        last = index == rules.rounds or rules.variant is Variant.INITIAL
        attempts = await attempt(proposal, seed, index, rules, players, sessions, last=last)
        tried = Round(index, proposal, attempts, decide(attempts, rules.criteria(seed)), critique)
        now, stop = await _verified(tried, seed, rules, players, sessions, last=last)
        rounds.append(now)

        if stop is None:
            return Accepted(seed, tuple(rounds))
        if last or not stop.mendable:
            return Rejected(seed, tuple(rounds), stop.reason, stop.detail)

        if rules.variant is Variant.RESAMPLE:
            draft = await _propose(seed, index + 1, players, sessions)
        else:
            draft, critique = await _repair(seed, rounds, players, sessions)
    raise AssertionError("unreachable: the last round returns")


async def examine(
    seed: Seed, proposal: Proposal, rules: Rules, players: Players, sessions: Sessions
) -> Accepted | Rejected:
    """Try an existing question: K attempts, the verdict and the checks, as in a last round."""
    attempts = await attempt(proposal, seed, 0, rules, players, sessions, last=True)
    tried = Round(0, proposal, attempts, decide(attempts, rules.criteria(seed)))
    now, stop = await _verified(tried, seed, rules, players, sessions, last=True)
    return Accepted(seed, (now,)) if stop is None else Rejected(seed, (now,), stop.reason, stop.detail)


async def _propose(seed: Seed, index: int, players: Players, sessions: Sessions) -> Draft:
    place = Place(seed.id, index, Role.PROPOSER)
    return await players.proposer.propose(seed, sessions(place), place.random_seed(seed.random_seed))


async def _repair(
    seed: Seed, rounds: Sequence[Round], players: Players, sessions: Sessions
) -> tuple[Draft, Repair | None]:
    """Show the proposer what happened and get a new pair. It cannot search: facts come only from what was retrieved."""
    place = Place(seed.id, len(rounds), Role.PROPOSER)
    random_seed = place.random_seed(seed.random_seed)
    feedback = execution_feedback(rounds[-1], random_seed, seed.target)
    return await players.proposer.repair(seed, tuple(rounds), feedback, sessions(place), random_seed)


async def attempt(
    proposal: Proposal, seed: Seed, index: int, rules: Rules, players: Players, sessions: Sessions, *, last: bool
) -> tuple[Attempt, ...]:
    """K independent attempts, one by one up to the first decisive one, or all in parallel."""
    trial = Trial(players.solver, players.judge, rules.criteria(seed), rules.early_stop)
    # If a too easy question may still be accepted, the remaining attempts show how easy it is.
    return await trial.of(proposal, seed, index, sessions, lambda verdict: last and _good_enough(verdict, rules))


async def _verified(
    now: Round, seed: Seed, rules: Rules, players: Players, sessions: Sessions, *, last: bool
) -> tuple[Round, Stop | None]:
    """(`now` with its checks, which run only if it met its target, the reason why it is not an item or None)."""
    verdict = now.verdict
    if verdict.outcome is not Outcome.PASS and not (last and _good_enough(verdict, rules)):
        mendable = verdict.outcome not in (Outcome.ERRORED, Outcome.UNSCORED)
        return now, Stop(Reason(verdict.outcome.value), verdict.detail, mendable)
    now = await checked(now, rules, seed, players, sessions)
    return now, stop_of(now, gate_feedback=rules.gate_feedback)


def _refuse(draft: Draft, seed: Seed, rounds: Sequence[Round], rules: Rules) -> Rejected | None:
    """Why a draft cannot be attempted; None if it can."""
    if draft.trajectory.stop is StopReason.ERRORED:
        reason, detail = Reason.ERRORED, draft.trajectory.error
    elif draft.proposal is None and draft.trajectory.stop in _WHY:
        reason, detail = _WHY[draft.trajectory.stop], draft.problem
    elif draft.proposal is None and rounds and rules.variant is Variant.FEEDBACK:
        reason, detail = Reason.NO_REPAIR, f"{how_it_failed(rounds[-1])}; {draft.problem}"
    elif draft.proposal is None:
        reason, detail = Reason.NO_PROPOSAL, draft.problem
    else:
        pair = draft.proposal
        problem = form.problem(pair.question, pair.answer, seed, pair.evidence, pair.derivation)
        repairing = bool(rounds) and rules.variant is Variant.FEEDBACK
        wrong_kind = kind_problem(seed.kind, pair)
        if problem is None and wrong_kind is None and not (repairing and unchanged(pair, rounds[-1].proposal)):
            return None
        reason, detail = (Reason.BAD_FORM, problem) if problem else (Reason.WRONG_KIND, wrong_kind or "")
        if problem is None and wrong_kind is None:
            reason = Reason.UNCHANGED_REPAIR
            detail = f"{how_it_failed(rounds[-1])}, and neither question nor answer was changed"
    return Rejected(seed, tuple(rounds), reason, detail, draft.trajectory)


def unchanged(pair: Proposal, before: Proposal) -> bool:
    """Whether two pairs differ at most in case, spaces and punctuation."""
    return normalise(pair.question) == normalise(before.question) and normalise(pair.answer) == normalise(before.answer)


_WHY = {
    StopReason.NO_MOVES: Reason.NO_MOVES,
    StopReason.LOOPING: Reason.LOOPING,
    StopReason.FILTERED: Reason.FILTERED,
}
"""Stop reasons of a proposer that have their own reason of rejection."""


def _good_enough(verdict: Verdict, rules: Rules) -> bool:
    """Whether the release's rule for the last round accepts a too easy question; never if an attempt failed."""
    return (
        rules.last_round_takes_correct
        and verdict.outcome is Outcome.TOO_EASY
        and verdict.scored + verdict.skipped == rules.attempts
        and verdict.difficulty is not None
        and verdict.difficulty >= rules.minimum_difficulty
    )
