"""Whole documents of a search server that holds passages: found by the document's id, put in order by `offset`.

What `questwell index --to` fills has both fields. A store that others filled may have neither: then the error says so.
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
    """A passage, and where it starts in its document as the store says; None: it does not say."""

    passage: Passage
    offset: int | None


class PassageStore(Protocol):
    """The part of a store that is needed here."""

    @property
    def name(self) -> str:
        """Name of the store, for messages."""
        ...

    async def passages_of(self, document_id: str, /) -> Sequence[Placed]:
        """The passages of the document with this id, in any order; none if there is no such document.

        Raises:
            RetrievalRefused: the store does not know which passage is of which document.
        """
        ...

    async def document_of(self, passage_id: str, /) -> str | None:
        """The id of the document that this passage is from; None if there is no such passage."""
        ...


async def read_page(store: PassageStore, identifier: str, page: int) -> DocumentPage | None:
    """As `DocumentReader.read_page`.

    Raises:
        RetrievalRefused: the store does not know documents, or not the order of their passages.
    """
    placed = await store.passages_of(identifier)
    document_id = None if placed else await store.document_of(identifier)
    if document_id is not None:
        placed = await store.passages_of(document_id)
    return page_of(_in_order(store.name, placed), page)


async def document_with(store: PassageStore, identifier: str) -> str | None:
    """The id of the document with this id, or with a passage of this id; None if there is none."""
    return identifier if await store.passages_of(identifier) else await store.document_of(identifier)


def no_documents(name: str) -> RetrievalRefused:
    """The error of a store whose passages do not say of which document they are."""
    return RetrievalRefused(
        f"{name}: its passages have no field {DOCUMENT_ID!r} that can be searched, so it has no whole documents: leave "
        "open and find out of --tools, or fill it by questwell index CORPUS --to"
    )


def check_length(name: str, document_id: str, passages: int) -> None:
    """Refuse a document that would be read in part.

    Raises:
        RetrievalRefused: it has more than `MOST_PASSAGES`.
    """
    if passages > MOST_PASSAGES:
        raise RetrievalRefused(f"{name}: document {document_id!r} has more than {MOST_PASSAGES:,} passages")


def _in_order(name: str, placed: Sequence[Placed]) -> list[Passage]:
    """The passages as they follow each other in their document.

    Raises:
        RetrievalRefused: there is more than one, and the store does not say where one starts.
    """
    if len(placed) > 1 and any(one.offset is None for one in placed):
        raise RetrievalRefused(
            f"{name}: its passages have no field {OFFSET!r} (characters from the start of the document), so their "
            "order is not known: leave open out of --tools, or fill it by questwell index CORPUS --to"
        )
    return [one.passage for one in sorted(placed, key=lambda one: (one.offset or 0, one.passage.id))]
