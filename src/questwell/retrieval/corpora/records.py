"""Reads the records of a JSON, JSON-lines, CSV, TSV, parquet or arrow file.

A record that cannot be read is returned as a problem, so that the caller can stop or skip it.
"""

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from questwell.retrieval.corpora.containers import CONTAINERS, SPLITS, held_by, records_in, wrong
from questwell.retrieval.corpora.forms import Form
from questwell.retrieval.corpora.packed import ARROW_ERROR, FAULTS, fault, head, head_of_text, is_packed, text_of
from questwell.retrieval.corpora.tables import read_table
from questwell.retrieval.corpora.wiki import read_wiki
from questwell.text.files import TOO_LONG, mended, numbered, parse_json

BATCH = 1_000
"""Number of rows of a parquet file in memory at a time."""
CHUNK = 1 << 20
SPACE = re.compile(r"[ \t\n\r,]*")
SAMPLE_LINES = 5

Columns = Callable[[list[str]], list[str]]


class Row(NamedTuple):
    """One record of a file."""

    place: str
    """Line, row or element of the record, such as `line 3`."""
    record: dict[str, Any] | None
    """The record; None if it could not be read."""
    problem: str = ""


def read_records(path: Path, form: Form, columns: Columns = list, *, texts: bool = False) -> Iterator[Row]:
    """The records of a file in its order. If the file breaks off, the last row says so.

    Args:
        path: the file.
        form: what it holds.
        columns: chooses among those of parquet and arrow.
        texts: in JSON a text alone, or a title with its sentences, is a record too.
    """
    place = "the beginning"
    try:
        if form in (Form.PARQUET, Form.ARROW) and is_packed(path):
            raise OSError(f"a packed {form} file: unpack it first")
        match form:
            case Form.PARQUET:
                rows = _parquet(path, columns)
            case Form.ARROW:
                rows = _arrow(path, columns)
            case Form.WIKI:
                rows = (Row(*found) for found in read_wiki(path))
            case Form.TABLE:
                rows = (Row(*found) for found in read_table(path))
            case _:
                rows = _json(path, texts)
        for row in rows:
            place = row.place
            yield row
    except FAULTS as error:
        yield Row(f"after {place}" if place[0] in "lre" else place, None, fault(error))


def _value_of(line: bytes) -> object:
    """The JSON value in `line`, which may end with the comma of an array.

    Raises:
        ValueError: the line is not a JSON object; the message says why.
    """
    line = line.rstrip()
    return parse_json(line[:-1] if line.endswith(b"},") else line)


def _json(path: Path, texts: bool) -> Iterator[Row]:
    start = head_of_text(path)
    with text_of(path) as file:
        yield from _lines(file, texts) if _is_lines(start) else _values(file, texts)


