"""Turns a record of a corpus file into a document: finds the fields with id, title and text by their usual names."""

import datetime
import decimal
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

from questwell.retrieval.corpora.documents import CONTROL, Document, clean, one_line
from questwell.text.unicode import SURROGATE, without_surrogates

IDS = ("id", "_id", "docid", "doc_id", "document_id", "pid", "passage_id", "psg_id", "idx", "docno", "corpusid", "uuid")
"""BEIR, BrowseComp-Plus, Tevatron, MS MARCO, DPR, HippoRAG, TREC, S2ORC; the first that a record has counts."""
TITLES = (
    *("title", "doc_title", "page_title", "heading", "wikipedia_title", "document_title", "article_title"),
    "headline",
)
TEXTS = (
    *("contents", "text", "content", "body", "passage", "passage_text", "paragraph_text", "segment"),
    *("page_content", "markdown", "document_text", "chunk", "chunk_text", "paragraph", "paragraphs", "article"),
    *("document", "abstract"),
)
"""`page_content` is LangChain's, `markdown` that of crawlers, `document_text` that of Natural Questions."""
OTHERS = ("licence", "license", "metadata")
_SHOWN = 12
_EXACT = 2**53
"""Whole numbers from here on are not exact as floats."""
_DEEPEST = 8
"""Number of objects within one another that metadata may have."""


@dataclass(frozen=True, slots=True)
class FieldNames:
    """Field names that the user gave; for an empty name the usual names are tried."""

    id: str = ""
    title: str = ""
    text: str = ""

    def columns(self, present: Iterable[str]) -> list[str]:
        """Those of the columns `present` that are needed to make a document."""
        wanted = {*IDS, *TITLES, *TEXTS, *OTHERS} | {name.casefold() for name in (self.id, self.title, self.text)}
        return [name for name in present if name.casefold() in wanted]


KNOWN_NAMES = FieldNames()
"""Names for a user who gave none: only the usual names are tried."""


class DocumentMaker:
    """Makes the documents of one file. The first well-formed record decides whether its records have ids."""

    def __init__(self, names: FieldNames, licence: str) -> None:
        self._names = names
        self._licence = licence
        self._ids_given: bool | None = None

    def make(self, record: Mapping[str, Any]) -> Document:
        """The document of a record.

        Raises:
            ValueError: a field is missing or has a wrong type; the message names it and the existing fields.
        """
        record = _unwrapped(record)
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
        title = "" if stated is None else one_line(_title(name, stated))
        name, value = _find(record, self._names.text, TEXTS)
        if value is None and not _names_one(record, self._names.text, TEXTS):
            raise ValueError(_missing(self._names.text or "text", TEXTS if not self._names.text else (), record))
        if is_pair(value):
            title, value = title or one_line(value[0]), value[1]
        text = "" if value is None else clean(as_text(name, value))
        if name.casefold() != "contents" and not isinstance(value, list):
            return title, text
        first, newline, rest = text.partition("\n")
        if not stated and name.casefold() == "contents":
            return (one_line(first), rest) if newline else ("", text)
        return title, rest if newline and title and one_line(first) == title else text  # KILT repeats it


def content_id(title: str, text: str) -> str:
    """An id that depends only on title and text."""
    return "text:" + hashlib.sha256(f"{title}\0{text}".encode("utf-8", "replace")).hexdigest()[:16]


def _unwrapped(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a hit of Elasticsearch or OpenSearch, as their dumps have it; any other record as it is."""
    source = cast(object, record.get("_source"))
    return {"_id": record.get("_id"), **cast(dict[str, Any], source)} if isinstance(source, dict) else record


def _find(record: Mapping[str, Any], named: str, known: tuple[str, ...]) -> tuple[str, Any]:
    """(name, value) of the first of these fields in the record, ignoring case; None if it has none of them.

    A blank title or text counts only if no other field of the same kind holds a text.
    """
    blank: tuple[str, Any] | None = None
    for name in _present(record, (named,) if named else known):
        value = record[name]
        if known is not IDS and isinstance(value, str) and not value.strip():
            blank = blank or (name, value)
        elif not _nothing(value) and (blank is None or isinstance(value, str)):
            return name, value
    return blank or (named or known[0], None)


def _present(record: Mapping[str, Any], names: Iterable[str]) -> Iterator[str]:
    """Those of `names` that the record has, then its fields that differ from one of them in case only."""
    yield from (name for name in names if name in record)
    small = {name.casefold(): name for name in record}
    yield from (small[name.casefold()] for name in names if name.casefold() in small)


def _nothing(value: object) -> bool:
    """Whether a field has no value: null, or the NaN that pandas writes for it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _names_one(record: Mapping[str, Any], named: str, known: tuple[str, ...]) -> bool:
    """Whether the record has one of these fields, if only without a value."""
    wanted = {name.casefold() for name in ((named,) if named else known)}
    return any(name.casefold() in wanted for name in record)


def _missing(field: str, also: tuple[str, ...], record: Mapping[str, Any]) -> str:
    there = sorted(map(str, record))
    listed = ", ".join(there[:_SHOWN]) + (f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else "")
    there_are = f"; the record has {listed or 'no field'}"
    if not also:
        return f"field {field!r} is missing{there_are}"
    others = ", ".join(name for name in also if name != field)
    return f"field {field!r} is missing (also looked for: {others}){there_are}: name yours by --{field}-field"


def _identifier(name: str, value: object) -> str:
    """The id `value` as a string.

    Raises:
        ValueError: it is neither text nor a whole number, is blank, or is not valid Unicode.
    """
    if (number := _whole(value)) is not None:
        return str(number)
    if isinstance(value, bytes):
        value = _decoded(name, value)
    if isinstance(value, dict) and list(cast(dict[str, Any], value)) in (["$oid"], ["$numberLong"]):
        (value,) = cast(dict[str, object], value).values()  # MongoDB's export
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"field {name!r} must be a string or a whole number, not {value!r}")
    if SURROGATE.search(value) or CONTROL.search(value):
        raise ValueError(f"field {name!r} contains control characters or half of a character: {value!r}")
    return value


