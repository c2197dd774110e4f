"""A user's own corpus: JSON lines, parquet, or a folder of text and Markdown; each becomes documents."""

import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from questwell.errors import ConfigError, CorpusError
from questwell.retrieval.corpora.documents import Document, ReadReport, clean, one_line, refuse_or_skip

TEXT_SUFFIXES = (".txt", ".md", ".markdown")
JSON_SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson")
COLUMNS = ("id", "contents", "title", "text", "licence", "license", "metadata")
ARROW_ERROR = cast(type[Exception], cast(Any, pa).ArrowException)
BATCH = 1_000
"""Rows of a parquet file in memory at a time."""
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
HEADING = re.compile(r"\A\s*#{1,6}\s+(.+?)\s*#*\s*(?:\n|\Z)")


def read_path(path: Path, licence: str, skip_bad: bool, report: ReadReport) -> Iterator[Document]:
    """Documents of a file or folder, in a fixed order.

    Raises:
        ConfigError: `path` is nothing that can be read as a corpus.
        CorpusError: a record is malformed and may not be skipped.
    """
    if path.is_dir():
        return _read_folder(path, licence, skip_bad, report)
    if path.name.endswith(JSON_SUFFIXES):
        return _read_jsonl(path, licence, skip_bad, report)
    if path.suffix == ".parquet":
        return _read_parquet(path, licence, skip_bad, report)
    if path.suffix in TEXT_SUFFIXES:
        return _read_texts([(path.name, path)], licence, skip_bad, report)
    expected = ", ".join((*JSON_SUFFIXES, ".parquet", *TEXT_SUFFIXES))
    raise ConfigError(f"{str(path)!r} is no corpus: give a file that ends in {expected}, or a folder of texts")


def digest_path(path: Path) -> str:
    """Hex SHA-256 over the names and the content of everything that `read_path` would read."""
    digest = hashlib.sha256()
    for name, file in _texts(path) if path.is_dir() else [(path.name, path)]:
        with file.open("rb") as raw:
            digest.update(f"{name}\0{hashlib.file_digest(raw, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _read_jsonl(path: Path, licence: str, skip_bad: bool, report: ReadReport) -> Iterator[Document]:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not line.strip():
                continue
            try:
                yield _document(_parse(line), licence)
            except ValueError as error:
                refuse_or_skip(f"{path}, line {number}", str(error), skip_bad, report)


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _parse(line: bytes) -> dict[str, Any]:
    try:
        record: Any = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 ({error.reason} at byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON ({error.msg} at character {error.pos})") from error
    except RecursionError as error:
        raise ValueError("no JSON that can be read (nested too deep)") from error
    if not isinstance(record, dict):
        raise ValueError(f"a JSON object is expected, not {type(record).__name__}")
    return cast(dict[str, Any], record)


def _read_parquet(path: Path, licence: str, skip_bad: bool, report: ReadReport) -> Iterator[Document]:
    number = 0
    try:
        with cast(Any, pq.ParquetFile)(path) as file:
            present = [name for name in COLUMNS if name in file.schema_arrow.names]
            for batch in file.iter_batches(batch_size=BATCH, columns=present):
                for row in batch.to_pylist():
                    number += 1
                    try:
                        yield _document(row, licence)
                    except ValueError as error:
                        refuse_or_skip(f"{path}, row {number}", str(error), skip_bad, report)
    except ARROW_ERROR as error:
        raise CorpusError(f"{path}, row {number + 1}: {error}") from error


def _document(record: dict[str, Any], licence: str) -> Document:
    """The document in a record of either layout: `{id, contents}` or `{id, title, text}`.

    Raises:
        ValueError: a field is missing or has another type; says which.
    """
    identifier = record.get("id")
    if isinstance(identifier, int) and not isinstance(identifier, bool):
        identifier = str(identifier)
    if not isinstance(identifier, str) or not identifier.strip():
        raise ValueError(f"field 'id' must be a string or a whole number, not {identifier!r}")
    if record.get("contents") is not None:
        contents = clean(_text(record, "contents"))
        title, newline, text = contents.partition("\n")
        if not newline:
            title, text = "", contents
    else:
        title = _text(record, "title") if record.get("title") is not None else ""
        text = clean(_text(record, "text"))
    stated = record.get("licence") or record.get("license")
    return Document(
        id=one_line(identifier),
        title=one_line(title),
        text=text,
        licence=stated if isinstance(stated, str) else licence,
        metadata=tuple(_metadata(record.get("metadata"))),
    )


def _metadata(values: object) -> Iterator[tuple[str, str]]:
    """The pairs of a record's `metadata`; a list gives one pair for each of its values.

    Raises:
        ValueError: it is no object, or holds something else than texts, numbers, truth values and lists of them.
    """
    if values is None:
        return
    if not isinstance(values, dict):
        raise ValueError(f"field 'metadata' must be an object, not {type(values).__name__}")
    for key, value in cast(dict[object, object], values).items():
        for single in cast(list[object], value) if isinstance(value, list) else [value]:
            if single is None:
                continue
            if not isinstance(single, str | int | float):
                raise ValueError(
                    f"metadata {key!r} must be text, a number or a truth value, not {type(single).__name__}"
                )
            text = str(single).lower() if isinstance(single, bool) else str(single)
            yield one_line(str(key)), one_line(text)


def _text(record: dict[str, Any], field: str) -> str:
    value = record.get(field)
    if not isinstance(value, str):
        held = "is missing" if value is None else f"must be a string, not {type(value).__name__}"
        raise ValueError(f"field {field!r} {held}")
    return value


def _read_folder(folder: Path, licence: str, skip_bad: bool, report: ReadReport) -> Iterator[Document]:
    files = _texts(folder)
    if not files:
        raise ConfigError(f"folder {str(folder)!r} holds no file that ends in {', '.join(TEXT_SUFFIXES)}")
    return _read_texts(files, licence, skip_bad, report)


def _read_texts(files: list[tuple[str, Path]], licence: str, skip_bad: bool, report: ReadReport) -> Iterator[Document]:
    for name, path in files:
        try:
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            refuse_or_skip(f"{path}, line {line}", f"no UTF-8 ({error.reason})", skip_bad, report)
            continue
        text = FRONT_MATTER.sub("", clean(text))
        heading = HEADING.match(text) if path.suffix != ".txt" else None
        yield Document(
            id=name,
            title=one_line(heading[1]) if heading else path.stem,
            text=text[heading.end() :] if heading else text,
            licence=licence,
        )


def _texts(folder: Path) -> list[tuple[str, Path]]:
    """(name, path) of the folder's texts, hidden ones left out, in the order of their names."""
    found = [(path.relative_to(folder), path) for path in folder.rglob("*") if path.suffix in TEXT_SUFFIXES]
    return sorted(
        (name.as_posix(), path)
        for name, path in found
        if path.is_file() and not any(part.startswith(".") for part in name.parts)
    )
