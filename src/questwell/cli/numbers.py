"""Formats counts and percentages; unknown values are printed as unknown."""

from typing import TYPE_CHECKING

from questwell.text.money import UNKNOWN

if TYPE_CHECKING:
    from questwell.evaluation.statistics import Estimate


def count(number: float | None) -> str:
    """Return the number as text, such as `12,345`, or `unknown`."""
    return UNKNOWN if number is None else f"{number:,.0f}"


def counted(number: int, one: str, many: str = "") -> str:
    """Return the number with its noun: `1 search`, `2 searches`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def percent(found: "Estimate") -> str:
    """Return a percentage with its interval, such as `23.4 [12.1, 34.5]`; without one if it is unknown."""
    if found.mean is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{100 * found.mean:.1f}"
    return f"{100 * found.mean:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"
