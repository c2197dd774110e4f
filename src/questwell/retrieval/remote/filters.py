"""Filters by metadata that hold for every search of a retriever, next to those of one search."""

import json
from typing import Protocol, Self, runtime_checkable

from questwell.retrieval.retriever import Filter


@runtime_checkable
class Narrowable(Protocol):
    """A retriever that can be held to passages with some metadata."""

    def narrow(self, where: Filter) -> Self:
        """The same retriever, from now on as if it held only the passages that `where` lets through."""
        ...


def both(always: Filter, where: Filter) -> Filter | None:
    """The filter that accepts what both accept; None if nothing can pass both."""
    joined = {key: _values(value) for key, value in always.items()}
    for key, value in where.items():
        among = _values(value)
        joined[key] = tuple(one for one in joined[key] if one in among) if key in joined else among
    return None if any(not values for values in joined.values()) else joined


def narrowed_by(where: Filter) -> str:
    """The filter as part of a retriever's name; empty without a filter."""
    if not where:
        return ""
    return f"+where({json.dumps({key: sorted(_values(value)) for key, value in sorted(where.items())})})"


def _values(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]
