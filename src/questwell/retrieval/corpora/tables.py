"""Reads rows of CSV and TSV. A stray quote must never swallow the rows after it."""

import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from questwell.retrieval.corpora.fields import IDS, TEXTS, TITLES
from questwell.retrieval.corpora.packed import HEAD, head_of_text, text_of
from questwell.text.unicode import SURROGATE

DELIMITERS = "\t,;|"
SEPARATOR = "sep="
"""Beginning of a first line in which a spreadsheet states its separator, such as `sep=;`."""
_KNOWN = {*IDS, *TITLES, *TEXTS}
LOOKED_AT = 64 * HEAD
"""Number of bytes at the start of a table from which we decide whether each line is a row."""
_NUMBERED = re.compile(r"([^\s\d]*)(\d{1,18})", re.ASCII)
Found = tuple[str, dict[str, Any] | None, str]


def read_table(path: Path) -> Iterator[Found]:
    """(place, record, problem) of each row, with keys from the first row; may raise any of `packed.FAULTS`.

    Two columns without names are read as ids and texts, or as questions and lists of answers (`_nameless`).
    """
    csv.field_size_limit(sys.maxsize)
    start = head_of_text(path)
    only_cr = b"\r" in start and b"\n" not in start
    first = start.split(b"\r" if only_cr else b"\n", 1)[0].decode("utf-8", "surrogateescape").rstrip("\r")
    said = first[len(SEPARATOR) :] if first.lower().startswith(SEPARATOR) else ""
    delimiter = said if said and said in DELIMITERS else max(DELIMITERS, key=lambda one: _fits(one, first))
    with text_of(path) as file:
        by_lines = delimiter == "\t" and not only_cr and _lines_are_rows(_decoded(file.readlines(LOOKED_AT)))
    with text_of(path) as file:
        lines = _decoded(_ended_by_lf(file, only_cr))
        rows = _split(lines) if by_lines else _parse(lines, delimiter)
        names: list[str] | None = None
        header: list[str] | None = None
        for number, row, problem in rows:
            if (said and number == 1) or (row is not None and (not any(map(str.strip, row)) or _plain(row) == header)):
                continue  # a spreadsheet's empty row, or the names again where files were put together
            if names is None and row is not None:
                names = _nameless(row)
                if names is None:
                    header = _plain(row)
                    names = _numbered(header)
                    if twice := _twice(header):
                        yield f"line {number}", None, f"two columns are named {twice!r}: rename one of them"
                        return
                    continue
            if not problem and row is not None and names is not None:
                problem = _check(row, names)
            if problem or row is None or names is None:
                yield f"line {number}", None, problem
            else:
                yield f"line {number}", dict(zip(names, row, strict=True)), ""


def _plain(row: list[str]) -> list[str]:
    """The cells of a row as column names: without the byte order mark and the space around them."""
    return [cell.removeprefix("\ufeff").strip() for cell in row]


def _fits(delimiter: str, first: str) -> tuple[int, int]:
    """How well a delimiter fits the first line: known names between its occurrences, and how many these are."""
    names = [name.strip('" ').casefold() for name in first.split(delimiter)]
    return sum(name in _KNOWN for name in names) if len(names) > 1 else 0, len(names)


def _twice(names: list[str]) -> str:
    """A column name that occurs twice; empty if there is none."""
    known = [name for name in names if name.casefold() in _KNOWN]
    return next((name for at, name in enumerate(known) if name in known[:at]), "")


def _numbered(names: list[str]) -> list[str]:
    """Column names without repeats: a second `note` becomes `note.2`."""
    return [
        name if name not in names[:at] else f"{name}.{names[: at + 1].count(name)}" for at, name in enumerate(names)
    ]


def _ended_by_lf(file: IO[bytes], only_cr: bool) -> Iterator[bytes]:
    """The lines of a file, which may end with CR alone, as those of old Macs do."""
    if not only_cr:
        yield from file
        return
    text = io.TextIOWrapper(file, "utf-8", "surrogateescape")
    try:
        yield from (line.encode("utf-8", "surrogateescape") for line in text)
    finally:
        text.detach()


def _decoded(lines: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield (line.removeprefix(b"\xef\xbb\xbf") if not number else line).decode("utf-8", "surrogateescape")


def _nameless(row: list[str]) -> list[str] | None:
    """Column names of a table whose first row is data; None if the first row contains the names."""
    if len(row) != 2:
        return None
    if row[0].isdigit():
        return ["id", "text"]  # MS MARCO's collection.tsv
    return ["question", "answers"] if row[1].startswith("[") and row[1].endswith("]") else None  # DPR's nq-test.qa.csv


def _check(row: list[str], names: list[str]) -> str:
    if any(SURROGATE.search(value) for value in row):
        return "not UTF-8: save the file as UTF-8"
    if any("\0" in value for value in row):
        return "it holds a NUL byte, as no text does"
    if len(row) != len(names):
        return f"{len(row)} fields under {len(names)} column names ({', '.join(names)}); look for a stray quote"
    return ""


def _lines_are_rows(lines: Iterable[str]) -> bool:
    """Whether every line has as many tabs as the first, which means that no field contains a line end."""
    counts = {line.count("\t") for line in lines if line.strip("\r\n")}
    return len(counts) == 1


def _split(lines: Iterable[str]) -> Iterator[tuple[int, list[str] | None, str]]:
    for number, line in enumerate(lines, start=1):
        if line.strip("\r\n"):
            yield number, [_unquoted(field) for field in line.rstrip("\r\n").split("\t")], ""


def _unquoted(field: str) -> str:
    """The field without quotes if they enclose all of it and inner quotes are doubled; otherwise unchanged."""
    inner = field[1:-1]
    if len(field) < 2 or field[0] != '"' or field[-1] != '"' or '"' in inner.replace('""', ""):
        return field
    return inner.replace('""', '"')


def _parse(lines: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str] | None, str]]:
    held: list[str] = []

    def noted() -> Iterator[str]:
        for line in lines:
            held.append(line)
            yield line

    reader = csv.reader(noted(), delimiter=delimiter, strict=True)
    while True:
        before = reader.line_num
        held.clear()
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield before + 1, None, f"not {'TSV' if delimiter == chr(9) else 'CSV'} ({error}); look for a stray quote"
            continue
        if row:
            yield before + 1, row, _joined(held, len(row), delimiter)


def _joined(lines: list[str], fields: int, delimiter: str) -> str:
    """The problem of a row over several lines, each of which looks like a row of its own; empty if there is none.

    Text may hold as many commas as a row has, so with other delimiters than tabs the lines must begin with ids in turn.
    """
    if len(lines) < 2 or fields < 2 or any(line.count(delimiter) < fields - 1 for line in lines):
        return ""
    ids = [line.split(delimiter, 1)[0].strip('" ') for line in lines]
    if delimiter != "\t" and not all(_next(one) == other for one, other in pairwise(ids)):
        return ""
    return f"a lone quote joins {len(lines)} lines, each of which looks like a row; look for a stray quote"


def _next(name: str) -> str | None:
    """The id after one that ends with a number: `q13` after `q12`; None if it ends with none."""
    found = _NUMBERED.fullmatch(name)
    return None if found is None else f"{found[1]}{int(found[2]) + 1:0{len(found[2])}}"
