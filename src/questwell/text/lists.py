"""Lists and ranges as a person writes them in a flag or a file: `a,b,c` and `2..5`."""

from collections.abc import Callable
from typing import TypeVar

_N = TypeVar("_N", int, float)


def comma_parts(text: str) -> list[str]:
    """The parts of `a, b,c`, without the space around them and without empty ones."""
    return [part.strip() for part in text.split(",") if part.strip()]


def split_commas(value: object) -> object:
    """As `comma_parts`, for a config key: a value that is no text stays as it is."""
    return comma_parts(value) if isinstance(value, str) else value


def parse_named(text: str, number: Callable[[str], _N]) -> dict[str, _N] | None:
    """The positive numbers of `train:80,dev:10` by name; None when it is not of that form or a name comes twice."""
    found: dict[str, _N] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition(":")
        try:
            weight = number(value)
        except ValueError:
            return None
        if name in found or not 0 < weight < float("inf"):
            return None
        found[name.strip()] = weight
    return found


def parse_range(text: str, number: Callable[[str], _N], separator: str = "..") -> tuple[_N, _N] | None:
    """(low, high) of `2..5`, where one number alone is both; None when it is no range or runs downwards."""
    low, found, high = text.strip().partition(separator)
    try:
        bounds = number(low), number(high if found else low)
    except ValueError:
        return None
    return bounds if bounds[0] <= bounds[1] else None


def parse_fractions(text: str) -> tuple[float, float]:
    """(low, high) of `0.2..0.8`; one fraction alone is no range.

    Raises:
        ValueError: it is not of that form, or not between 0 and 1.
    """
    bounds = parse_range(text, float) if ".." in text else None
    if bounds is None or not 0 <= bounds[0] <= bounds[1] <= 1:
        raise ValueError("expected two fractions like 0.2..0.8")
    return bounds
