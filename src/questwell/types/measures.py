"""Measured values that several layers share."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Proportion:
    """A count among others, with its 95 % Wilson interval."""

    count: int
    of: int
    fraction: float | None
    """In [0, 1]; None when `of` is 0."""
    low: float | None
    high: float | None
