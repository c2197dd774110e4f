"""Reads and writes the files of a lexical index. The manifest is written last and makes the index valid.

An update (`updating.py`) writes the new manifest as a journal, then commits to tantivy, then makes the journal the
manifest. tantivy numbers its operations, so the journal's number shows whether its commit was made.
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
"""Version of the files; increase it if their format changes, so that older indexes are refused."""
CONTENT = 1
"""Version of the snapshot's hash, part of it; increase it if the same passages would give another snapshot."""
MANIFEST, JOURNAL = "manifest.json", "updating.json"
TOKENIZER = "questwell"
ID, TITLE, TEXT, SUBJECT, FACET, ORDINAL, STORED = "id", "title", "text", "subject", "facet", "ordinal", "stored"


@dataclass(frozen=True, slots=True)
class Manifest:
    """Description of a complete index."""

    corpus: str
    """Name of the corpus."""
    identity: str
    """Hash of the corpus' content and of how it was read (`corpus.identity`)."""
    analyzer: Analyzer
    passages: int
    documents: int
    skipped: int
    """Number of malformed records that were left out."""
    snapshot: str
    """Hash of the passages in order and the analyser's settings; after an update, of that hash and the update."""
    origin: str
    """The snapshot before any update. Indexes with the same origin use the same ordinals."""
    ordinals: int
    """Number of ordinals used so far, and the ordinal of the next passage. No ordinal is used twice."""
    removed: tuple[int, ...] = ()
    """Ordinals of deleted or replaced passages, ascending."""
    version: str = f"{FORMAT}.{ANALYSIS}"

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The manifest of the index in `folder`; None if no index was completed there.

        Raises:
            IndexMismatch: another version of the index format or the analysis wrote it.
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
        """Write the manifest to `folder` in one step that survives a crash."""
        write_whole(folder / MANIFEST, json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")
        (folder / JOURNAL).unlink(missing_ok=True)

    def announce(self, folder: Path) -> None:
        """Write the manifest as a journal, which becomes valid when tantivy commits again."""
        write_whole(folder / JOURNAL, json.dumps({**asdict(self), "opstamp": opstamp(folder)}))


def opstamp(folder: Path) -> int:
    """Number of the last operation that tantivy has committed in `folder`.

    Raises:
        RetrievalError: tantivy's file cannot be read.
    """
    values = _read_json(folder / "tantivy" / "meta.json")
    if values is None or not isinstance(values.get("opstamp"), int):
        raise RetrievalError(f"{folder} contains no tantivy index: delete the folder and index again")
    return cast(int, values["opstamp"])


def stamp_of(folder: Path) -> str:
    """A stamp that changes whenever the manifest in `folder` may have changed; takes microseconds."""
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
    """Turn errors of writing the index in `folder` inside the block into one clear error.

    Raises:
        RetrievalError: the disk is full or not writable. tantivy reports that as a ValueError.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        raise unwritable(folder, error) from error


def unwritable(folder: Path, error: OSError | ValueError) -> RetrievalError:
    """The error to raise if files of the index in `folder` could not be written."""
    why = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
    return RetrievalError(
        f"index {folder} cannot be written ({why}): check whether the disk is full, make room, and run it again; "
        "it continues from what was written"
    )


def schema() -> tantivy.Schema:
    """The fields of a passage in tantivy. Only `stored`, the whole passage, can be read back."""
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
    index.config_reader("manual")  # without a thread that watches the files
    index.reload()
    return index


def document(passage: Passage, stored: bytes, ordinal: int) -> tantivy.Document:
    """The tantivy document of a passage; `stored` is the result of `pack`.

    The title is a field and also part of the text, as usual in search corpora ("contents"). An article seldom repeats
    its title, so otherwise a passage that only mentions the title would come first (docs/log.md).
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
    """The index term of one (key, value) pair of metadata."""
    return f"{key}\x1f{value}"


def pack(passage: Passage) -> bytes:
    """A passage as bytes, as they are stored and hashed for the snapshot."""
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
    """The passage that `pack` turned into these bytes."""
    identifier, title, text, document_id, offset, licence, links, *more = json.loads(stored)
    metadata = tuple((key, value) for key, value in more[0]) if more else ()
    return Passage(identifier, title, text, document_id, offset, licence, tuple(links), metadata)
