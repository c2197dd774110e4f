"""`Reranked`: a retriever whose hits are put in order by a reranker.

Other abilities of the retriever (filters, whole documents, passages by id, a changed index) are passed on to it.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol, cast, runtime_checkable

from questwell.retrieval.rerankers.reranker import Reranker
from questwell.retrieval.retriever import (
    DocumentPage,
    DocumentReader,
    Filter,
    FilteringRetriever,
    Found,
    PaidRetriever,
    Retriever,
    search_and_reckon,
)
from questwell.types.corpus import Hit, Passage

RERANKING = 1
"""Version of the ordering, part of the name; increase it if the same hits and scores would be ordered differently."""
CANDIDATES = 50
"""Default number of hits that the reranker reads."""


class Reranked:
    """Implements `Retriever` and `PaidRetriever`; make one with `reranked`."""

    def __init__(
        self, inner: Retriever, reranker: Reranker, candidates: int = CANDIDATES, *, lent: bool = False
    ) -> None:
        """Put the first `candidates` hits of `inner` in the order of `reranker`. Closing this object closes both.

        Args:
            inner: the retriever that finds the hits.
            reranker: the reranker that orders the hits.
            candidates: number of hits to order.
            lent: whether `inner` belongs to someone else and stays open.
        """
        self.inner: Any = inner
        """The retriever; typed `Any` because the subclasses need more of it than the protocol has."""
        self.reranker = reranker
        self._candidates = candidates
        self._lent = lent

    @property
    def name(self) -> str:
        """Names the retriever, the reranker and the number of candidates."""
        return f"{self.inner.name}+rerank.{RERANKING}({self.reranker.name},{self._candidates})"

    @property
    def priced(self) -> bool:
        """Whether the prices of a search and of a reranking are both known."""
        return self.reranker.priced and (not isinstance(self.inner, PaidRetriever) or self.inner.priced)

    def candidates(self, k: int) -> int:
        """Number of hits to request from the retriever."""
        return max(k, self._candidates) if k > 0 else 0

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """At most `k` hits for `query`, ordered by the reranker."""
        return (await self.search_paid(query, k)).hits

    async def search_paid(self, query: str, k: int) -> Found:
        """The hits, and what search and reranking cost together."""
        found = await search_and_reckon(self.inner, query, self.candidates(k))
        ordered = await self.rerank(query, found.hits, k)
        known = found.cost_usd is not None and ordered.cost_usd is not None
        return Found(ordered.hits, (found.cost_usd or 0.0) + (ordered.cost_usd or 0.0) if known else None)

    async def rerank(self, query: str, hits: Sequence[Hit], k: int) -> Found:
        """The best `k` of `hits` by the reranker, and its cost. Equal scores stay in the retriever's order.

        Raises:
            RetrievalError: the reranker did not score all hits.
        """
        if not hits or k < 1:
            return Found((), 0.0)
        scored = await self.reranker.score(query, [_text(hit.passage) for hit in hits])
        best = sorted(zip(scored.scores, hits, strict=True), key=lambda pair: (-pair[0], pair[1].rank))[:k]
        return Found(tuple(Hit(hit.passage, score, rank) for rank, (score, hit) in enumerate(best, 1)), scored.cost_usd)

    async def aclose(self) -> None:
        """Close the retriever and the reranker."""
        if not self._lent:
            await self.inner.aclose()
        await self.reranker.aclose()


class _Filtering(Reranked):
    async def search_where(self, queries: Sequence[str], k: int, where: Filter) -> list[tuple[Hit, ...]]:
        """The hits of each query among the passages with the metadata `where`, ordered by the reranker."""
        found = await self.inner.search_where(queries, self.candidates(k), where)
        ordered = await asyncio.gather(*(self.rerank(*pair, k) for pair in zip(queries, found, strict=True)))
        return [one.hits for one in ordered]


class _Reading(Reranked):
    async def read_page(self, identifier: str, page: int) -> DocumentPage | None:
        """A page of a document, read by the retriever."""
        return await self.inner.read_page(identifier, page)

    async def find_in(self, identifier: str, query: str, k: int) -> tuple[Hit, ...] | None:
        """Passages inside a document, found by the retriever; they are not reranked."""
        return await self.inner.find_in(identifier, query, k)


@runtime_checkable
class _Local(Protocol):
    """An index in this process."""

    def get(self, passage_id: str) -> Passage | None: ...

    def outdated(self) -> bool: ...


class _Here(Reranked):
    def get(self, passage_id: str) -> Passage | None:
        """The passage with this id in the index; None if there is none."""
        return self.inner.get(passage_id)

    def outdated(self) -> bool:
        """Whether the index has changed on disk."""
        return self.inner.outdated()


def reranked(retriever: Retriever, reranker: Reranker, candidates: int = CANDIDATES, *, lent: bool = False) -> Reranked:
    """`retriever` with its first `candidates` hits put in the order of `reranker`. It keeps its other abilities."""
    parts: list[type[Reranked]] = []
    if isinstance(retriever, FilteringRetriever):
        parts.append(_Filtering)
    if isinstance(retriever, DocumentReader):
        parts.append(_Reading)
    if isinstance(retriever, _Local):
        parts.append(_Here)
    kind = cast(type[Reranked], type("Reranked", tuple(parts), {})) if parts else Reranked
    return kind(retriever, reranker, candidates, lent=lent)


def _text(passage: Passage) -> str:
    return f"{passage.title}\n{passage.text}" if passage.title else passage.text
