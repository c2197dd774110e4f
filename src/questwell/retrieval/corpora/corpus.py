"""`read_corpus`: a built-in corpus by name, or a user's files, as a stream of passages."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from questwell.assets.progress import Progress, silent
from questwell.errors import ConfigError, CorpusError
from questwell.retrieval.corpora import factbook, foldoc, islands
from questwell.retrieval.corpora.documents import BadRecord, Document, ReadReport, subject
from questwell.retrieval.corpora.fields import KNOWN_NAMES, FieldNames
from questwell.retrieval.corpora.hub import PREFIX, hub_members
from questwell.retrieval.corpora.passages import passages_of
from questwell.retrieval.corpora.readers import read_files
from questwell.retrieval.corpora.sources import Members, find_members, is_glob, resolved
from questwell.retrieval.digests import digest_files
from questwell.text.unicode import SURROGATE
from questwell.types.corpus import Passage

__all__ = ["BUILT_IN", "BadRecord", "CorpusSpec", "Document", "ReadReport", "identity", "read_corpus", "subject"]

BUILT_IN = (islands.NAME, factbook.NAME, foldoc.NAME)
READING = 7
"""Version of reading; increase it if the same file would give different passages, so that indexes are rebuilt."""


class Duplicates(StrEnum):
    """What to do with a document that has the id of an earlier document."""

    ERROR = "error"
    FIRST = "first"


@dataclass(frozen=True, slots=True)
class CorpusSpec:
    """A corpus, and how to read it."""

    source: str
    """A name in `BUILT_IN`, a file or folder, a pattern of paths, or `hf:NAME`."""
    licence: str = ""
    """Licence of passages whose record states none; built-in corpora have their own."""
    skip_bad: bool = False
    """Whether to skip malformed records and list them in the report; otherwise they are an error."""
    duplicates: Duplicates = Duplicates.ERROR
    """Whether a repeated id is an error, or only the first document with it is kept."""
    fields: FieldNames = KNOWN_NAMES
    """Names of the fields with id, title and text, if they are not among the known names."""

    @property
    def name(self) -> str:
        """Short name of the corpus that can be part of a file name."""
        if self.source in BUILT_IN:
            return self.source
        if self.source.startswith(PREFIX) or is_glob(self.source):
            plain = "".join(char if char.isalnum() or char in "-_." else "-" for char in self.source)
            return plain.strip("-.")[-80:] or "corpus"
        return SURROGATE.sub("_", self.path.name.split(".", 1)[0] or self.path.stem) or "corpus"

    @property
    def path(self) -> Path:
        """The file or folder of a user's own corpus.

        Raises:
            ConfigError: `source` is neither an existing path nor a built-in corpus.
        """
        path = resolved(self.source)
        if not path.exists():
            raise ConfigError(
                f"corpus {self.source!r} is neither built in ({', '.join(BUILT_IN)}) nor an existing file or folder"
            )
        return path

    def members(self) -> Members:
        """The files of a user's own corpus.

        Raises:
            AssetError: a data set cannot be fetched.
            ConfigError: there are no files.
        """
        if self.source.startswith(PREFIX):
            return hub_members(self.source)
        if not is_glob(self.source):
            _ = self.path
        return find_members(self.source)


def identity(spec: CorpusSpec) -> str:
    """Hash of everything that decides the passages, including the content of the files.

    Nothing is fetched for it, except a data set from the hub.
    """
    match spec.source:
        case factbook.NAME:
            content = factbook.IDENTITY
        case foldoc.NAME:
            content = foldoc.IDENTITY
        case islands.NAME:
            content = islands.identity()
        case _:
            try:
                content = digest_files((member.name, member.path) for member in spec.members().files)
            except OSError as error:
                raise CorpusError(f"{error.filename} cannot be read: {error.strerror}") from error
    names = "\0".join((spec.fields.id, spec.fields.title, spec.fields.text))
    settings = f"{READING}\0{content}\0{spec.licence}\0{spec.skip_bad}\0{spec.duplicates}\0{names}"
    return hashlib.sha256(settings.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def fetch(spec: CorpusSpec, progress: Progress = silent) -> None:
    """Fetch a built-in corpus into the cache; `progress` is called with (bytes, total).

    Raises:
        AssetError: the corpus cannot be fetched.
    """
    match spec.source:
        case factbook.NAME:
            factbook.fetch(progress)
        case foldoc.NAME:
            foldoc.fetch(progress)
        case _:
            pass


def read_documents(spec: CorpusSpec, report: ReadReport | None = None) -> Iterator[Document]:
    """Documents of the corpus with unique ids, in a fixed order. Documents without text are only counted.

    A built-in corpus is fetched first if it is not cached.

    Raises:
        AssetError: a built-in corpus cannot be fetched.
        ConfigError: there is no such corpus.
        CorpusError: a record is malformed or repeats an id.
    """
    report = report if report is not None else ReadReport()
    seen: set[bytes] = set()
    for document in _documents(spec, report):
        key = hashlib.blake2b(document.id.encode(), digest_size=12).digest()  # 12 bytes per id, however long the ids
        if key in seen:
            if not document.made_id and spec.duplicates is Duplicates.ERROR:
                raise CorpusError(
                    f"{spec.source}: two documents have the id {document.id!r}; ids must be unique. "
                    "To keep the first of each: --duplicates first"
                )
            report.repeated += 1
            continue
        seen.add(key)
        report.documents += 1
        if not document.text.strip():
            report.note_empty(document.id)
        yield document


def read_corpus(spec: CorpusSpec, report: ReadReport | None = None) -> Iterator[Passage]:
    """Passages of the corpus in a fixed order, with the same ids each time; raises as `read_documents`."""
    for document in read_documents(spec, report):
        yield from passages_of(document)


def _documents(spec: CorpusSpec, report: ReadReport) -> Iterator[Document]:
    match spec.source:
        case factbook.NAME:
            return factbook.read_factbook()
        case foldoc.NAME:
            return foldoc.read_foldoc()
        case islands.NAME:
            return islands.read_islands()
        case _:
            members = spec.members()
            report.left_out = members.left_out
            return read_files(members.files, spec.fields, spec.licence, spec.skip_bad, report)
