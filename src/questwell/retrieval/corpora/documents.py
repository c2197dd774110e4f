"""What readers give: whole documents, before they are cut into passages, and a report of what could not be read."""

import re
from dataclasses import dataclass, field

from questwell.text.unicode import without_surrogates
from questwell.types.corpus import Passage

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
NAMED = 5
"""Number of documents without text that are named."""
QUALIFIER = re.compile(r"(?<=\S)\s+\((?:[^()]|\([^()]*\))*\)$")
"""A trailing parenthesis that tells apart what has the same name."""

SECTIONED = "factbook/"
"""Beginning of the ids of documents whose titles are `name: section`."""


@dataclass(frozen=True, slots=True)
class Document:
    """One text of a corpus."""

    id: str
    title: str
    """May be empty."""
    text: str
    """Without the title; cleaned (`clean`)."""
    licence: str = ""
    links: tuple[str, ...] = ()
    """Names in `text` that point to another document's title."""
    metadata: tuple[tuple[str, str], ...] = ()
    """Metadata that a search can filter by, as (key, value)."""
    made_id: bool = False
    """The corpus states no ids: this one is made from title and text."""


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that was skipped."""

    place: str
    """File and line."""
    problem: str


@dataclass(slots=True)
class ReadReport:
    """The report on reading a corpus; filled while it is read."""

    documents: int = 0
    empty: int = 0
    """Documents without text: they give no passage."""
    empty_ids: list[str] = field(default_factory=list[str])
    """Ids of the first of them."""
    repeated: int = 0
    """Documents that were left out because an earlier one has their id."""
    bad: list[BadRecord] = field(default_factory=list[BadRecord])
    """Malformed records, skipped because the user asked for it."""
    left_out: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Names of files in the corpus' folder that are not read, by reason."""

    @property
    def incomplete(self) -> bool:
        """Whether anything was skipped or left out that the user should hear of."""
        return bool(self.bad or self.left_out or self.repeated or self.empty)

    def note_empty(self, document_id: str) -> None:
        """Count a document without text."""
        self.empty += 1
        if len(self.empty_ids) < NAMED:
            self.empty_ids.append(document_id)


def clean(text: str) -> str:
    """`text` with LF line ends, and without byte order mark, control characters and lone surrogates.

    Offsets of passages count in the cleaned text; only CRLF and the mark change its length.
    """
    if text.isprintable():  # none of these
        return text
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return without_surrogates(CONTROL.sub(" ", text))


def one_line(title: str) -> str:
    """A title as one line, without surrounding quotes."""
    title = " ".join(clean(title).split())
    return title[1:-1].strip() if len(title) > 1 and title[0] == title[-1] == '"' else title


def subject(passage: Passage) -> str:
    """The entity that a passage's title names: without a trailing parenthesis, and of the factbook without the section.

    `Mercury (planet)` names Mercury, the factbook's `France: Geography` France; `2001: A Space Odyssey` names itself.
    """
    title = passage.title
    return named_by(title.split(": ", 1)[0] if passage.document_id.startswith(SECTIONED) else title)


def named_by(title: str) -> str:
    """The name in a title, without trailing parentheses."""
    name = title.strip()
    while (shorter := QUALIFIER.sub("", name)) != name:
        name = shorter
    return name
