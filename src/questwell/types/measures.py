"""Measured values that several layers use."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share: a count out of a total, with its 95 % Wilson interval."""

    count: int
    of: int
    fraction: float | None
    """The share in [0, 1]; None if `of` is 0."""
    low: float | None
    high: float | None
