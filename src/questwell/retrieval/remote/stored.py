"""Reads whole documents from a search server that stores passages: finds them by document id, orders them by `offset`.

A store filled by `questwell index --to` has both fields. A store that others filled may have neither, which is an
error.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

from questwell.errors import MalformedHits, RetrievalRefused
from questwell.retrieval.remote.filters import both
from questwell.retrieval.remote.remote import searchable
from questwell.retrieval.retriever import DocumentPage, Filter, page_of
from questwell.text.unicode import without_surrogates
from questwell.types.corpus import Hit, Passage

DOCUMENT_ID, OFFSET = "document_id", "offset"
MOST_PASSAGES = 10_000
"""Maximum number of passages of one document; more than a server returns for one search."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A passage and its position in its document; None if the store does not have the position."""

    passage: Passage
    offset: int | None


class PassageStore(Protocol):
    """A store of passages from which documents can be read; the methods that this file needs."""

    @property
    def name(self) -> str:
        """Name of the store, for messages."""
        ...

    async def passages_of(self, document_id: str, /) -> Sequence[Placed]:
        """The passages of the document with this id, in any order; empty if there is no such document.

        Raises:
            RetrievalRefused: the store does not record the document of a passage.
        """
        ...

    async def document_of(self, passage_id: str, /) -> str | None:
        """The id of the document that this passage is from; None if there is no such passage."""
        ...


class StoreRetriever(ABC):
    """Searches a store of passages for one query or many, and inside documents; subclasses ask their server."""

    most_chars: ClassVar[int]
    """Maximum number of characters of a query that are sent."""

    def __init__(self) -> None:
        """Search all passages until `narrow` restricts them."""
        self._always: Filter = {}

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the store and the filter of its passages."""

    @abstractmethod
    async def passages_of(self, document_id: str, /) -> list[Placed]:
        """All passages of a document, as `PassageStore.passages_of`."""

    @abstractmethod
    async def document_of(self, passage_id: str, /) -> str | None:
        """The document id of a passage, as `PassageStore.document_of`."""

    @abstractmethod
    async def _ask(self, asked: Sequence[str], k: int, where: Filter) -> list[tuple[Hit, ...]]:
        """The hits of each query in `asked` with one call; too few if the reply cannot be read as a list."""

    @abstractmethod
    async def _ask_inside(self, asked: str, k: int, document_id: str) -> tuple[Hit, ...]:
        """The hits of one query among the passages of a document."""

    def narrow(self, where: Filter) -> Self:
        """The same retriever, restricted from now on to passages with the metadata `where`."""
        self._always = dict(where)
        return self

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """At most `k` hits for `query`, best first, as `Retriever.search`."""
        return (await self.search_where([query], k, {}))[0]

    async def search_many(self, queries: Sequence[str], k: int) -> list[tuple[Hit, ...]]:
        """The hits of each query, with one call to the server."""
        return await self.search_where(queries, k, {})

    async def search_where(self, queries: Sequence[str], k: int, where: Filter) -> list[tuple[Hit, ...]]:
        """The hits of each query among the passages with the metadata `where`; only in a store that `fill` filled.

        Raises:
            IndexMismatch: the store has vectors of another embedder.
        """
        among = both(self._always, where)
        asked = [without_surrogates(query)[: self.most_chars] for query in queries if k > 0 and searchable(query)]
        if not asked or among is None:
            return [() for _ in queries]
        answers = await self._ask(asked, k, among)
        if len(answers) != len(asked):
            raise MalformedHits(f"{self.name}: the reply is not a list of {len(asked)} results")
        found = iter(answers)
        return [next(found) if searchable(query) else () for query in queries]

    async def read_page(self, identifier: str, page: int) -> DocumentPage | None:
        """A page of a document; passages in the store must have `document_id` and `offset`."""
        return await read_page(self, identifier, page)

    async def find_in(self, identifier: str, query: str, k: int) -> tuple[Hit, ...] | None:
        """Passages inside a document; passages in the store must have `document_id`."""
        document_id = await document_with(self, identifier)
        if document_id is None:
            return None
        if k < 1 or not searchable(query):
            return ()
        return await self._ask_inside(without_surrogates(query)[: self.most_chars], k, document_id)


async def read_page(store: PassageStore, identifier: str, page: int) -> DocumentPage | None:
    """A page of a document in `store`, as `DocumentReader.read_page`.

    Raises:
        RetrievalRefused: the store does not record documents, or the order of their passages.
    """
    placed = await store.passages_of(identifier)
    document_id = None if placed else await store.document_of(identifier)
    if document_id is not None:
        placed = await store.passages_of(document_id)
    return page_of(_in_order(store.name, placed), page)


async def document_with(store: PassageStore, identifier: str) -> str | None:
    """The id of the document whose id, or one of whose passage ids, is `identifier`; None if there is none."""
    return identifier if await store.passages_of(identifier) else await store.document_of(identifier)


def no_documents(name: str) -> RetrievalRefused:
    """The error for a store that does not record the document of a passage."""
    return RetrievalRefused(
        f"{name}: its passages have no field {DOCUMENT_ID!r} that can be searched, so it has no whole documents: leave "
        "open and find out of --tools, or fill it with questwell index CORPUS --to"
    )


def check_length(name: str, document_id: str, passages: int) -> None:
    """Refuse a document that is too long to be read whole.

    Raises:
        RetrievalRefused: it has more than `MOST_PASSAGES` passages.
    """
    if passages > MOST_PASSAGES:
        raise RetrievalRefused(f"{name}: document {document_id!r} has more than {MOST_PASSAGES:,} passages")


def _in_order(name: str, placed: Sequence[Placed]) -> list[Passage]:
    """The passages in the order of their document.

    Raises:
        RetrievalRefused: there are several passages, and the store does not record their positions.
    """
    if len(placed) > 1 and any(one.offset is None for one in placed):
        raise RetrievalRefused(
            f"{name}: its passages have no field {OFFSET!r} (characters from the start of the document), so their "
            "order is not known: leave open out of --tools, or fill it with questwell index CORPUS --to"
        )
    return [one.passage for one in sorted(placed, key=lambda one: (one.offset or 0, one.passage.id))]