def _is_lines(start: bytes) -> bool:
    """Whether the content is one value a line: one of the first lines is a whole one, or no other form fits."""
    lines = [line for line in start.split(b"\n")[:SAMPLE_LINES] if line.strip()]
    if start.lstrip()[:1] == b"[" and not start.lstrip().startswith(b"[" * 100):
        return len(lines) > 1 and _is_whole(lines[0])
    for line in lines:
        try:
            value = _value_of(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            return not held_by(cast(dict[str, Any], value)) or len(lines) > 1
        if line is lines[0]:
            return True
    if not lines:
        return True
    pretty = lines[0].strip() == b"{" or len(start) == len(lines[0]) or _opens_container(lines[0])
    return not pretty


def _is_whole(line: bytes) -> bool:
    try:
        return bool(_value_of(line))
    except ValueError:
        return False


def _opens_container(line: bytes) -> bool:
    return any(re.match(rb'\s*\{\s*"' + name.encode() + rb'"\s*:\s*\[', line) for name in (*CONTAINERS, *SPLITS))


def _lines(file: IO[bytes], texts: bool) -> Iterator[Row]:
    for number, line in numbered(file):
        try:
            value = _value_of(line)
        except ValueError as error:
            yield Row(f"line {number}", None, str(error))
            continue
        if isinstance(value, dict):  # one of several lines: it holds no others
            yield _row(f"line {number}", cast(dict[str, Any], value))
        else:
            yield from (_row(f"line {number}", one) for one in records_in(value, texts=texts))


def _row(place: str, value: object) -> Row:
    if isinstance(value, dict):
        record = cast(dict[str, Any], value)
        inner = cast(object, record.get("row")) if "row_idx" in record else None  # of the hub's server of rows
        return Row(place, cast(dict[str, Any], inner) if isinstance(inner, dict) else record)
    return Row(place, None, wrong(value))


def _values(file: IO[bytes], texts: bool) -> Iterator[Row]:
    """The elements of an array or of a container object, or objects one after another, read in parts."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    number = 0
    problem = ""
    try:
        for value in _elements(text):
            for record in records_in(value, texts=texts):
                number += 1
                yield _row(f"record {number}", record)
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 ({error.reason}): save the file as UTF-8"
    except RecursionError:
        problem = "not JSON that can be read (nested too deep)"
    except json.JSONDecodeError as error:
        problem = f"not JSON ({error.msg})"
    except ValueError:
        problem = TOO_LONG
    finally:
        text.detach()
    if problem:
        yield Row(f"record {number + 1}", None, f"{problem}; nothing after it in the file can be read")


def _elements(file: io.TextIOWrapper) -> Iterator[object]:
    """Consecutive JSON values, or the elements of an array. Only one value is in memory at a time.

    Raises:
        ValueError: what comes next is not JSON, or an array is not closed.
    """
    decode = json.JSONDecoder().raw_decode
    held, ended = file.read(CHUNK), False
    at = _skip(held, 0)
    arrays = held[at : at + 1] == "["
    closing = False
    while True:
        at = _skip(held, at)
        if arrays and held[at : at + 1] == ("]" if closing else "["):
            at, closing = at + 1, not closing
            continue
        try:
            if at == len(held):
                raise json.JSONDecodeError("it ends too early" if closing else "nothing more", held, at)
            if arrays and not closing:
                raise json.JSONDecodeError("something else follows the array", held, at)
            value, after = decode(held, at)
            if after == len(held) and not ended:  # a number may continue
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
        yield mended(value, held[at:after])
        at = after


def _skip(text: str, at: int) -> int:
    found = SPACE.match(text, at)
    return found.end() if found else at


def _twice(present: list[str], wanted: list[str]) -> Row | None:
    """The problem of a table with two columns of one name, if that is one of the `wanted` ones."""
    if (name := next((name for name in wanted if present.count(name) > 1), None)) is None:
        return None
    return Row("the columns", None, f"two columns are named {name!r}: rename one of them")


def _parquet(path: Path, columns: Columns) -> Iterator[Row]:
    number = 0
    with cast(Any, pq.ParquetFile)(path) as file:
        present = columns(file.schema_arrow.names) or file.schema_arrow.names
        if (twice := _twice(file.schema_arrow.names, present)) is not None:
            yield twice
            return
        for batch in file.iter_batches(batch_size=BATCH, columns=present):
            yield from _rows(batch, number)
            number += batch.num_rows


def _arrow(path: Path, columns: Columns) -> Iterator[Row]:
    """The rows of an arrow file or an arrow stream of record batches."""
    arrow = cast(Any, pa)
    number = 0
    with arrow.memory_map(str(path)) as source:
        whole = head(path).startswith(b"ARROW1")
        reader = arrow.ipc.open_file(source) if whole else arrow.ipc.open_stream(source)
        batches = (reader.get_batch(at) for at in range(reader.num_record_batches)) if whole else reader
        present = columns(reader.schema.names) or reader.schema.names
        if (twice := _twice(reader.schema.names, present)) is not None:
            yield twice
            return
        for batch in batches:
            for start in range(0, batch.num_rows, BATCH):
                piece = batch.slice(start, BATCH).select(present)
                yield from _rows(piece, number)
                number += piece.num_rows


def _rows(batch: Any, before: int) -> Iterator[Row]:  # noqa: ANN401  pyarrow has no types
    try:
        found = [Row(f"row {before + at}", row) for at, row in enumerate(batch.to_pylist(), start=1)]
    except (ValueError, OverflowError, ARROW_ERROR):  # bad UTF-8, a date after 9999, an object with a name twice
        found = [_one_row(batch.slice(at, 1), f"row {before + at + 1}") for at in range(batch.num_rows)]
    yield from found


def _one_row(row: Any, place: str) -> Row:  # noqa: ANN401
    try:
        return Row(place, row.to_pylist()[0])
    except UnicodeDecodeError as error:
        return Row(place, None, f"not UTF-8 ({error.reason} at byte {error.start})")
    except (ValueError, OverflowError, ARROW_ERROR) as error:
        return Row(place, None, fault(error))
