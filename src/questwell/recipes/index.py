"""Behind `questwell index`: a corpus into the index that `generate` searches."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from questwell.assets.progress import Progress, silent
from questwell.recipes.config import RecipeConfig
from questwell.retrieval.analysis import Analyzer
from questwell.retrieval.corpus import CorpusSpec
from questwell.retrieval.documents import BadRecord, ReadReport
from questwell.retrieval.indexing import default_folder, open_or_build
from questwell.retrieval.lexical import LexicalIndex


class IndexConfig(RecipeConfig):
    """Which corpus, and how it is read and indexed."""

    corpus: str
    """Corpus: factbook, foldoc, a JSONL or parquet file, or a folder of .txt and .md files."""
    index: Path | None = None
    """Folder of its index; built on first use and kept. By default in the cache."""
    analyzer: Analyzer = Analyzer.EN
    """How text becomes terms: en (English stems), multi (any language)."""
    licence: str = ""
    """Licence of the corpus, where its records state none; each item carries it."""
    skip_bad: bool = False
    """Skip malformed records of the corpus (they are counted and listed) instead of stopping."""

    @property
    def spec(self) -> CorpusSpec:
        """The corpus, as `retrieval` knows it."""
        return CorpusSpec(self.corpus, self.licence, self.skip_bad)

    @property
    def folder(self) -> Path:
        """Where the index is kept."""
        return self.index or default_folder(self.spec, self.analyzer)


@dataclass(frozen=True, slots=True)
class Watching:
    """Whoever watches a corpus being fetched and indexed."""

    fetching: Progress = silent
    """Told of (bytes, total)."""
    indexing: Progress = silent
    """Told of (passages, total); total 0 is not known."""
    skipped: Callable[[list[BadRecord]], None] = lambda bad: None
    """Told of malformed records that were skipped, if there were any."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """An index that is ready."""

    folder: Path
    corpus: str
    passages: int
    documents: int
    skipped: int
    """Malformed records, a count."""
    snapshot: str
    built: bool
    """By this call; else it was there."""


def index(config: IndexConfig, watching: Watching | None = None) -> IndexReport:
    """The index of a corpus, built if it is not there; an interrupted build goes on where it stopped."""
    folder = config.folder
    was_there = (folder / "manifest.json").is_file()
    manifest = open_index(config, watching).manifest
    return IndexReport(
        folder=folder,
        corpus=manifest.corpus,
        passages=manifest.passages,
        documents=manifest.documents,
        skipped=manifest.skipped,
        snapshot=manifest.snapshot,
        built=not was_there,
    )


def open_index(config: IndexConfig, watching: Watching | None = None) -> LexicalIndex:
    """The index itself.

    Raises:
        AssetError, ConfigError, CorpusError: the corpus cannot be had or read.
        IndexMismatch: the folder holds another index.
    """
    watching = watching or Watching()
    report = ReadReport()
    found = open_or_build(
        config.spec,
        analyzer=config.analyzer,
        folder=config.folder,
        report=report,
        progress=watching.indexing,
        fetching=watching.fetching,
    )
    if report.bad:
        watching.skipped(report.bad)
    return found