def _whole(value: object) -> int | None:
    """A whole number, which pandas writes as `1.0` where a column has gaps; None if it is something else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float | decimal.Decimal) and value == value // 1 and abs(value) < _EXACT:
        return int(value)
    return value if isinstance(value, int) else None


def _title(name: str, value: object) -> str:
    """A title, which may be a number: `1984`."""
    number = _whole(value)
    return as_text(name, value) if number is None else str(number)


def is_pair(value: object) -> TypeGuard[list[Any]]:
    """Whether `value` is a title and its sentences, as HotpotQA has a paragraph."""
    pair = cast(list[object], value) if isinstance(value, list) else []
    return len(pair) == 2 and isinstance(pair[0], str) and is_sentences(pair[1])


def is_sentences(value: object) -> TypeGuard[list[str]]:
    """Whether `value` is a list of texts."""
    return isinstance(value, list) and all(isinstance(one, str) for one in cast(list[object], value))


def as_text(name: str, value: object) -> str:
    """A text; a list of sentences as one, of lists of sentences as paragraphs; bytes are read as UTF-8.

    Raises:
        ValueError: it is something else; says which field.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return _decoded(name, value)
    if isinstance(value, list):
        parts = [one for one in cast(list[object], value) if one is not None]
        if parts and all(is_sentences(part) for part in parts):
            return "\n".join(_joined(cast(list[str], part)) for part in parts)
        if is_sentences(parts):
            return _joined(parts)
        held = next(type(part).__name__ for part in parts if not isinstance(part, str))
        raise ValueError(f"field {name!r} must be a string or a list of strings, not a list that holds {held}")
    raise ValueError(f"field {name!r} must be a string, not {type(value).__name__}")


def _joined(sentences: list[str]) -> str:
    """The sentences, one space between those that have no white space there."""
    pieces: list[str] = []
    for sentence in sentences:
        apart = not pieces or sentence[:1].isspace() or pieces[-1][-1:].isspace()
        pieces.append(sentence if apart else f" {sentence}")
    return "".join(pieces)


def _decoded(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"field {name!r} is not UTF-8 ({error.reason} at byte {error.start})") from error


def _metadata(values: object) -> Iterator[tuple[str, str]]:
    """(key, value) pairs of a record's `metadata`; a list becomes one pair per value.

    An object within it gives the keys `outer.inner`.

    Raises:
        ValueError: it is no object, or holds something else than texts, numbers, truth values, dates and lists of them.
    """
    if isinstance(values, str) and values.lstrip().startswith("{"):  # JSON in a column of a table
        try:
            values = json.loads(values)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"field 'metadata' is not a JSON object ({error})") from error
    if values is None or values == "":
        return
    if isinstance(values, dict):
        yield from _pairs("", cast(dict[object, object], values), _DEEPEST)
        return
    pairs = cast(list[object], values) if isinstance(values, list) else []
    if not pairs or not all(isinstance(one, tuple) for one in pairs):
        raise ValueError(f"field 'metadata' must be an object, not {type(cast(object, values)).__name__}")
    yield from _pairs("", dict(cast(list[tuple[object, object]], pairs)), _DEEPEST)  # a map of parquet


def _pairs(before: str, values: Mapping[object, object], deepest: int) -> Iterator[tuple[str, str]]:
    for inner, value in values.items():
        key = f"{before}{inner}"
        if isinstance(value, dict) and deepest:
            yield from _pairs(f"{key}.", cast(dict[object, object], value), deepest - 1)
            continue
        singles = cast(list[object], value) if isinstance(value, list) else [cast(object, value)]
        for single in singles:
            if not _nothing(single):
                yield without_surrogates(key), metadata_value(key, single)


def metadata_value(key: str, value: object) -> str:
    """A value of metadata or of a filter as the text to compare: strings unchanged, other values as JSON.

    Raises:
        ValueError: it is neither text, number, date nor truth value.
    """
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if not isinstance(value, int | float):
        raise ValueError(f"metadata {key!r} must be text, a number or a truth value, not {type(value).__name__}")
    return json.dumps(cast(object, value))
