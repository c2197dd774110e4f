"""Measured values that several layers share."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share: a count out of a total, with its 95 % Wilson interval."""

    count: int
    of: int
    fraction: float | None
    """In [0, 1]; None when `of` is 0."""
    low: float | None
    high: float | None
