"""`read_corpus`: a built-in corpus by name, or a user's file or folder, as a stream of passages."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from questwell.assets.progress import Progress, silent
from questwell.errors import ConfigError, CorpusError
from questwell.retrieval.corpora import factbook, foldoc
from questwell.retrieval.corpora.documents import BadRecord, Document, ReadReport, subject
from questwell.retrieval.corpora.passages import passages_of
from questwell.retrieval.corpora.readers import digest_path, read_path
from questwell.types.corpus import Passage

__all__ = ["BUILT_IN", "BadRecord", "CorpusSpec", "Document", "ReadReport", "identity", "read_corpus", "subject"]

BUILT_IN = (factbook.NAME, foldoc.NAME)
READING = 3
"""Raise it when the same file would give other passages than before: indexes are then built anew."""


@dataclass(frozen=True, slots=True)
class CorpusSpec:
    """Which corpus, and how it is read."""

    source: str
    """A name in `BUILT_IN`, or the path of a file or folder."""
    licence: str = ""
    """Of every passage whose record states none; a built-in corpus states its own."""
    skip_bad: bool = False
    """Skip malformed records and list them in the report, instead of ending with an error."""

    @property
    def name(self) -> str:
        """Short name, fit for a file name."""
        return self.source if self.source in BUILT_IN else self.path.stem or "corpus"

    @property
    def path(self) -> Path:
        """The file or folder of a user's corpus.

        Raises:
            ConfigError: there is none, and it is no built-in corpus either.
        """
        path = Path(self.source).expanduser().resolve()
        if not path.exists():
            raise ConfigError(
                f"corpus {self.source!r} is neither built in ({', '.join(BUILT_IN)}) nor a file or folder that exists"
            )
        return path


def identity(spec: CorpusSpec) -> str:
    """Hash of everything that decides the passages, the files' content included; fetches nothing."""
    match spec.source:
        case factbook.NAME:
            content = factbook.IDENTITY
        case foldoc.NAME:
            content = foldoc.IDENTITY
        case _:
            content = digest_path(spec.path)
    settings = f"{READING}\0{content}\0{spec.licence}\0{spec.skip_bad}"
    return hashlib.sha256(settings.encode()).hexdigest()[:16]


def fetch(spec: CorpusSpec, progress: Progress = silent) -> None:
    """Put a built-in corpus in the cache; `progress` is called with (bytes, total).

    Raises:
        AssetError: it cannot be had.
    """
    match spec.source:
        case factbook.NAME:
            factbook.fetch(progress)
        case foldoc.NAME:
            foldoc.fetch(progress)
        case _:
            pass


def read_documents(spec: CorpusSpec, report: ReadReport | None = None) -> Iterator[Document]:
    """Documents of the corpus in a fixed order, ids unique; those without text are counted, they give no passage.

    A built-in corpus is fetched first if it is not cached.

    Raises:
        AssetError: a built-in corpus cannot be had.
        ConfigError: there is no such corpus.
        CorpusError: a record is malformed or repeats an id.
    """
    report = report if report is not None else ReadReport()
    seen: set[bytes] = set()
    for document in _documents(spec, report):
        key = hashlib.blake2b(document.id.encode(), digest_size=12).digest()  # 12 bytes an id, however long ids are
        if key in seen:
            raise CorpusError(f"{spec.source}: two documents have the id {document.id!r}; ids must be unique")
        seen.add(key)
        report.documents += 1
        report.empty += not document.text.strip()
        yield document


def read_corpus(spec: CorpusSpec, report: ReadReport | None = None) -> Iterator[Passage]:
    """Passages of the corpus in a fixed order, with ids that are the same each time; raises as `read_documents`."""
    for document in read_documents(spec, report):
        yield from passages_of(document)


def _documents(spec: CorpusSpec, report: ReadReport) -> Iterator[Document]:
    match spec.source:
        case factbook.NAME:
            return factbook.read_factbook()
        case foldoc.NAME:
            return foldoc.read_foldoc()
        case _:
            return read_path(spec.path, spec.licence, spec.skip_bad, report)
