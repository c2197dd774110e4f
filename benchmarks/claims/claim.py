"""What a claim is: a figure of a result file, in words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """One row of a table."""

    what: str
    figure: str
    interval: str = "-"
    """The 95 % interval, or the spread where the file has no interval."""


@dataclass(frozen=True, slots=True)
class Section:
    """What one result file shows."""

    title: str
    file: str
    """Below benchmarks/results."""
    about: str
    """What was measured, and what it does not show."""
    claims: Callable[[Result], Iterator[Claim]]


def between(low: float, high: float, signed: bool = False) -> str:
    """An interval in words."""
    sign = "+" if signed else ""
    return f"{low:{sign}.3f} to {high:{sign}.3f}"
