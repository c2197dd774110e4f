"""Passages of a corpus, and hits of a query."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrievable unit of text: about 100 words, cut at sentence boundaries."""

    id: str
    """Id, unique in its corpus and the same each time the corpus is read."""
    title: str
    """Title of the document; may be empty."""
    text: str
    """Text of the passage, without the title."""
    document_id: str
    """Id of the document that contains the passage."""
    offset: int = 0
    """Position of `text` in the document's text, in characters."""
    licence: str = ""
    """SPDX name or short text; empty when the corpus states none."""
    links: tuple[str, ...] = ()
    """Names in `text` that the corpus itself marks as pointing to another document's title."""
    metadata: tuple[tuple[str, str], ...] = ()
    """Metadata of the document as (key, value); a key with several values occurs several times."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a query found."""

    passage: Passage
    score: float
    """Higher is better; comparable only within one query."""
    rank: int
    """Rank among the hits, from 1."""
