"""The records of a file, whatever holds them: JSON, JSON lines, CSV, TSV, parquet or arrow.

What cannot be read comes as a problem in the record's place, so that the caller may stop or skip it.
"""

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from questwell.retrieval.corpora.fields import TEXTS, TITLES
from questwell.retrieval.corpora.forms import Form
from questwell.retrieval.corpora.packed import ARROW_ERROR, FAULTS, fault, head, head_of_text, text_of
from questwell.retrieval.corpora.tables import read_table
from questwell.text.files import numbered, parse_json

BATCH = 1_000
"""Rows of a parquet file in memory at a time."""
CHUNK = 1 << 20
CONTAINERS = ("Data", "data", "corpus", "documents", "docs", "passages", "examples", "questions", "rows")
"""Names under which an object holds its list of records (TriviaQA's `Data`, SQuAD's `data`)."""
SPLITS = ("train", "dev", "validation", "valid", "val", "test")
"""Names of the parts of a data set, each a list of records: all are read."""
_COLUMNS = {*TEXTS, *TITLES, "question", "questions", "query", "problem", "prompt", "answer"}
SPACE = re.compile(r"[ \t\n\r,]*")
SAMPLE_LINES = 5

Columns = Callable[[list[str]], list[str]]


class Row(NamedTuple):
    """One record of a file."""

    place: str
    """Line, row or element, as in `line 3`."""
    record: dict[str, Any] | None
    """None: it could not be read."""
    problem: str = ""


def read_records(path: Path, form: Form, columns: Columns = list) -> Iterator[Row]:
    """The records of a file in its order; `columns` chooses among those of parquet and arrow.

    A file that breaks off ends with a row that says so.
    """
    place = "the beginning"
    try:
        match form:
            case Form.PARQUET:
                rows = _parquet(path, columns)
            case Form.ARROW:
                rows = _arrow(path, columns)
            case Form.TABLE:
                rows = (Row(*found) for found in read_table(path))
            case _:
                rows = _json(path)
        for row in rows:
            place = row.place
            yield row
    except FAULTS as error:
        yield Row(f"after {place}" if place[0] in "lre" else place, None, fault(error))


def parse_line(line: bytes) -> dict[str, Any]:
    """The JSON object in `line`, which may end with the comma of an array.

    Raises:
        ValueError: it holds none; says why.
    """
    line = line.rstrip()
    record = parse_json(line[:-1] if line.endswith(b"},") else line)
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object, not {type(record).__name__}")
    return cast(dict[str, Any], record)


def _json(path: Path) -> Iterator[Row]:
    start = head_of_text(path)
    with text_of(path) as file:
        yield from _lines(file) if _is_lines(start) else _values(file)


def _is_lines(start: bytes) -> bool:
    """Whether the content is one object a line: one of the first lines is a whole one, or no other form fits."""
    if start.lstrip()[:1] == b"[" and not start.lstrip().startswith(b"[" * 100):
        return False
    lines = [line for line in start.split(b"\n")[:SAMPLE_LINES] if line.strip()]
    for line in lines:
        try:
            return not _container(parse_line(line)) or len(lines) > 1
        except ValueError:
            continue
    if not lines:
        return True
    pretty = lines[0].strip() == b"{" or len(start) == len(lines[0]) or _opens_container(lines[0])
    return not pretty


def _opens_container(line: bytes) -> bool:
    return any(re.match(rb'\s*\{\s*"' + name.encode() + rb'"\s*:\s*\[', line) for name in (*CONTAINERS, *SPLITS))


def _lines(file: IO[bytes]) -> Iterator[Row]:
    for number, line in numbered(file):
        try:
            yield Row(f"line {number}", parse_line(line))
        except ValueError as error:
            yield Row(f"line {number}", None, str(error))


