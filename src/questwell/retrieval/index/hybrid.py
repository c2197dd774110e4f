"""`HybridIndex`: BM25 finds candidates, then vectors help to rank them.

The best passages of BM25 are also scored by vector, and both scores are mixed. In trials that was as good as merging
two separate searches, and needs no index of neighbours. For corpora that paraphrase, vectors can find candidates too
(`neighbours.py`).
"""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from questwell.retrieval.embedders.embedder import Embedder, Vectors
from questwell.retrieval.embedders.queries import described, embed_queries
from questwell.retrieval.index.analysis import Analyzer
from questwell.retrieval.index.dense import VectorFile
from questwell.retrieval.index.lexical import INLINE_PASSAGES, QUERY_CHARS, LexicalIndex, Scored
from questwell.retrieval.index.neighbours import Neighbours
from questwell.retrieval.retriever import DocumentPage, Filter
from questwell.types.corpus import Hit, Passage

RANKING = 1
"""Version of the ranking, part of the name; increase it if the same index and vectors would rank differently."""
POOL = 100
"""Minimum number of candidates from BM25, and from the neighbours; more if more hits are requested."""
DECIMALS = 6
"""Number of decimals of a score; hits that are equal after rounding are in the order of the corpus."""

Floats = npt.NDArray[np.float64]


