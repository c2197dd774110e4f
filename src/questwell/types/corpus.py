"""What is retrieved: passages, and passages found by a query."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrievable unit of text, about 100 words that keep sentence boundaries."""

    id: str
    """Unique in its corpus, and the same each time the corpus is read."""
    title: str
    """Title of the document; may be empty."""
    text: str
    """Without the title."""
    document_id: str
    """The document that it was cut from."""
    offset: int = 0
    """Where `text` starts in the document's text, in characters."""
    licence: str = ""
    """SPDX name or short text; empty when the corpus states none."""
    links: tuple[str, ...] = ()
    """Names in `text` that the corpus itself marks as pointing to another document's title."""
    metadata: tuple[tuple[str, str], ...] = ()
    """What the corpus says of the document, as (key, value); a key with several values comes several times."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a query found."""

    passage: Passage
    score: float
    """Higher is better; comparable only within one query."""
    rank: int
    """From 1."""
