"""Confidence intervals of fractions."""

import math

from questwell.types.measures import Proportion


def wilson(count: int, of: int, z: float = 1.959964) -> Proportion:
    """The fraction `count` / `of` with its Wilson score interval (Wilson 1927), 95 % by default."""
    if of == 0:
        return Proportion(count, of, None, None, None)
    share = count / of
    scale = 1 + z * z / of
    centre = (share + z * z / (2 * of)) / scale
    margin = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / scale
    return Proportion(count, of, share, max(0.0, centre - margin), min(1.0, centre + margin))
