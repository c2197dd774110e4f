"""`build_index`: builds the lexical index of a corpus. It can be killed at any moment and continued.

To survive crashes, passages are committed to tantivy first, then the checkpoint states how many. The manifest, written
last, makes the index valid. A second build reads the corpus again, skips what is committed and adds the rest.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import tantivy

from questwell.assets.cache import exclusive, home
from questwell.assets.progress import Progress, silent
from questwell.errors import CorpusError, IndexMismatch
from questwell.retrieval.corpora.corpus import CorpusSpec, ReadReport, fetch, identity, read_corpus
from questwell.retrieval.index.analysis import ANALYSIS, Analyzer, Terms
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.retrieval.index.manifest import (
    CONTENT,
    FORMAT,
    Manifest,
    document,
    open_files,
    pack,
    unwritable,
    writing,
)
from questwell.text.whole import write_whole
from questwell.types.corpus import Passage

CHECKPOINT = "building.json"
COMMIT_EVERY = 50_000
"""Number of passages between two commits; a few seconds of work."""
PROGRESS_EVERY = 1_000
HEAP = 64_000_000
"""Size of the writer's buffer in bytes; a full buffer is written as a segment."""


def default_folder(spec: CorpusSpec, analyzer: Analyzer = Analyzer.EN) -> Path:
    """Default folder of the index; it depends on the corpus' content, the analyser and the version of the files."""
    return home() / "indexes" / f"{spec.name}-{identity(spec)}-{analyzer}-{FORMAT}.{ANALYSIS}"


def open_or_build(
    spec: CorpusSpec,
    *,
    analyzer: Analyzer = Analyzer.EN,
    folder: Path | None = None,
    report: ReadReport | None = None,
    progress: Progress = silent,
    fetching: Progress = silent,
) -> LexicalIndex:
    """The index of a corpus, which is built on first use and kept; parameters and errors as for `build_index`."""
    folder = folder or default_folder(spec, analyzer)
    build_index(spec, folder, analyzer=analyzer, report=report, progress=progress, fetching=fetching)
    return LexicalIndex.open(folder, analyzer)


def built(spec: CorpusSpec, folder: Path, analyzer: Analyzer = Analyzer.EN) -> Manifest | None:
    """Manifest of the complete index of this corpus in `folder`; None if no index is complete.

    Raises:
        IndexMismatch: the index is of another corpus or another analyser.
    """
    return _Settings(spec.name, identity(spec), analyzer).read(folder)


def build_index(
    spec: CorpusSpec,
    folder: Path,
    *,
    analyzer: Analyzer = Analyzer.EN,
    report: ReadReport | None = None,
    progress: Progress = silent,
    fetching: Progress = silent,
    commit_every: int = COMMIT_EVERY,
) -> Manifest:
    """Build the index in `folder` and return its manifest. An interrupted build is continued; a complete index is kept.

    Args:
        spec: the corpus, and how to read it.
        folder: folder of this one index; it is created if needed.
        analyzer: how text becomes terms.
        report: filled with the counts of what was read.
        progress: called with (passages, 0).
        fetching: called with (bytes, total) while a built-in corpus is fetched.
        commit_every: passages between two commits; decides how much is lost in a crash, but not the result.

    Raises:
        IndexMismatch: `folder` contains the complete index of another corpus or another analyser.
        AssetError, ConfigError, CorpusError: from reading the corpus.
    """
    report = report if report is not None else ReadReport()
    settings = _Settings(spec.name, identity(spec), analyzer)
    with exclusive(folder / "lock"):
        if (manifest := settings.read(folder)) is not None:
            return manifest
        fetch(spec, fetching)
        build = _Build(folder, settings)
        try:
            for passage in read_corpus(spec, report):
                build.add(passage)
                if build.seen % commit_every == 0:
                    build.commit()
                if build.seen % PROGRESS_EVERY == 0:
                    progress(build.seen, 0)
            if not build.seen:
                raise CorpusError(f"corpus {spec.source!r} contains no text{_why(report)}")
            if identity(spec) != settings.identity:
                raise CorpusError(f"{spec.source} changed while it was being indexed; start again")
            snapshot = build.finish()
        except CorpusError:
            build.discard()  # a corrected corpus is another corpus
            raise
        finally:
            build.close()
        progress(build.seen, build.seen)
        manifest = Manifest(
            corpus=spec.name,
            identity=settings.identity,
            analyzer=analyzer,
            passages=build.seen,
            documents=report.documents - report.empty,
            skipped=len(report.bad),
            snapshot=snapshot,
            origin=snapshot,
            ordinals=build.seen,
        )
        with writing(folder):
            manifest.write(folder)
        (folder / CHECKPOINT).unlink(missing_ok=True)
        return manifest


