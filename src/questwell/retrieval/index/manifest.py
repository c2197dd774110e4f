"""Files of a lexical index on disk, and the manifest that makes it valid: it is written last.

An update (`updating.py`) writes the manifest of what is to be as a journal, then commits, then makes the journal the
manifest. tantivy's own commit decides: it numbers its operations, so that a journal says whether its commit was made.
"""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self, cast

import tantivy

from questwell.errors import IndexMismatch, RetrievalError
from questwell.retrieval.corpora.documents import subject
from questwell.retrieval.index.analysis import ANALYSIS, Analyzer, Terms, prepare
from questwell.text.whole import write_whole
from questwell.types.corpus import Passage

FORMAT = 3
"""Raise it when the files change: older indexes are then refused."""
CONTENT = 1
"""Raise it when the same passages would make another snapshot; part of the snapshot."""
MANIFEST, JOURNAL = "manifest.json", "updating.json"
TOKENIZER = "questwell"
ID, TITLE, TEXT, SUBJECT, FACET, ORDINAL, STORED = "id", "title", "text", "subject", "facet", "ordinal", "stored"


@dataclass(frozen=True, slots=True)
class Manifest:
    """Description of a complete index."""

    corpus: str
    """Name of the corpus."""
    identity: str
    """Digest of the corpus' content and of how it was read (`corpus.identity`)."""
    analyzer: Analyzer
    passages: int
    documents: int
    skipped: int
    """Number of malformed records that were left out."""
    snapshot: str
    """Hash of the passages in order, and of the settings of the analyser; after an update, of that and the update."""
    origin: str
    """The snapshot before any update: ordinals mean the same in all indexes that share it and their updates."""
    ordinals: int
    """Ordinals given so far: the next passage gets this one. None is given twice."""
    removed: tuple[int, ...] = ()
    """Ordinals of passages that were deleted or replaced, ascending."""
    version: str = f"{FORMAT}.{ANALYSIS}"

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The manifest of the index in `folder`; None if no index was completed there.

        Raises:
            IndexMismatch: it was written by another version of the index format or the analysis.
            RetrievalError: it cannot be read.
        """
        journal = _read_json(folder / JOURNAL)
        if journal is not None and opstamp(folder) > int(journal.get("opstamp", 0)):
            return cls._of(journal, folder)
        values = _read_json(folder / MANIFEST)
        return None if values is None else cls._of(values, folder)

    @classmethod
    def _of(cls, values: dict[str, Any], folder: Path) -> Self:
        try:
            if values["version"] != cls.current_version():
                raise IndexMismatch(
                    f"index {folder} has version {values['version']}, this Questwell reads {cls.current_version()}: "
                    "delete the folder and index again"
                )
            values["analyzer"] = Analyzer(values["analyzer"])
            values["removed"] = tuple(values["removed"])
            return cls(**{field.name: values[field.name] for field in fields(cls)})
        except (ValueError, KeyError, TypeError) as error:
            raise RetrievalError(
                f"the manifest of {folder} cannot be read ({error!r}): delete the folder and index again"
            ) from error

    @classmethod
    def current_version(cls) -> str:
        """Version of the index format and of the analysis."""
        return f"{FORMAT}.{ANALYSIS}"

    def write(self, folder: Path) -> None:
        """Put it in `folder` in one step that survives a crash."""
        write_whole(folder / MANIFEST, json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")
        (folder / JOURNAL).unlink(missing_ok=True)

    def announce(self, folder: Path) -> None:
        """Write it as the journal: it holds as soon as tantivy commits again."""
        write_whole(folder / JOURNAL, json.dumps({**asdict(self), "opstamp": opstamp(folder)}))


def opstamp(folder: Path) -> int:
    """Number of the last operation that tantivy has committed in `folder`.

    Raises:
        RetrievalError: its file cannot be read.
    """
    values = _read_json(folder / "tantivy" / "meta.json")
    if values is None or not isinstance(values.get("opstamp"), int):
        raise RetrievalError(f"{folder} contains no tantivy index: delete the folder and index again")
    return cast(int, values["opstamp"])


def stamp_of(folder: Path) -> str:
    """Changes whenever the manifest in `folder` may have changed; takes microseconds."""
    found: list[str] = []
    for path in (folder / MANIFEST, folder / JOURNAL, folder / "tantivy" / "meta.json"):
        try:
            held = path.stat()
            found.append(f"{held.st_ino}.{held.st_mtime_ns}.{held.st_size}")
        except OSError:
            found.append("")
    return " ".join(found)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return cast(dict[str, Any], dict(json.loads(path.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise RetrievalError(f"{path} cannot be read ({error!r}): delete the folder and index again") from error


@contextmanager
def writing(folder: Path) -> Generator[None]:
    """What goes wrong inside, with files of the index in `folder`, ends as one clear error.

    Raises:
        RetrievalError: the disk is full or cannot be written. tantivy tells that by a ValueError.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        raise unwritable(folder, error) from error


def unwritable(folder: Path, error: OSError | ValueError) -> RetrievalError:
    """The error for files of the index in `folder` that could not be written."""
    why = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
    return RetrievalError(
        f"index {folder} cannot be written ({why}): look whether the disk is full, make room, and run it again; "
        "it goes on from what was kept"
    )


def schema() -> tantivy.Schema:
    """The fields of a passage. Only `stored` can be read back; it holds all of it."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field(ID, tokenizer_name="raw", index_option="basic")
    builder.add_text_field(SUBJECT, tokenizer_name="raw", index_option="basic")
    builder.add_text_field(FACET, tokenizer_name="raw", index_option="basic")
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


def document(passage: Passage, stored: bytes, ordinal: int) -> tantivy.Document:
    """What tantivy keeps of a passage; `stored` is what `pack` gave.

    The title is a field of its own and part of the text too, as in the corpora of this field ("contents"): an entry
    seldom repeats its name, and without that a passage that only mentions it would come first (docs/log.md).
    """
    document = tantivy.Document()
    document.add_text(ID, passage.id)
    document.add_text(SUBJECT, subject(passage).casefold())
    document.add_text(TITLE, prepare(passage.title))
    document.add_text(TEXT, prepare(f"{passage.title}\n{passage.text}"))
    for key, value in passage.metadata:
        document.add_text(FACET, facet(key, value))
    document.add_unsigned(ORDINAL, ordinal)
    document.add_bytes(STORED, stored)
    return document


def facet(key: str, value: str) -> str:
    """The term that stands for a pair of metadata."""
    return f"{key}\x1f{value}"


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
        *((passage.metadata,) if passage.metadata else ()),
    )
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


def unpack(stored: bytes) -> Passage:
    """The inverse of `pack`."""
    identifier, title, text, document_id, offset, licence, links, *more = json.loads(stored)
    metadata = tuple((key, value) for key, value in more[0]) if more else ()
    return Passage(identifier, title, text, document_id, offset, licence, tuple(links), metadata)
