"""Implements `questwell index`: builds the index that `generate` searches, with vectors for hybrid search."""

import asyncio
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field, field_validator

from questwell.assets.progress import Progress
from questwell.errors import ConfigError
from questwell.recipes.corpus.embedders import EMBEDDERS, ONNX, check_embedder, connect_embedder
from questwell.recipes.corpus.rerankers import check_reranker, connect_reranker
from questwell.recipes.runs.caller import IndexProgress
from questwell.recipes.runs.config import MayBePath, RecipeConfig, Renamed
from questwell.retrieval.corpora.corpus import BUILT_IN, CorpusSpec, Duplicates
from questwell.retrieval.corpora.documents import ReadReport
from questwell.retrieval.corpora.fields import FieldNames
from questwell.retrieval.index.analysis import Analyzer
from questwell.retrieval.index.indexing import default_folder, open_or_build
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.retrieval.rerankers.reranked import CANDIDATES, reranked
from questwell.retrieval.rerankers.reranker import Reranker
from questwell.retrieval.retriever import Retriever
from questwell.text.lists import split_commas

if TYPE_CHECKING:
    from questwell.retrieval.index.hybrid import HybridIndex

_T = TypeVar("_T")

WITH_VECTORS = ("hybrid", "dense")
OF_THE_CORPUS = ("lexical", *WITH_VECTORS)
"""Retrievers that search the corpus itself."""
Corpus: TypeAlias = Annotated[str, MayBePath((*BUILT_IN, "toy"))]
"""A corpus as the user names it: a built-in one, a file or a folder."""


class IndexConfig(RecipeConfig):
    """Config keys for which corpus to use, and how to read and index it."""

    renamed: ClassVar[Mapping[str, Renamed]] = {"two_legs": Renamed("dense_candidates")}
    corpus: Corpus
    """Corpus: islands (tiny), factbook, foldoc, hf:NAME, a folder, a pattern such as "a/*.parquet", or a file (JSON,
    CSV, TSV, parquet, arrow)."""
    index: Path | None = None
    """Folder of the index, which is built on first use and kept; by default in the cache folder."""
    analyzer: Analyzer = Analyzer.EN
    """How text is split into search terms: en (English, with stemming) or multi (any language, no stemming)."""
    licence: str = ""
    """Licence to assume for records that state none; it is copied to every item."""
    skip_bad: bool = False
    """Skip malformed records of the corpus, and list them, instead of stopping at the first."""
    duplicates: Duplicates = Duplicates.ERROR
    """What to do when two documents have the same id: error (stop), or first (keep the first one)."""
    id_field: str = ""
    """Record field that holds the id; by default one of the usual names, or an id made from the record's text."""
    title_field: str = ""
    """Record field that holds the title; by default one of the usual names (title, heading, ...)."""
    text_field: str = ""
    """Record field that holds the text; by default one of the usual names (contents, text, body, passage, ...)."""
    retriever: str = "lexical"
    """How passages are found: lexical (BM25), hybrid (BM25, then vectors) or dense (vectors). Vectors: extra dense."""
    embedder: Annotated[str, MayBePath(EMBEDDERS, after=ONNX)] = "minilm"
    """Embedding model for vectors: minilm, wordllama (faster), onnx:FOLDER, openai:MODEL or MODEL@BASE_URL."""
    dense_candidates: bool = False
    """Look for candidates by vectors as well as by words; helps when questions use other words than the passages."""
    query_prefix: str | None = None
    """Text to put before each query to embed; by default what the model's card says (e5, bge, Qwen3-Embedding)."""
    document_prefix: str | None = None
    """Text to put before each document to embed; after a change, all vectors are made again."""
    reranker: Annotated[str, MayBePath(())] = ""
    """Model that reranks the hits: [MODEL@]http://HOST/rerank, or the folder of an ONNX cross-encoder."""
    rerank_candidates: int = Field(default=CANDIDATES, ge=1, le=1000)
    """Number of hits per search that the reranker scores."""
    search_where: Annotated[tuple[str, ...], BeforeValidator(split_commas)] = ()
    """Search only passages with this metadata, such as lang=en,year=2020; repeat a key to allow several values."""

    @field_validator("retriever")
    @classmethod
    def _retriever(cls, named: str) -> str:
        try:
            cls.check_retriever(named)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return named

    @classmethod
    def check_retriever(cls, named: str) -> None:
        """Reject an unknown retriever name; recipes that search other places override this and accept more.

        Raises:
            ConfigError: the name is unknown.
        """
        if named not in OF_THE_CORPUS:
            raise ConfigError("expected lexical, hybrid or dense")

    @field_validator("search_where")
    @classmethod
    def _search_where(cls, pairs: tuple[str, ...]) -> tuple[str, ...]:
        if any("=" not in pair for pair in pairs):
            raise ValueError("expected KEY=VALUE pairs, as in lang=en")
        return pairs

    @property
    def narrowed_to(self) -> dict[str, list[str]]:
        """Return `search_where` as a list of values per key, in the order given."""
        found: dict[str, list[str]] = {}
        for pair in self.search_where:
            key, _, value = pair.partition("=")
            found.setdefault(key, []).append(value)
        return found

    @field_validator("index")
    @classmethod
    def _index(cls, index: Path | None) -> Path | None:
        if index is not None and index.is_file():
            raise ValueError("an index is a folder, but this is a file; give a folder, which may be new")
        return index

    @field_validator("embedder")
    @classmethod
    def _embedder(cls, embedder: str) -> str:
        try:
            check_embedder(embedder)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return embedder

    @field_validator("reranker")
    @classmethod
    def _reranker(cls, reranker: str) -> str:
        try:
            check_reranker(reranker)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return reranker

    @property
    def spec(self) -> CorpusSpec:
        """The corpus as a `CorpusSpec`."""
        return self.spec_of(self.corpus)

    def spec_of(self, source: str) -> CorpusSpec:
        """Return the spec of another source that is read with the same settings."""
        names = FieldNames(self.id_field, self.title_field, self.text_field)
        return CorpusSpec(source, self.licence, self.skip_bad, self.duplicates, names)

    @property
    def folder(self) -> Path:
        """Folder that holds the index."""
        return self.index or default_folder(self.spec, self.analyzer)


