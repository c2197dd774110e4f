"""Files of a lexical index on disk, and the manifest that makes it valid: it is written last."""

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self, cast

import tantivy

from questwell.errors import IndexMismatch, RetrievalError
from questwell.retrieval.analysis import ANALYSIS, Analyzer, Terms
from questwell.types.corpus import Passage

FORMAT = 1
"""Raise it when the files change: older indexes are then refused."""
TOKENIZER = "questwell"
ID, TITLE, TEXT, SUBJECT, ORDINAL, STORED = "id", "title", "text", "subject", "ordinal", "stored"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a complete index holds."""

    corpus: str
    """Name of the corpus."""
    identity: str
    """Of the corpus' content and how it was read (`corpus.identity`)."""
    analyzer: Analyzer
    passages: int
    documents: int
    skipped: int
    """Malformed records that were left out, a count."""
    snapshot: str
    """Hash of the passages in order, and of the settings of the analyser."""
    version: str = f"{FORMAT}.{ANALYSIS}"

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The manifest in `folder`; None if no index was completed there.

        Raises:
            IndexMismatch: it was written by another version of the index format or the analysis.
            RetrievalError: it cannot be read.
        """
        path = folder / "manifest.json"
        try:
            values = cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))
            if values["version"] != cls.current_version():
                raise IndexMismatch(
                    f"index {folder} has version {values['version']}, this Questwell reads {cls.current_version()}: "
                    "delete the folder and index again"
                )
            values["analyzer"] = Analyzer(values["analyzer"])
            return cls(**{field.name: values[field.name] for field in fields(cls)})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RetrievalError(f"{path} cannot be read ({error!r}): delete the folder and index again") from error

    @classmethod
    def current_version(cls) -> str:
        """Of the index format and the analysis."""
        return f"{FORMAT}.{ANALYSIS}"

    def write(self, folder: Path) -> None:
        """Put it in `folder` in one step that survives a crash."""
        write_durably(folder / "manifest.json", json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")


def write_durably(path: Path, text: str) -> None:
    """Write, fsync, rename: after a crash `path` holds the old or the new text, never a part."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
    if os.name == "posix":
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def schema() -> tantivy.Schema:
    """The fields of a passage. Only `stored` can be read back; it holds all of it."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field(ID, tokenizer_name="raw", index_option="basic")
    builder.add_text_field(SUBJECT, tokenizer_name="raw", index_option="basic")
    builder.add_text_field(TITLE, tokenizer_name=TOKENIZER, index_option="freq")
    builder.add_text_field(TEXT, tokenizer_name=TOKENIZER, index_option="freq")
    builder.add_unsigned_field(ORDINAL, indexed=True, fast=True)
    builder.add_bytes_field(STORED, stored=True)
    return builder.build()


def open_files(folder: Path, terms: Terms) -> tantivy.Index:
    """The tantivy index in `folder`, created if there is none."""
    path = folder / "tantivy"
    path.mkdir(parents=True, exist_ok=True)
    index = tantivy.Index(schema(), str(path))
    index.register_tokenizer(TOKENIZER, terms.tantivy)
    index.config_reader("manual")  # no thread that watches the files
    index.reload()
    return index


def pack(passage: Passage) -> bytes:
    """A passage as it is stored, and as it enters the snapshot."""
    values = (
        passage.id,
        passage.title,
        passage.text,
        passage.document_id,
        passage.offset,
        passage.licence,
        passage.links,
    )
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


def unpack(stored: bytes) -> Passage:
    """The inverse of `pack`."""
    identifier, title, text, document_id, offset, licence, links = json.loads(stored)
    return Passage(identifier, title, text, document_id, offset, licence, tuple(links))
