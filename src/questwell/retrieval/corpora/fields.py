"""A record of a corpus file to a document: which fields hold id, title and text, under the names in use."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from questwell.retrieval.corpora.documents import CONTROL, Document, clean, one_line
from questwell.text.unicode import SURROGATE, without_surrogates

IDS = ("id", "_id", "docid", "doc_id", "document_id", "pid", "passage_id", "psg_id", "idx")
"""BEIR, BrowseComp-Plus, Tevatron, MS MARCO, DPR, HippoRAG; the first that a record has counts."""
TITLES = ("title", "doc_title", "page_title", "heading")
TEXTS = (
    *("contents", "text", "content", "body", "passage", "passage_text", "paragraph_text", "segment"),
    *("page_content", "markdown"),
)
"""The last two are what LangChain's documents and crawlers that give Markdown have."""
OTHERS = ("licence", "license", "metadata")
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class FieldNames:
    """Fields that the user names; empty: one of the names in use is looked for."""

    id: str = ""
    title: str = ""
    text: str = ""

    def columns(self, present: Iterable[str]) -> list[str]:
        """Those of the `present` columns that a document is made of."""
        wanted = {*IDS, *TITLES, *TEXTS, *OTHERS} | {name.casefold() for name in (self.id, self.title, self.text)}
        return [name for name in present if name.casefold() in wanted]


KNOWN_NAMES = FieldNames()
"""The user names no field."""


class DocumentMaker:
    """Makes the documents of one file. Its first well-formed record decides whether its records have ids."""

    def __init__(self, names: FieldNames, licence: str) -> None:
        self._names = names
        self._licence = licence
        self._ids_given: bool | None = None

    def make(self, record: Mapping[str, Any]) -> Document:
        """The document of a record.

        Raises:
            ValueError: a field is missing or has another type; says which, and which fields there are.
        """
        title, text = self._title_and_text(record)
        name, given = _find(record, self._names.id, IDS)
        if given is None and (self._names.id or self._ids_given):
            raise ValueError(_missing(self._names.id or "id", IDS if not self._names.id else (), record))
        self._ids_given = given is not None if self._ids_given is None else self._ids_given
        stated = record.get("licence") or record.get("license")
        return Document(
            id=content_id(title, text) if given is None else _identifier(name, given),
            title=title,
            text=text,
            licence=stated if isinstance(stated, str) else self._licence,
            metadata=tuple(_metadata(record.get("metadata"))),
            made_id=given is None,
        )

    def _title_and_text(self, record: Mapping[str, Any]) -> tuple[str, str]:
        name, stated = _find(record, self._names.title, TITLES)
        title = "" if stated is None else one_line(_text(name, stated))
        name, value = _find(record, self._names.text, TEXTS)
        if value is None:
            raise ValueError(_missing(self._names.text or "text", TEXTS if not self._names.text else (), record))
        text = clean(_text(name, value))
        if name.casefold() != "contents":
            return title, text
        first, newline, rest = text.partition("\n")
        if not stated:
            return (one_line(first), rest) if newline else ("", text)
        return title, rest if newline and one_line(first) == title else text


def content_id(title: str, text: str) -> str:
    """An id that depends on title and text alone."""
    return "text:" + hashlib.sha256(f"{title}\0{text}".encode("utf-8", "replace")).hexdigest()[:16]


def _find(record: Mapping[str, Any], named: str, known: tuple[str, ...]) -> tuple[str, Any]:
    """Name and value of the first of these fields that the record has, in any case of letters; None: it has none."""
    for name in (named,) if named else known:
        if record.get(name) is not None:
            return name, record[name]
    small = {name.casefold(): name for name in record}
    for name in (named,) if named else known:
        if (there := small.get(name.casefold())) is not None and record[there] is not None:
            return there, record[there]
    return named or known[0], None


def _missing(field: str, also: tuple[str, ...], record: Mapping[str, Any]) -> str:
    there = sorted(map(str, record))
    listed = ", ".join(there[:_SHOWN]) + (f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else "")
    there_are = f"; the record has {listed or 'no field'}"
    if not also:
        return f"field {field!r} is missing{there_are}"
    others = ", ".join(name for name in also if name != field)
    return f"field {field!r} is missing (also looked for: {others}){there_are}: name yours by --{field}-field"


def _identifier(name: str, value: object) -> str:
    """The id as it was given.

    Raises:
        ValueError: it is neither text nor a whole number, is blank, or is no Unicode text.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"field {name!r} must be a string or a whole number, not {value!r}")
    if SURROGATE.search(value) or CONTROL.search(value):
        raise ValueError(f"field {name!r} holds control characters or half of a character: {value!r}")
    return value


def _text(name: str, value: object) -> str:
    """A text; a list of texts (sentences, paragraphs) as one."""
    if isinstance(value, list) and all(isinstance(part, str) for part in cast(list[object], value)):
        parts = cast(list[str], value)
        return "".join(part if not number or part[:1].isspace() else f" {part}" for number, part in enumerate(parts))
    if not isinstance(value, str):
        raise ValueError(f"field {name!r} must be a string, not {type(cast(object, value)).__name__}")
    return value


def _metadata(values: object) -> Iterator[tuple[str, str]]:
    """The pairs of a record's `metadata`, as they were written; a list gives one pair for each of its values.

    Raises:
        ValueError: it is no object, or holds something else than texts, numbers, truth values and lists of them.
    """
    if isinstance(values, str) and values.lstrip().startswith("{"):  # as a column of a table
        try:
            values = json.loads(values)
        except ValueError as error:
            raise ValueError(f"field 'metadata' is not a JSON object ({error})") from error
    if values is None or values == "":
        return
    if not isinstance(values, dict):
        raise ValueError(f"field 'metadata' must be an object, not {type(values).__name__}")
    for key, value in cast(dict[object, object], values).items():
        for single in cast(list[object], value) if isinstance(value, list) else [value]:
            if single is not None:
                yield without_surrogates(str(key)), metadata_value(str(key), single)


def metadata_value(key: str, value: object) -> str:
    """A value of metadata, or of a filter, as the text that is compared: strings as they are, the rest as JSON has it.

    Raises:
        ValueError: it is neither text, number nor truth value.
    """
    if isinstance(value, str):
        return without_surrogates(value)
    if not isinstance(value, int | float):
        raise ValueError(f"metadata {key!r} must be text, a number or a truth value, not {type(value).__name__}")
    return json.dumps(cast(object, value))
