"""The `Retriever` protocol: a query in, hits out. In-process, remote and web retrievers implement it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from questwell.errors import RetrievalRefused
from questwell.types.corpus import Hit, Passage

Filter = Mapping[str, str | Sequence[str]]
"""Metadata that a passage must have: for each key the value, or one of the values."""


@dataclass(frozen=True, slots=True)
class Found:
    """The hits of a search, and what the search cost."""

    hits: tuple[Hit, ...]
    cost_usd: float | None
    """Cost in US dollars; None (not 0) if it is not known."""


class Retriever(Protocol):
    """Finds passages for a query. Safe to call from many tasks at once."""

    @property
    def name(self) -> str:
        """Name of what is searched and its snapshot; as far as possible, the same name and query give the same hits."""
        ...

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """At most `k` hits with unique ids, best first. Hits with equal scores are always in the same order.

        Any Unicode string is a legal query; one without a searchable term finds nothing.

        Raises:
            RetrievalError: the query was not answered, which is different from no hits.
        """
        ...

    async def aclose(self) -> None:
        """Release connections and files."""
        ...


@runtime_checkable
class PaidRetriever(Protocol):
    """A retriever whose searches may cost money."""

    @property
    def priced(self) -> bool:
        """Whether the price of a search is known."""
        ...

    async def search_paid(self, query: str, k: int) -> Found:
        """Like `Retriever.search`, with the cost of the search."""
        ...


@runtime_checkable
class FilteringRetriever(Protocol):
    """A retriever that can restrict a search to passages with given metadata."""

    async def search_where(self, queries: Sequence[str], k: int, where: Filter) -> Sequence[tuple[Hit, ...]]:
        """The hits of each query, as `Retriever.search`, among the passages with the metadata `where`."""
        ...


PAGE_CHARS = 4_000
"""Length of one page of a document in characters: about ten passages."""


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """One page of a document: consecutive passages."""

    document_id: str
    title: str
    page: int
    """Number of the page, from 1."""
    pages: int
    """Number of pages in the whole document."""
    passages: tuple[Passage, ...]


@runtime_checkable
class DocumentReader(Protocol):
    """A retriever that can return whole documents."""

    async def read_page(self, identifier: str, page: int) -> DocumentPage | None:
        """A page (from 1) of the document with this id, or of the document of the passage with this id.

        None if there is no such document. A page that the document does not have comes without passages.
        """
        ...

    async def find_in(self, identifier: str, query: str, k: int) -> tuple[Hit, ...] | None:
        """At most `k` passages of that document that match `query`, best first; None if there is no such document."""
        ...


def reader_of(retriever: Retriever) -> DocumentReader:
    """`retriever`, if it can return whole documents.

    Raises:
        RetrievalRefused: it cannot.
    """
    if not isinstance(retriever, DocumentReader):
        raise RetrievalRefused(f"{retriever.name} cannot return whole documents: leave open and find out of --tools")
    return retriever


def page_of(passages: Sequence[Passage], page: int) -> DocumentPage | None:
    """Page `page` of a document that consists of `passages`; None if there are none."""
    if not passages:
        return None
    pages: list[list[Passage]] = [[]]
    size = 0
    for passage in passages:
        size += len(passage.text)
        if pages[-1] and size > PAGE_CHARS:
            pages.append([])
            size = len(passage.text)
        pages[-1].append(passage)
    held = pages[page - 1] if 1 <= page <= len(pages) else []
    return DocumentPage(passages[0].document_id, passages[0].title, page, len(pages), tuple(held))


async def search_and_reckon(retriever: Retriever, query: str, k: int) -> Found:
    """The hits with their cost; a search in this process or on the user's own server costs 0."""
    if isinstance(retriever, PaidRetriever):
        return await retriever.search_paid(query, k)
    return Found(await retriever.search(query, k), 0.0)
