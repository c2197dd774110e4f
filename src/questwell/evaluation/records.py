"""Records of a benchmark file, whatever holds them: JSON, JSON lines, CSV, TSV or parquet."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast

import pyarrow.parquet as pq

from questwell.errors import BenchmarkError
from questwell.text.files import lines, read_text

Record: TypeAlias = Mapping[str, Any]
"""A record as its file has it: not checked yet."""

SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".parquet")


def records(path: Path) -> Iterator[tuple[str, Record]]:
    """Each record with its place, for messages (`dev.jsonl:12`).

    Raises:
        BenchmarkError: the file cannot be read as what its name ends in.
    """
    try:
        match path.suffix:
            case ".jsonl":
                found = _json_lines(path)
            case ".json":
                found = _json(path)
            case ".csv" | ".tsv":
                found = _table(path)
            case ".parquet":
                found = _parquet(path)
            case suffix:
                raise BenchmarkError(f"{path}: a name that ends in {suffix!r}; known are {', '.join(SUFFIXES)}")
        for number, record in found:
            if not isinstance(record, dict):
                raise BenchmarkError(f"{path.name}:{number}: a record is {type(record).__name__}, not an object")
            yield f"{path.name}:{number}", cast(Record, record)
    except (OSError, ValueError, csv.Error) as error:
        raise BenchmarkError(f"{path} cannot be read: {error}") from error


def _json_lines(path: Path) -> Iterator[tuple[int, object]]:
    for line in lines(path, BenchmarkError):
        try:
            yield line.number, line.json()
        except ValueError as error:
            raise BenchmarkError(f"{line.place}: {error}. Correct the line, or delete it") from error


def _json(path: Path) -> Iterator[tuple[int, object]]:
    """The elements of a list, or of the list under `Data` (TriviaQA)."""
    tree = json.loads(read_text(path, BenchmarkError))
    if isinstance(tree, dict):
        tree = cast(dict[str, object], tree).get("Data")
    if not isinstance(tree, list):
        raise ValueError("neither a list of records nor an object with a list under `Data`")
    yield from enumerate(cast(list[object], tree), 1)


def _table(path: Path) -> Iterator[tuple[int, object]]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from enumerate(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","), 1)


def _parquet(path: Path) -> Iterator[tuple[int, object]]:
    number = 0
    with pq.ParquetFile(path) as file:  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        for batch in file.iter_batches(256):  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
            for record in cast(list[object], batch.to_pylist()):  # pyright: ignore[reportUnknownMemberType]
                number += 1
                yield number, record
