"""Signs that self-play is collapsing, read off the newest steps. They are said; `stop_on_alarm` makes them stop."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from questwell.recipes.selfplay.record import StepRow, series


@dataclass(frozen=True, slots=True)
class Bounds:
    """When an alarm is raised; each is compared with the mean of the newest `window` steps."""

    window: int = 5
    valid_rate: float = 0.1
    """Below this the proposer no longer makes problems; negative rewards drove it to 0 in the paper."""
    entropy: float = 0.01
    """Nats; below this rollouts no longer differ, so nothing can be learnt from comparing them."""
    easy: float = 0.98
    """Accuracy above this: the proposer has found questions that everybody solves, and is paid nothing."""
    hard: float = 0.02
    """Accuracy below this: nobody solves them, and the solver is paid nothing."""
    pool_age: float = 20.0
    """Steps; an older pool trains the solver on what the proposer no longer asks."""
    longer: float = 3.0
    """Times the length of the first steps' questions: the proposer hides its question in words."""
    shorter: float = 0.34
    distinct: float = 0.25
    """Share of different questions below which the proposer repeats itself."""


def alarms(rows: Sequence[StepRow], bounds: Bounds | None = None) -> tuple[str, ...]:
    """What is wrong with the newest steps, a sentence each; nothing before there are `window` of them."""
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

    below("valid_rate", bounds.valid_rate, "the proposer hardly makes a problem any more")
    for role in ("solver", "proposer"):
        below(f"{role}_entropy", bounds.entropy, f"the {role}'s rollouts no longer differ")
    above("solver_accuracy", bounds.easy, "nearly everything is solved, so the proposer is paid nothing")
    below("solver_accuracy", bounds.hard, "nearly nothing is solved, so the solver is paid nothing")
    above("pool_age", bounds.pool_age, "the pool is stale")
    below("distinct_questions", bounds.distinct, "the proposer repeats itself")
    _, lengths = series(rows[: bounds.window], "question_length")
    if lengths and (first := fmean(lengths)):
        above("question_length", bounds.longer * first, "questions have grown long")
        below("question_length", bounds.shorter * first, "questions have shrunk")
    return tuple(found)
