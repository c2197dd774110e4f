"""Checks that a question must pass after it met its target: gates, then a weak solver. The paper has none of them.

Checks run after the attempts, because few questions get that far, and one that was too easy has been repaired by then.
A failed check rejects the question; while rounds are left, it is feedback for a repair instead.
"""

from dataclasses import dataclass, replace

from questwell.agents.session import Sessions
from questwell.games import gates
from questwell.games.attempts import Trial
from questwell.games.rules import Players, Rules
from questwell.games.verdict import Criteria, PassRateBand, decide
from questwell.types.game import Outcome, Place, Reason, Round, Seed, Verdict, WeakTrial
from questwell.types.gates import GateOutcome
from questwell.types.trajectory import Role


@dataclass(frozen=True, slots=True)
class Stop:
    """Why the question of a round does not become an item."""

    reason: Reason
    detail: str
    mendable: bool
    """Whether another round may fix the question: a check rejected it, and no check failed to run."""


FIRST_WEAK = 200
"""First attempt number of the weak solver's judgements; solver attempts and gates have lower ones."""


async def checked(now: Round, rules: Rules, seed: Seed, players: Players, sessions: Sessions) -> Round:
    """`now` with the results of the checks in `rules`, up to the first that rejects its question."""
    if rules.gates:
        assert players.gatekeeper is not None
        place = Place(seed.id, now.index, Role.SOLVER)
        chance = place.random_seed(seed.random_seed)
        pair = gates.pair_of(now.proposal)
        found = await gates.check_all(rules.gates, pair, players.gatekeeper, place, sessions, chance)
        now = replace(now, gates=found)
    if rules.weak is None or stop_of(now) is not None:
        return now
    assert players.weak is not None
    # The same test as a band from 0: it is not solved too often, and no attempt failed.
    criteria = Criteria(rules.weak.attempts, None, PassRateBand(0.0, rules.weak.most), rules.unscored_is_wrong)
    trial = Trial(players.weak, players.judge, criteria, rules.early_stop, Role.WEAK, FIRST_WEAK)
    attempts = await trial.of(now.proposal, seed, now.index, sessions)
    return replace(now, weak=WeakTrial(attempts, decide(attempts, criteria)))


def stop_of(now: Round, *, gate_feedback: bool = True) -> Stop | None:
    """Why the checks of `now` reject its question; None if it passed all checks that ran.

    Args:
        now: the round that was checked.
        gate_feedback: whether another round may repair a question that a gate rejected.
    """
    for result in now.gates:
        if result.outcome is not GateOutcome.PASSED:
            mendable = gate_feedback and result.outcome is GateOutcome.FAILED
            return Stop(gates.reason_of(result), f"{result.gate.value}: {result.reason}", mendable)
    if now.weak is None or now.weak.verdict.outcome in (Outcome.PASS, Outcome.UNSOLVED):
        return None
    return _weak_stop(now.weak.verdict)


def _weak_stop(verdict: Verdict) -> Stop:
    if verdict.outcome is Outcome.TOO_EASY:
        tried = verdict.scored
        return Stop(Reason.WEAK_SOLVED, f"the weak solver was right in {verdict.right} of {tried} attempts", True)
    return Stop(Reason(verdict.outcome.value), f"weak solver, {verdict.detail}", False)


def how_it_failed(now: Round) -> str:
    """What was wrong with the question of `now` in a few words: `too_easy before`, or the check that rejected it."""
    stop = stop_of(now)
    return f"{now.verdict.outcome.value} before" if stop is None else f"stopped before by {stop.detail}"
