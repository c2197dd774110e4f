"""Implements `questwell index --upsert` and `--delete`: adds, replaces and deletes documents of an existing index."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from questwell.errors import ConfigError, RetrievalError
from questwell.recipes.corpus.index import WITH_VECTORS, IndexConfig, open_index
from questwell.recipes.runs.caller import IndexProgress
from questwell.retrieval.corpora.corpus import ReadReport, read_documents
from questwell.retrieval.index.indexing import built
from questwell.retrieval.index.updating import update
from questwell.retrieval.index.vector_manifest import embedders_of
from questwell.text.files import read_lines


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """Result of changing an index; counts are of documents unless stated otherwise."""

    folder: Path
    corpus: str
    added: int
    replaced: int
    removed: int
    """Number of deleted documents: listed in the file of deletes, or given without text."""
    unchanged: int
    """Number of given documents that were already in the index, unchanged."""
    absent: int
    """Number of documents to delete that were not in the index."""
    skipped: int
    """Number of malformed records among those given."""
    passages: int
    """Number of passages in the changed index."""
    documents: int
    """Number of documents in the changed index."""
    snapshot_before: str
    snapshot: str
    lagging: Mapping[str, int]
    """By embedder, the number of passages that its vectors do not cover yet."""


def update_index(
    config: IndexConfig, upserts: str | None, deletes: Path | None, index_progress: IndexProgress | None = None
) -> UpdateReport:
    """Add, replace and delete documents of an index atomically: a failure or kill changes nothing.

    Args:
        config: names an existing index. Missing vectors that it asks for are made afterwards.
        upserts: a source of documents, like a corpus; each is added, or replaces the one with its id.
        deletes: file with one id per line; an id in both is deleted.
        index_progress: progress callbacks.

    Raises:
        ConfigError: a file cannot be read, or there is nothing to do.
        CorpusError: a record is malformed, or the index would be empty.
        IndexMismatch: the folder holds the index of another corpus or analyser.
        RetrievalError: there is no complete index.
    """
    if upserts is None and deletes is None:
        raise ConfigError("say what to change: --upsert DOCUMENTS or --delete IDS")
    index_progress = index_progress or IndexProgress()
    folder = config.folder
    if built(config.spec, folder, config.analyzer) is None:
        raise RetrievalError(
            f"there is no complete index of {config.corpus!r} in {folder}: build it with `questwell index`. If "
            "there was one, the corpus has changed since, or --licence or --skip-bad differ: an index belongs to the "
            "corpus that it was built from"
        )
    report = ReadReport()
    given = config.spec_of(upserts) if upserts is not None else None
    done = update(folder, read_documents(given, report) if given else (), read_ids(deletes) if deletes else ())
    if report.incomplete:
        index_progress.read(report)
    if config.retriever in WITH_VECTORS:
        open_index(config, index_progress)
    now = done.manifest
    return UpdateReport(
        folder=folder,
        corpus=now.corpus,
        added=done.added,
        replaced=done.replaced,
        removed=done.removed,
        unchanged=done.unchanged,
        absent=done.absent,
        skipped=len(report.bad),
        passages=now.passages,
        documents=now.documents,
        snapshot_before=done.snapshot_before,
        snapshot=now.snapshot,
        lagging={found.embedder: lacking for found in embedders_of(folder) if (lacking := found.lacking(now))},
    )


def read_ids(path: Path) -> list[str]:
    """Read the document ids in a file with one id per line, in the form the index uses.

    Raises:
        ConfigError: the file cannot be read.
    """
    return read_lines(path, ConfigError)
