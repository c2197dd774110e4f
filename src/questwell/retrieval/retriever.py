"""The `Retriever` protocol: a query in, hits out. In-process, remote and web retrievers implement it."""

from typing import Protocol

from questwell.types.corpus import Hit


class Retriever(Protocol):
    """Finds passages for a query. Safe to call from many tasks at once."""

    @property
    def name(self) -> str:
        """What is searched, with its snapshot: same name and query, same hits (as far as it can promise)."""
        ...

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """At most `k` hits, best first, ids unique, in a total order (score, then one of its own that does not change).

        Any Unicode string is a legal query; one without a searchable term finds nothing.

        Raises:
            RetrievalError: the query got no answer, which is not the same as no hits.
        """
        ...

    async def aclose(self) -> None:
        """Release connections and files."""
        ...