class HybridIndex:
    """A lexical index with vectors. Implements `Retriever`; belongs to the event loop of its embedder."""

    def __init__(
        self,
        lexical: LexicalIndex,
        vectors: VectorFile,
        embedder: Embedder,
        neighbours: Neighbours | None = None,
        *,
        weight: float | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        """Search `lexical` and `vectors` together.

        Args:
            lexical: the index that finds the candidates.
            vectors: the vectors; a passage that has none yet keeps its lexical score.
            embedder: the embedder that made `vectors`, for the vectors of queries.
            neighbours: an index that finds more candidates; None if only BM25 finds them.
            weight: weight of the vectors, in [0, 1]; None for the embedder's default.
            timeout_s: maximum seconds for the vectors of queries.
        """
        self.lexical = lexical
        self.vectors = vectors
        self.embedder = embedder
        self.neighbours = neighbours
        self._weight = embedder.weight if weight is None else weight
        self._timeout_s = timeout_s

    @classmethod
    def open(
        cls, folder: Path, embedder: Embedder, *, analyzer: Analyzer | None = None, dense_candidates: bool = False
    ) -> Self:
        """Open the index in `folder` with the vectors that `embedder` made.

        Raises:
            IndexMismatch: it was built with another analyser, or has only vectors of other embedders.
            RetrievalError: the index or its vectors are missing, or its neighbours with `dense_candidates`.
        """
        lexical = LexicalIndex.open(folder, analyzer)
        vectors = VectorFile.open(lexical, embedder.name)
        return cls(lexical, vectors, embedder, Neighbours.open(vectors) if dense_candidates else None)

    @property
    def name(self) -> str:
        """Names corpus, snapshot, ranking and embedder, and the number of vectors while some are missing."""
        legs = f"+knn[{self.neighbours.rows}]" if self.neighbours else ""
        return f"{self.lexical.name}+hybrid.{RANKING}({self.embedded_by},{self._weight:g}){self.lag}{legs}"

    @property
    def embedded_by(self) -> str:
        """Name of the embedder, including what it does only to queries."""
        return described(self.embedder)

    @property
    def lag(self) -> str:
        """The number of vectors as part of the name; empty if every passage has one."""
        return f"[{self._embedded}]" if self._embedded < self.lexical.manifest.ordinals else ""

    @property
    def snapshot(self) -> str:
        """Hash of the lexical index's passages and analyser."""
        return self.lexical.snapshot

    def __len__(self) -> int:
        """Number of passages in the index."""
        return len(self.lexical)

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """At most `k` hits for `query`, best first, as `Retriever.search`."""
        if k < 1 or not self.lexical.is_searchable(query):
            return ()
        vector = (await self.encode([query]))[0]
        if len(self) <= INLINE_PASSAGES:
            return self.find(query, k, vector)
        return await asyncio.to_thread(self.find, query, k, vector)

    async def search_many(self, queries: Sequence[str], k: int) -> list[tuple[Hit, ...]]:
        """The hits of each query, as `search`; all queries are embedded in one call."""
        return await self.search_where(queries, k, {})

    async def search_where(self, queries: Sequence[str], k: int, where: Filter) -> list[tuple[Hit, ...]]:
        """The hits of each query among the passages with the metadata `where`."""
        vectors = await self.encode(queries)

        def find_all() -> list[tuple[Hit, ...]]:
            return [self.find(query, k, vector, where) for query, vector in zip(queries, vectors, strict=True)]

        return find_all() if len(self) <= INLINE_PASSAGES else await asyncio.to_thread(find_all)

    async def encode(self, queries: Sequence[str]) -> Vectors:
        """Vectors of queries, one row per query.

        Raises:
            RetrievalTimeout: there were no vectors in time.
            RetrievalError: the embedder failed.
        """
        return await embed_queries(self.embedder, [query[:QUERY_CHARS] for query in queries], self._timeout_s)

    def find(self, query: str, k: int, vector: Vectors, where: Filter | None = None) -> tuple[Hit, ...]:
        """At most `k` hits for a query and its vector, best first. Equal scores are in the order of the corpus."""
        if k < 1 or not self.lexical.is_searchable(query):
            return ()
        found = self._candidates(query, max(POOL, k), vector, where)
        if not found:
            return ()
        ordinals = np.array([scored.ordinal for scored in found], np.int64)
        lexical = np.array([scored.score for scored in found], np.float64)
        scores = mix(lexical, self.vectors.similarities(ordinals, vector), self._weight)
        mixed = [Scored(float(score), one.ordinal, one.address) for score, one in zip(scores, found, strict=True)]
        return self.lexical.load(sorted(mixed, key=lambda scored: (-scored.score, scored.ordinal))[:k])

    def outdated(self) -> bool:
        """Whether the folder of the lexical index now contains another snapshot."""
        return self.lexical.outdated()

    async def read_page(self, identifier: str, page: int) -> DocumentPage | None:
        """A page of the document of `identifier`, read from the lexical index."""
        return await self.lexical.read_page(identifier, page)

    async def find_in(self, identifier: str, query: str, k: int) -> tuple[Hit, ...] | None:
        """As for the lexical index; vectors hardly distinguish passages of one document."""
        return await self.lexical.find_in(identifier, query, k)

    def get(self, passage_id: str) -> Passage | None:
        """The passage with this id; None if there is none."""
        return self.lexical.get(passage_id)

    def passage_at(self, place: int) -> Passage:
        """The passage at position `place` of the corpus; raises IndexError if there is none."""
        return self.lexical.passage_at(place)

    def vectors_at(self, places: Sequence[int]) -> Vectors:
        """Vectors of the passages at `places`, one row per passage; zero if a passage has no vector yet."""
        ordinals = np.array([self.lexical.ordinal_at(place) for place in places], np.int64)
        found = np.zeros((len(ordinals), self.vectors.manifest.dimensions), np.float32)
        there = ordinals < self._embedded
        found[there] = self.vectors.rows[ordinals[there]]
        return found

    def scan(self, seed: int) -> Iterator[Passage]:
        """Every passage once, in an order shuffled by `seed`."""
        return self.lexical.scan(seed)

    async def aclose(self) -> None:
        """Close the embedder."""
        await self.embedder.aclose()

    @property
    def _embedded(self) -> int:
        return self.vectors.manifest.rows

    def _candidates(self, query: str, pool: int, vector: Vectors, where: Filter | None) -> Sequence[Scored]:
        found = self.lexical.rank(query, pool, where)
        if self.neighbours is None:
            return found
        known = {scored.ordinal for scored in found}
        near = [int(ordinal) for ordinal in self.neighbours.nearest(vector, pool) if int(ordinal) not in known]
        return [*found, *self.lexical.score(query, near, where)]


def mix(lexical: Floats, dense: Floats, weight: float) -> Floats:
    """Scores in [0, 1]: `weight` of `dense` stretched to [0, 1], the rest of `lexical` divided by its maximum.

    A passage without a vector (NaN) keeps its lexical score. All passages do if their vectors are equally close.
    """
    best = lexical.max(initial=0.0)
    words = lexical / best if best > 0 else np.zeros_like(lexical)
    there = np.isfinite(dense)
    low, high = dense[there].min(initial=np.inf), dense[there].max(initial=-np.inf)
    if not high > low:
        return np.round(words, DECIMALS)
    meaning = np.where(there, (dense - low) / (high - low), words)
    return np.round((1 - weight) * words + weight * meaning, DECIMALS)
