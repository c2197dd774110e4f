"""Reads the records of a benchmark file: JSON, JSON lines, CSV, TSV, parquet or arrow, detected by content."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast

from questwell.errors import BenchmarkError
from questwell.retrieval.corpora.forms import RECORDS, form_of, hint
from questwell.retrieval.corpora.records import read_records

Record: TypeAlias = Mapping[str, Any]
"""A record of a file, not checked yet."""


def records(path: Path) -> Iterator[tuple[str, Record]]:
    """Yield each record after its place for messages (`dev.jsonl:12`).

    Raises:
        BenchmarkError: the file cannot be read, or does not contain records.
    """
    try:
        form = form_of(path)
    except OSError as error:
        raise BenchmarkError(f"{path} cannot be read: {error.strerror or error}") from error
    if form not in RECORDS:
        held = f"{form} ({known})" if (known := hint(path)) else form
        raise BenchmarkError(f"{path} holds {held}; JSON, JSON lines, CSV, TSV, parquet or arrow is expected")
    for row in read_records(path, form):
        place = f"{path.name}:{row.place.rpartition(' ')[2]}"
        if row.record is None:
            raise BenchmarkError(f"{place}: {row.problem}")
        for record in _questions_of(row.record):
            yield place, record


def _questions_of(record: dict[str, Any]) -> Iterator[Record]:
    """Yield the record itself; for a SQuAD article or a passage of MRQA, one record per question; no header of MRQA."""
    if "qas" in record and "question" not in record:
        record = {"paragraphs": [record]}
    elif record.keys() == {"header"}:
        return
    paragraphs = cast(object, record.get("paragraphs"))
    listed = cast(list[object], paragraphs) if isinstance(paragraphs, list) else []
    holding = [cast(dict[str, Any], one) for one in listed if isinstance(one, dict) and "qas" in one]
    if not holding or "question" in record:
        yield record
        return
    for paragraph in holding:
        for question in cast(list[dict[str, Any]], paragraph["qas"] or []):
            yield {"title": record.get("title"), **question}