def _values(file: IO[bytes]) -> Iterator[Row]:
    """The elements of an array, those in a container object, or objects one after another; read piece by piece."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    number = 0
    try:
        for value in _elements(text):
            for record in _contained(value):
                number += 1
                if isinstance(record, dict):
                    yield Row(f"record {number}", cast(dict[str, Any], record))
                else:
                    yield Row(f"record {number}", None, f"expected a JSON object, not {type(record).__name__}")
    except UnicodeDecodeError as error:
        yield Row(f"record {number + 1}", None, f"not UTF-8 ({error.reason})")
    except RecursionError:
        yield Row(f"record {number + 1}", None, "not JSON that can be read (nested too deep)")
    except ValueError as error:
        yield Row(f"record {number + 1}", None, f"not JSON ({error})")
    finally:
        text.detach()


def _elements(file: io.TextIOWrapper) -> Iterator[object]:
    """JSON values one after another; of an array, its elements. Only one value is in memory at a time.

    Raises:
        ValueError: what comes next is not JSON, or the array is not closed.
    """
    decode = json.JSONDecoder().raw_decode
    held, ended = file.read(CHUNK), False
    at = _skip(held, 0)
    closing = held[at : at + 1] == "["
    at += closing
    while True:
        at = _skip(held, at)
        if closing and held[at : at + 1] == "]":
            return
        try:
            if at == len(held):
                raise json.JSONDecodeError("it ends too early" if closing else "nothing more", held, at)
            value, after = decode(held, at)
            if after == len(held) and not ended:  # a number may go on
                raise json.JSONDecodeError("it ends too early", held, after)
        except json.JSONDecodeError:
            fresh = "" if ended else file.read(max(CHUNK, len(held) - at))
            if not fresh:
                if ended and (closing or at < len(held)):
                    raise
                if ended:
                    return
                ended = True
                continue
            held, at = held[at:] + fresh, 0
            continue
        yield value
        at = after


def _skip(text: str, at: int) -> int:
    found = SPACE.match(text, at)
    return found.end() if found else at


def _contained(value: object) -> Iterator[object]:
    """`value` itself, or the records that it holds when it is a container."""
    if isinstance(value, dict):
        held = _container(cast(dict[str, Any], value))
        yield from held if held else [cast(object, value)]
    else:
        yield value


def _container(value: dict[str, Any]) -> list[object]:
    """Records held by an object: a list under a known name, or texts and records by title or id (HippoRAG)."""
    for name in CONTAINERS:
        if held := _records_in(value.get(name)):
            return held
    if held := [record for name in SPLITS for record in _records_in(value.get(name))]:
        return held
    if held := _from_columns(value):
        return held
    values = list(value.values())
    if len(values) > 1 and all(isinstance(one, dict) for one in values):
        return [{"id": key, **one} for key, one in value.items()]
    if len(values) > 1 and all(_is_sentences(one) for one in values):
        return [{"title": key, "text": one} for key, one in value.items()]
    return []


def _records_in(held: object) -> list[object]:
    """The records in a list; none if it is no list of them."""
    listed = cast(list[object], held) if isinstance(held, list) else []
    return listed if all(isinstance(one, dict) for one in listed) else []


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


def _is_sentences(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in cast(list[object], value))


def _parquet(path: Path, columns: Columns) -> Iterator[Row]:
    number = 0
    with cast(Any, pq.ParquetFile)(path) as file:
        present = columns(file.schema_arrow.names) or file.schema_arrow.names
        for batch in file.iter_batches(batch_size=BATCH, columns=present):
            yield from _rows(batch, number)
            number += batch.num_rows


def _arrow(path: Path, columns: Columns) -> Iterator[Row]:
    """The rows of an arrow file or of a stream of record batches."""
    arrow = cast(Any, pa)
    number = 0
    with arrow.memory_map(str(path)) as source:
        whole = head(path).startswith(b"ARROW1")
        reader = arrow.ipc.open_file(source) if whole else arrow.ipc.open_stream(source)
        batches = (reader.get_batch(at) for at in range(reader.num_record_batches)) if whole else reader
        present = columns(reader.schema.names) or reader.schema.names
        for batch in batches:
            for start in range(0, batch.num_rows, BATCH):
                piece = batch.slice(start, BATCH).select(present)
                yield from _rows(piece, number)
                number += piece.num_rows


def _rows(batch: Any, before: int) -> Iterator[Row]:  # noqa: ANN401  pyarrow has no types
    try:
        found = [Row(f"row {before + at}", row) for at, row in enumerate(batch.to_pylist(), start=1)]
    except (UnicodeDecodeError, ARROW_ERROR):
        found = [_one_row(batch.slice(at, 1), f"row {before + at + 1}") for at in range(batch.num_rows)]
    yield from found


def _one_row(row: Any, place: str) -> Row:  # noqa: ANN401
    try:
        return Row(place, row.to_pylist()[0])
    except UnicodeDecodeError as error:
        return Row(place, None, f"not UTF-8 ({error.reason} at byte {error.start})")
    except ARROW_ERROR as error:
        return Row(place, None, fault(error))
