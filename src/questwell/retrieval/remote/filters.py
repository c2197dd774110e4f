"""Metadata filters that apply to every search of a retriever, in addition to the filter of one search."""

import json
from typing import Protocol, Self, runtime_checkable

from questwell.retrieval.retriever import Filter


@runtime_checkable
class Narrowable(Protocol):
    """A retriever that can be restricted to passages with given metadata."""

    def narrow(self, where: Filter) -> Self:
        """The same retriever, restricted from now on to passages with the metadata `where`."""
        ...


def both(always: Filter, where: Filter) -> Filter | None:
    """A filter that accepts what both filters accept; None if nothing can pass both."""
    joined = {key: _values(value) for key, value in always.items()}
    for key, value in where.items():
        among = _values(value)
        joined[key] = tuple(one for one in joined[key] if one in among) if key in joined else among
    return None if any(not values for values in joined.values()) else joined


def narrowed_by(where: Filter) -> str:
    """The filter as part of a retriever's name; empty if there is no filter."""
    if not where:
        return ""
    return f"+where({json.dumps({key: sorted(_values(value)) for key, value in sorted(where.items())})})"


def _values(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]
