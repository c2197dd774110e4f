"""Reads whole documents of an index and searches in them. A document's passages have consecutive ordinals."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from questwell.retrieval.retriever import DocumentPage, page_of
from questwell.types.corpus import Hit, Passage

_AT_ONCE = 64
"""Number of passages read at a time; a page has about ten."""
MOST_PASSAGES = 20_000
"""Maximum number of passages of a document that are read on each side of the requested passage."""


class Scored(Protocol):
    """A passage that was found, with its score."""

    @property
    def score(self) -> float:
        """Score of the passage; higher is better."""
        ...

    @property
    def ordinal(self) -> int:
        """Position of the passage in the corpus, from 0."""
        ...


_S = TypeVar("_S", bound=Scored)


class Ordered(Protocol[_S]):
    """An index whose documents can be read; the methods that this file needs."""

    def ordinal_of(self, passage_id: str, /) -> int | None:
        """The ordinal of the passage with this id; None if there is none."""
        ...

    def between(self, first: int, last: int, /) -> Sequence[tuple[int, Passage]]:
        """(ordinal, passage) for the ordinals from `first` up to but not including `last`, in order."""
        ...

    def score(self, query: str, ordinals: Sequence[int], /) -> list[_S]:
        """The scores of `query` for the passages at `ordinals`."""
        ...

    def load(self, ranked: Iterable[_S], /) -> tuple[Hit, ...]:
        """The ranked passages as hits, with their text."""
        ...


def read_page(index: Ordered[_S], identifier: str, page: int) -> DocumentPage | None:
    """A page of the document of `identifier` in `index`, as `DocumentReader.read_page`."""
    return page_of([passage for _, passage in document(index, identifier)], page)


def find_in(index: Ordered[_S], identifier: str, query: str, k: int) -> tuple[Hit, ...] | None:
    """The best passages inside the document of `identifier`, as `DocumentReader.find_in`."""
    ordinals = [ordinal for ordinal, _ in document(index, identifier)]
    if not ordinals:
        return None
    found = [scored for scored in index.score(query, ordinals) if scored.score > 0]
    return index.load(sorted(found, key=lambda scored: (-scored.score, scored.ordinal))[: max(k, 0)])


def document(index: Ordered[_S], identifier: str) -> list[tuple[int, Passage]]:
    """(ordinal, passage) of all passages of a document in order; empty if there is no such document."""
    for passage_id in (identifier, f"{identifier}#0"):
        anchor = index.ordinal_of(passage_id)
        if anchor is not None:
            document_id = index.between(anchor, anchor + 1)[0][1].document_id
            before = list(_before(index, document_id, anchor))
            return [*reversed(before), *_from(index, document_id, anchor)]
    return []


def _before(index: Ordered[_S], document_id: str, anchor: int) -> Iterator[tuple[int, Passage]]:
    """(ordinal, passage) of the document's passages before `anchor`, nearest first."""
    for last in range(anchor, max(0, anchor - MOST_PASSAGES), -_AT_ONCE):
        for ordinal, passage in reversed(index.between(max(0, last - _AT_ONCE), last)):
            if passage.document_id != document_id:
                return
            yield ordinal, passage


def _from(index: Ordered[_S], document_id: str, anchor: int) -> Iterator[tuple[int, Passage]]:
    """(ordinal, passage) of the document's passages from `anchor` on."""
    for first in range(anchor, anchor + MOST_PASSAGES, _AT_ONCE):
        entries = index.between(first, first + _AT_ONCE)
        for ordinal, passage in entries:
            if passage.document_id != document_id:
                return
            yield ordinal, passage
        if not entries:  # the end, or a gap left by updates; a document has no gaps
            return
