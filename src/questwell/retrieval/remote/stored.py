"""Reads whole documents from a search server that stores passages: finds them by document id, orders them by `offset`.

A store filled by `questwell index --to` has both fields. A store that others filled may have neither, which is an
error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from questwell.errors import RetrievalRefused
from questwell.retrieval.retriever import DocumentPage, page_of
from questwell.types.corpus import Passage

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
