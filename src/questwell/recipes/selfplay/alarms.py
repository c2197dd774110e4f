"""Detects signs that self-play is collapsing, from the newest steps. With `stop_on_alarm` they stop the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from questwell.recipes.selfplay.record import StepRow, series


@dataclass(frozen=True, slots=True)
class Bounds:
    """Thresholds of the alarms, compared with the mean over the newest `window` steps."""

    window: int = 5
    valid_rate: float = 0.1
    """Below this, the proposer hardly makes valid problems; negative rewards drove it to 0 in the paper."""
    entropy: float = 0.01
    """In nats. Below this, rollouts hardly differ, so comparing them teaches nothing."""
    easy: float = 0.98
    """Above this accuracy, nearly every question is solved, and the proposer gets no reward."""
    hard: float = 0.02
    """Below this accuracy, hardly any question is solved, and the solver gets no reward."""
    pool_age: float = 20.0
    """In steps. An older pool trains the solver on questions that the proposer no longer asks."""
    longer: float = 3.0
    """Multiple of the length of the first steps' questions; above it, the proposer hides its question in words."""
    shorter: float = 0.34
    distinct: float = 0.25
    """Share of distinct questions below which the proposer repeats itself."""


def alarms(rows: Sequence[StepRow], bounds: Bounds | None = None) -> tuple[str, ...]:
    """Return one sentence per problem of the newest steps; empty before there are `window` steps."""
    bounds = bounds or Bounds()
    newest = rows[-bounds.window :]
    if len(newest) < bounds.window:
        return ()

    def mean(name: str) -> float | None:
        _, values = series(newest, name)
        return fmean(values) if values else None

    found: list[str] = []

    def below(name: str, bound: float, what: str) -> None:
        value = mean(name)
        if value is not None and value < bound:
            found.append(f"{name} {value:.3g} is below {bound:g}: {what}")

    def above(name: str, bound: float, what: str) -> None:
        value = mean(name)
        if value is not None and value > bound:
            found.append(f"{name} {value:.3g} is above {bound:g}: {what}")

    below("valid_rate", bounds.valid_rate, "the proposer hardly makes valid questions any more")
    for role in ("solver", "proposer"):
        below(f"{role}_entropy", bounds.entropy, f"the {role}'s rollouts no longer differ")
    above("solver_accuracy", bounds.easy, "nearly everything is solved, so the proposer gets no reward")
    below("solver_accuracy", bounds.hard, "nearly nothing is solved, so the solver gets no reward")
    above("pool_age", bounds.pool_age, "the pool is stale")
    below("distinct_questions", bounds.distinct, "the proposer repeats itself")
    _, lengths = series(rows[: bounds.window], "question_length")
    if lengths and (first := fmean(lengths)):
        above("question_length", bounds.longer * first, "questions have grown long")
        below("question_length", bounds.shorter * first, "questions have shrunk")
    return tuple(found)
