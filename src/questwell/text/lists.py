"""Lists and ranges as a person writes them in a flag or a file: `a,b,c` and `2..5`."""

from collections.abc import Callable
from typing import TypeVar

_N = TypeVar("_N", int, float)


def split_commas(value: object) -> object:
    """The parts of a text between its commas, without space and empty ones; anything else as it is."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def parse_range(text: str, number: Callable[[str], _N], separator: str = "..") -> tuple[_N, _N] | None:
    """(low, high) of `2..5`, where one number alone is both; None when it is no range or runs downwards."""
    low, found, high = text.strip().partition(separator)
    try:
        bounds = number(low), number(high if found else low)
    except ValueError:
        return None
    return bounds if bounds[0] <= bounds[1] else None