def _why(report: ReadReport) -> str:
    """What was passed over in a corpus that gave no passage."""
    counts = ((report.empty, "documents without text"), (len(report.bad), "malformed records"))
    found = [f"{count:,} {what}" for count, what in counts if count]
    first = f", the first in {report.bad[0].place}: {report.bad[0].problem}" if report.bad else ""
    return f" ({' and '.join(found)}{first})" if found else ""


@dataclass(frozen=True, slots=True)
class _Settings:
    """Properties that must be equal for a build to continue an interrupted one."""

    corpus: str
    identity: str
    analyzer: Analyzer

    def read(self, folder: Path) -> Manifest | None:
        """The manifest in `folder`; None if no index was completed there. Raises IndexMismatch for another index."""
        manifest = Manifest.read(folder)
        if manifest is not None and (manifest.identity, manifest.analyzer) != (self.identity, self.analyzer):
            raise IndexMismatch(
                f"{folder} contains an index of {manifest.corpus!r} ({manifest.identity}) with analyser "
                f"{manifest.analyzer.value!r}, not of {self.corpus!r} ({self.identity}) with {self.analyzer.value!r}: "
                "name another folder, or delete this one"
            )
        return manifest

    def key(self) -> str:
        return f"{Manifest.current_version()} {self.identity} {self.analyzer}"


class _Build:
    """A build in progress. It hashes all passages again, to prove that the committed ones have not changed."""

    def __init__(self, folder: Path, settings: _Settings) -> None:
        self.seen = 0
        """Number of passages read so far; those below `_committed` are already in the index."""
        self._folder = folder
        self._settings = settings
        self._digest = hashlib.sha256(f"{CONTENT}.{ANALYSIS} {settings.analyzer}\n".encode())
        self._checkpoint = self._read_checkpoint()
        if self._checkpoint is None:
            self._wipe()
        with writing(folder):
            self._index = open_files(folder, Terms(settings.analyzer))
            self._committed = self._index.searcher().num_docs
            self._writer: tantivy.IndexWriter | None = self._index.writer(HEAP, 1)  # one thread, to keep the order

    def add(self, passage: Passage) -> None:
        stored = pack(passage)
        self._digest.update(stored + b"\n")
        if self.seen >= self._committed:
            try:
                self._open_writer().add_document(document(passage, stored, self.seen))
            except ValueError as error:
                raise unwritable(self._folder, error) from error
        self.seen += 1
        if self._checkpoint is not None and self.seen == self._checkpoint[0]:
            self._check_prefix(self._checkpoint[1])

    def commit(self) -> None:
        """Commit everything added so far, so that it survives a crash."""
        if self.seen > self._committed:
            with writing(self._folder):
                self._open_writer().commit()
                self._committed = self.seen
                state = {"key": self._settings.key(), "passages": self.seen, "digest": self._digest.hexdigest()}
                write_whole(self._folder / CHECKPOINT, json.dumps(state))

    def finish(self) -> str:
        """Write and merge everything, and return the snapshot of the index."""
        if self.seen < self._committed:
            raise CorpusError(
                f"{self._settings.corpus} has {self.seen} passages now, but had {self._committed}: it changed while "
                "it was being indexed; start again"
            )
        self.commit()
        with writing(self._folder):
            self._open_writer().wait_merging_threads()
        self._writer = None
        return self._digest.hexdigest()[:16]

    def discard(self) -> None:
        """Delete what was built so far."""
        self.close()
        self._wipe()

    def close(self) -> None:
        """Drop the writer and everything that was not committed."""
        self._writer = None

    def _open_writer(self) -> tantivy.IndexWriter:
        assert self._writer is not None, "the build is closed"
        return self._writer

    def _wipe(self) -> None:
        shutil.rmtree(self._folder / "tantivy", ignore_errors=True)
        (self._folder / CHECKPOINT).unlink(missing_ok=True)

    def _read_checkpoint(self) -> tuple[int, str] | None:
        """(passages, digest) at the last commit of an interrupted build with these settings; None if there is none."""
        try:
            state = cast(dict[str, Any], json.loads((self._folder / CHECKPOINT).read_text(encoding="utf-8")))
            return (int(state["passages"]), str(state["digest"])) if state["key"] == self._settings.key() else None
        except (OSError, ValueError, KeyError):
            return None

    def _check_prefix(self, digest: str) -> None:
        if self._digest.hexdigest() != digest:
            raise CorpusError(
                f"{self._settings.corpus} has changed since its indexing began. The partial index was deleted; "
                "start again"
            )
