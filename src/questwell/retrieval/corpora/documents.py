"""Results of readers: whole documents, before they are cut into passages, and a report on what could not be read."""

import re
from dataclasses import dataclass, field

from questwell.text.unicode import without_surrogates
from questwell.types.corpus import Passage

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
UNSEEN = re.compile("[\u00ad\u2060\ufeff]")
"""Soft hyphens of typeset text, word joiners, and byte order marks, also those where files were put together."""
NAMED = 5
"""Number of documents without text that are named."""
QUALIFIER = re.compile(r"(?<=\S)\s+\((?:[^()]|\([^()]*\))*\)$")
"""A trailing parenthesis that distinguishes things with the same name."""

SECTIONED = "factbook/"
"""Prefix of the ids of documents whose titles have the form `name: section`."""


@dataclass(frozen=True, slots=True)
class Document:
    """One text of a corpus."""

    id: str
    title: str
    """Title of the document; may be empty."""
    text: str
    """Text of the document without its title, as returned by `clean`."""
    licence: str = ""
    links: tuple[str, ...] = ()
    """Names in `text` that are titles of other documents."""
    metadata: tuple[tuple[str, str], ...] = ()
    """Metadata that a search can filter by, as (key, value)."""
    made_id: bool = False
    """Whether the id was made from title and text, because the corpus states none."""


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A malformed record that was skipped."""

    place: str
    """File and line of the record."""
    problem: str


@dataclass(slots=True)
class ReadReport:
    """Counts what was read of a corpus and what was not; filled while the corpus is read."""

    documents: int = 0
    empty: int = 0
    """Number of documents without text; they have no passage."""
    empty_ids: list[str] = field(default_factory=list[str])
    """Ids of the first of them."""
    repeated: int = 0
    """Number of documents left out because an earlier document has the same id."""
    bad: list[BadRecord] = field(default_factory=list[BadRecord])
    """Malformed records that were skipped at the user's request."""
    left_out: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Names of files in the corpus' folder that are not read, by reason."""

    @property
    def incomplete(self) -> bool:
        """Whether anything was skipped or left out that the user should know of."""
        return bool(self.bad or self.left_out or self.repeated or self.empty)

    def note_empty(self, document_id: str) -> None:
        """Count a document without text."""
        self.empty += 1
        if len(self.empty_ids) < NAMED:
            self.empty_ids.append(document_id)


def clean(text: str) -> str:
    """`text` with LF line ends, without control characters, lone surrogates and characters that divide a word unseen.

    Offsets of passages refer to the cleaned text. Only CRLF and those unseen characters change its length.
    """
    if text.isprintable():  # contains none of these
        return text
    text = UNSEEN.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return without_surrogates(CONTROL.sub(" ", text))


def one_line(title: str) -> str:
    """`title` as one line, without surrounding quotes."""
    title = " ".join(clean(title).split())
    return title[1:-1].strip() if len(title) > 1 and title[0] == title[-1] == '"' else title


def subject(passage: Passage) -> str:
    """The entity that a passage's title names, without a trailing parenthesis or, in the factbook, the section.

    `Mercury (planet)` becomes Mercury, the factbook's `France: Geography` becomes France, and `2001: A Space Odyssey`
    stays as it is.
    """
    title = passage.title
    return named_by(title.split(": ", 1)[0] if passage.document_id.startswith(SECTIONED) else title)


def named_by(title: str) -> str:
    """`title` without trailing parentheses."""
    name = title.strip()
    while (shorter := QUALIFIER.sub("", name)) != name:
        name = shorter
    return name
