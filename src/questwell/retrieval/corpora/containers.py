"""A JSON value to records: an object that holds a list, columns or records by id; a text; a title and sentences."""

import json
from collections.abc import Iterator
from typing import Any, cast

from questwell.retrieval.corpora.fields import IDS, TEXTS, TITLES, is_pair, is_sentences

CONTAINERS = ("Data", "data", "corpus", "documents", "docs", "passages", "examples", "questions", "rows", "hits")
"""Names under which an object holds its list of records (TriviaQA's `Data`, SQuAD's `data`, OpenSearch's `hits`)."""
SPLITS = ("train", "dev", "validation", "valid", "val", "test")
"""Names of the parts of a data set, each a list of records: all are read."""
_QUESTIONS = {"question", "questions", "query", "problem", "prompt", "answer"}
_COLUMNS = {*TEXTS, *TITLES, *_QUESTIONS}
_OF_A_RECORD = {*TEXTS, *_QUESTIONS}
_OF_A_DOCUMENT = {*IDS, *TITLES}
_TALKS = {"messages", "conversations", "conversation", "prompt"}
"""Names of lists of messages, which are parts of a record."""
_MANY = 20
"""Number of texts in an object from which its keys are taken for ids."""


def records_in(value: object, *, texts: bool = False) -> Iterator[object]:
    """What a value of a file holds: objects, and whatever else there is in the place of one.

    Args:
        value: as it was parsed.
        texts: make an object of a text, and of a title with its sentences.
    """
    held: list[object] = []
    if isinstance(value, dict):
        held = held_by(cast(dict[str, Any], value))
    elif not is_pair(value):
        held = _objects(value)
    yield from (_as_record(one) if texts else one for one in held or [value])


def wrong(value: object) -> str:
    """The problem of a value that is no record."""
    written = json.dumps(value, ensure_ascii=False, default=str)
    shown = written if len(written) <= 60 else f"{written[:60]}..."
    return f"expected a JSON object, not {type(value).__name__} ({shown})"


def held_by(value: dict[str, Any]) -> list[object]:
    """Records held by an object, by name, column, id or title; empty: it is a record itself."""
    if any(isinstance(held, str) and name.casefold() in _OF_A_RECORD for name, held in value.items()):
        return []
    if held := _split(value):
        return held
    for name in CONTAINERS:
        inner = cast(object, value.get(name))
        if isinstance(inner, dict):
            held = held_by(cast(dict[str, Any], inner))
        else:
            held = _objects(inner) or ([] if _has_its_own(value) else _texts(inner))
        if held:
            return held
    if held := [record for name in SPLITS for record in _objects(value.get(name))]:
        return held
    return _from_columns(value) or _only_list(value) or _by_key(value)


def _as_record(value: object) -> object:
    """A text, or a title with its sentences, as an object; everything else as it is."""
    if isinstance(value, str):
        return {"text": value}
    if is_pair(value):
        return {"title": value[0], "text": value[1]}
    return value


def _objects(held: object) -> list[object]:
    """The objects in a list; none if it is no list of them."""
    listed = cast(list[object], held) if isinstance(held, list) else []
    return listed if all(isinstance(one, dict) for one in listed) else []


def _texts(held: object) -> list[object]:
    """The texts in a list, or titles with their sentences; none if it holds something else."""
    listed = cast(list[object], held) if isinstance(held, list) else []
    return listed if all(isinstance(one, str) or is_pair(one) for one in listed) else []


def _has_its_own(value: dict[str, Any]) -> bool:
    """Whether an object has an id or a title, so that what it holds is a part of it."""
    return any(name.casefold() in _OF_A_DOCUMENT for name in value)


def _split(value: dict[str, Any]) -> list[object]:
    """The records of an object that has names and rows apart, as pandas writes `orient="split"`."""
    names, rows = cast(object, value.get("columns")), cast(object, value.get("data"))
    if not is_sentences(names) or not isinstance(rows, list):
        return []
    cells = [cast(list[object], row) for row in cast(list[object], rows) if isinstance(row, list)]
    if len(cells) < len(cast(list[object], rows)) or any(len(row) != len(names) for row in cells):
        return []
    return [dict(zip(names, row, strict=True)) for row in cells]


def _from_columns(value: dict[str, Any]) -> list[object]:
    """The records of an object that holds columns: lists of one length, or cells by row (as pandas writes them)."""
    if len(value) < 2 or not any(name.casefold() in _COLUMNS for name in value):
        return []
    columns = list(value.values())
    if all(isinstance(column, dict) for column in columns):
        keys = [tuple(cast(dict[str, object], column)) for column in columns]
        columns = [list(cast(dict[str, object], column).values()) for column in columns]
    elif all(isinstance(column, list) for column in columns):
        keys = [len(cast(list[object], column)) for column in columns]
    else:
        return []
    if len(set(keys)) != 1:
        return []
    return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]


def _only_list(value: dict[str, Any]) -> list[object]:
    """The one list of objects in an object that has neither id nor title of its own, whatever its name."""
    if _has_its_own(value) or any(name.casefold() in _TALKS for name in value):
        return []
    inner = [cast(object, one) for one in value.values() if isinstance(one, list | dict)]
    return _objects(inner[0]) if len(inner) == 1 else []


def _by_key(value: dict[str, Any]) -> list[object]:
    """Records or texts by id, or sentences by title (HippoRAG)."""
    values = list(value.values())
    if values and all(isinstance(one, dict) for one in values):
        if len(values) > 1 or any(str(name).casefold() in _OF_A_RECORD for name in values[0]):
            return [{"id": key, **one} for key, one in value.items()]
    elif len(values) > 1 and all(is_sentences(one) for one in values):
        return [{"title": key, "text": one} for key, one in value.items()]
    elif len(values) > 1 and all(isinstance(one, str) for one in values) and _are_ids(value):
        return [{"id": key, "text": one} for key, one in value.items()]
    return []


def _are_ids(value: dict[str, Any]) -> bool:
    """Whether the keys of texts are ids, and not names of fields: there are many, or each has a digit, `/` or space."""
    return len(value) >= _MANY or all(any(char.isdigit() or char in "/ " for char in key) for key in value)
