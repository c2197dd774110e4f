"""Filters items by difficulty, solve rate, answer type and gates.

Each dropped item has exactly one reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from questwell.datasets.picked import Picked
from questwell.types.dataset import Item
from questwell.types.gates import GateOutcome


@dataclass(frozen=True, slots=True)
class Wanted:
    """The conditions on an item; by default every item passes."""

    difficulty: tuple[int, int] | None = None
    """Minimum and maximum number of search steps, both included."""
    solve_rate: tuple[float, float] | None = None
    """Minimum and maximum solve rate, fractions, both included."""
    answer_types: tuple[str, ...] = ()
    """Answer types to include; empty includes all."""
    gates: tuple[str, ...] = ()
    """Gates that the item must have passed. An item that never ran a gate counts as not having passed it."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A dropped item with the reason."""

    item_id: str
    reason: str
    """One of `review`, `difficulty`, `solve_rate`, `answer_type`, `gate`, `shares_evidence`, `duplicate`,
    `contaminated`, `surplus`."""
    detail: str


def choose(items: Sequence[Item], wanted: Wanted) -> tuple[Picked[Item], list[Dropped]]:
    """Return the items that pass `wanted`, in order, and the dropped ones with reasons."""
    kept: list[int] = []
    dropped: list[Dropped] = []
    for at, item in enumerate(items):
        problem = _problem(item, wanted)
        if problem is None:
            kept.append(at)
        else:
            dropped.append(Dropped(item.id, *problem))
    return Picked(items, kept), dropped


def _problem(item: Item, wanted: Wanted) -> tuple[str, str] | None:
    if wanted.difficulty and not wanted.difficulty[0] <= item.difficulty <= wanted.difficulty[1]:
        return "difficulty", f"{item.difficulty} search steps"
    if wanted.solve_rate and not wanted.solve_rate[0] <= item.solve_rate <= wanted.solve_rate[1]:
        return "solve_rate", f"{item.right} right of {item.scored}"
    if wanted.answer_types and item.answer_type not in wanted.answer_types:
        return "answer_type", item.answer_type
    passed = {result.gate.value for result in item.gates if result.outcome is GateOutcome.PASSED}
    missing = [gate for gate in wanted.gates if gate not in passed]
    return ("gate", f"not passed: {', '.join(missing)}") if missing else None