@dataclass(frozen=True, slots=True)
class IndexReport:
    """Description of an index that is ready."""

    folder: Path
    corpus: str
    passages: int
    documents: int
    skipped: int
    """Number of malformed records."""
    snapshot: str
    built: bool
    """Whether this call built the index; False if it was there already."""
    updated: bool
    """Whether documents were added, replaced or deleted since it was built."""
    embedder: str | None = None
    """Name of the embedder of its vectors; None if no vectors were requested."""


def index(config: IndexConfig, index_progress: IndexProgress | None = None) -> IndexReport:
    """Build the index of a corpus if it does not exist, and return a report. Continues an interrupted build."""
    folder = config.folder
    was_there = (folder / "manifest.json").is_file()
    found = open_index(config, index_progress)
    lexical, embedder = (found, None) if isinstance(found, LexicalIndex) else (found.lexical, found.embedder.name)
    manifest = lexical.manifest
    return IndexReport(
        folder=folder,
        corpus=manifest.corpus,
        passages=manifest.passages,
        documents=manifest.documents,
        skipped=manifest.skipped,
        snapshot=manifest.snapshot,
        built=not was_there,
        updated=manifest.snapshot != manifest.origin,
        embedder=embedder,
    )


def open_index(config: IndexConfig, index_progress: IndexProgress | None = None) -> "LexicalIndex | HybridIndex":
    """Return the index, with vectors if the retriever needs them; builds what is missing.

    Raises:
        AssetError, ConfigError, CorpusError: the corpus or the embedder cannot be fetched or read.
        IndexMismatch: the folder holds another index.
        LLMError: an embedder behind an endpoint failed.
    """
    index_progress = index_progress or IndexProgress()
    lexical = open_lexical(config, index_progress)
    if config.retriever not in WITH_VECTORS:
        return lexical
    run_apart(_embed(lexical, config, index_progress.embedding))
    return open_ready(config)


def open_lexical(config: IndexConfig, index_progress: IndexProgress | None = None) -> LexicalIndex:
    """Return the lexical index like `open_index`, ignoring any vectors that `config` asks for."""
    index_progress = index_progress or IndexProgress()
    report = ReadReport()
    found = open_or_build(
        config.spec,
        analyzer=config.analyzer,
        folder=config.folder,
        report=report,
        progress=index_progress.indexing,
        fetching=index_progress.fetching,
    )
    if report.incomplete:
        index_progress.read(report)
    return found.narrow(config.narrowed_to)


def open_ready(config: IndexConfig) -> "LexicalIndex | HybridIndex":
    """Open an index that `open_index` made in this or another process; builds nothing.

    Raises:
        IndexMismatch, RetrievalError: the index is missing, or does not match `config`.
    """
    if config.retriever not in WITH_VECTORS:
        return LexicalIndex.open(config.folder, config.analyzer).narrow(config.narrowed_to)
    embedder = connect_embedder(config.embedder, config.query_prefix, config.document_prefix)
    # Both need the extra, which the line above has checked.
    from questwell.retrieval.index.dense_only import DenseIndex
    from questwell.retrieval.index.hybrid import HybridIndex

    kind = DenseIndex if config.retriever == "dense" else HybridIndex
    found = kind.open(config.folder, embedder, analyzer=config.analyzer, dense_candidates=config.dense_candidates)
    found.lexical.narrow(config.narrowed_to)
    return found


def open_reranker(config: IndexConfig, price_usd: float | None = None) -> Reranker | None:
    """Return the reranker that `config` names, or None; calls no endpoint yet.

    Args:
        config: config of the recipe.
        price_usd: price of one call to an endpoint; None if unknown.

    Raises:
        ConfigError: the reranker cannot be opened.
    """
    return connect_reranker(config.reranker, price_usd) if config.reranker else None


def in_order(config: IndexConfig, retriever: Retriever, reranker: Reranker | None, *, lent: bool = False) -> Retriever:
    """Return `retriever` with its hits reranked by `reranker`, or unchanged if that is None."""
    return retriever if reranker is None else reranked(retriever, reranker, config.rerank_candidates, lent=lent)


async def _embed(lexical: LexicalIndex, config: IndexConfig, progress: Progress) -> None:
    """Build the missing vectors and the missing neighbour index."""
    embedder = connect_embedder(config.embedder, config.query_prefix, config.document_prefix)
    from questwell.retrieval.index.dense import VectorFile, embed_index

    try:
        await embed_index(lexical, embedder, progress=progress)
    finally:
        await embedder.aclose()
    if config.dense_candidates:
        from questwell.retrieval.index.neighbours import Neighbours

        Neighbours.open_or_build(VectorFile.open(lexical, embedder.name))


def run_apart(work: Coroutine[Any, Any, _T]) -> _T:
    """Run `work` in a separate event loop, because the caller may be inside one, and return the result."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
