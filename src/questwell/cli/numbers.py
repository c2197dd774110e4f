"""How numbers are printed: counts and percentages. An unknown value is called unknown."""

from questwell.evaluation.statistics import Estimate
from questwell.text.money import UNKNOWN


def count(number: float | None) -> str:
    """`12,345`, or that it is not known."""
    return UNKNOWN if number is None else f"{number:,.0f}"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 search`, `2 searches`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def percent(found: Estimate) -> str:
    """`23.4 [12.1, 34.5]`; the interval is left out when the sample says nothing about it."""
    if found.mean is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{100 * found.mean:.1f}"
    return f"{100 * found.mean:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"
