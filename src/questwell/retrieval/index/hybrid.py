"""`HybridIndex`: BM25 finds candidates, vectors rank them again.

The best of BM25 are scored by vector too, and both scores are mixed. In trials that was as good as two separate
searches put together, without an index of neighbours. The second leg is for corpora that paraphrase (`neighbours.py`).
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
"""Raise it when the same index and vectors would rank differently: it is part of the name."""
POOL = 100
"""Candidates of each leg; more when more hits are asked for."""
DECIMALS = 6
"""Scores that differ by less than this are a tie, decided by the order of the corpus."""

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
            lexical: finds the candidates.
            vectors: may lag behind: passages without one keep their lexical score.
            embedder: that made `vectors`; makes those of queries.
            neighbours: finds candidates too; None: BM25 alone finds them.
            weight: of the vectors, a fraction; None: the embedder's.
            timeout_s: for the vector of a query.
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
        """The index in `folder`, with the vectors that `embedder` made.

        Raises:
            IndexMismatch: it was built with another analyser, or holds the vectors of other embedders only.
            RetrievalError: the index, its vectors, or with `dense_candidates` its neighbours are not there.
        """
        lexical = LexicalIndex.open(folder, analyzer)
        vectors = VectorFile.open(lexical, embedder.name)
        return cls(lexical, vectors, embedder, Neighbours.open(vectors) if dense_candidates else None)

    @property
    def name(self) -> str:
        """Corpus, snapshot, ranking, embedder, and how many passages have a vector while not all of them do."""
        legs = f"+knn[{self.neighbours.rows}]" if self.neighbours else ""
        return f"{self.lexical.name}+hybrid.{RANKING}({self.embedded_by},{self._weight:g}){self.lag}{legs}"

    @property
    def embedded_by(self) -> str:
        """The embedder, and what it does to queries alone."""
        return described(self.embedder)

    @property
    def lag(self) -> str:
        """How many passages have a vector, while not all of them do."""
        return f"[{self._embedded}]" if self._embedded < self.lexical.manifest.ordinals else ""

    @property
    def snapshot(self) -> str:
        """As of the lexical index."""
        return self.lexical.snapshot

    def __len__(self) -> int:
        """Number of passages."""
        return len(self.lexical)

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """As `Retriever.search`."""
        if k < 1 or not self.lexical.is_searchable(query):
            return ()
        vector = (await self.encode([query]))[0]
        if len(self) <= INLINE_PASSAGES:
            return self.find(query, k, vector)
        return await asyncio.to_thread(self.find, query, k, vector)

    async def search_many(self, queries: Sequence[str], k: int) -> list[tuple[Hit, ...]]:
        """The hits of each query, as `search`; all queries are encoded by one call."""
        return await self.search_where(queries, k, {})

    async def search_where(self, queries: Sequence[str], k: int, where: Filter) -> list[tuple[Hit, ...]]:
        """The same among the passages that `where` lets through."""
        vectors = await self.encode(queries)

        def find_all() -> list[tuple[Hit, ...]]:
            return [self.find(query, k, vector, where) for query, vector in zip(queries, vectors, strict=True)]

        return find_all() if len(self) <= INLINE_PASSAGES else await asyncio.to_thread(find_all)

    async def encode(self, queries: Sequence[str]) -> Vectors:
        """Vectors of queries, a row each.

        Raises:
            RetrievalTimeout: they did not come in time.
            RetrievalError: the embedder gave none.
        """
        return await embed_queries(self.embedder, [query[:QUERY_CHARS] for query in queries], self._timeout_s)

    def find(self, query: str, k: int, vector: Vectors, where: Filter | None = None) -> tuple[Hit, ...]:
        """At most `k` hits for a query and its vector, best first; equal scores in the order of the corpus."""
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
        """As of the lexical index."""
        return self.lexical.outdated()

    async def read_page(self, identifier: str, page: int) -> DocumentPage | None:
        """As of the lexical index."""
        return await self.lexical.read_page(identifier, page)

    async def find_in(self, identifier: str, query: str, k: int) -> tuple[Hit, ...] | None:
        """As of the lexical index: vectors hardly tell passages of one document apart."""
        return await self.lexical.find_in(identifier, query, k)

    def get(self, passage_id: str) -> Passage | None:
        """As of the lexical index."""
        return self.lexical.get(passage_id)

    def passage_at(self, place: int) -> Passage:
        """As of the lexical index."""
        return self.lexical.passage_at(place)

    def vectors_at(self, places: Sequence[int]) -> Vectors:
        """The vectors of the passages at these places, a row each; zero where there is none yet."""
        ordinals = np.array([self.lexical.ordinal_at(place) for place in places], np.int64)
        found = np.zeros((len(ordinals), self.vectors.manifest.dimensions), np.float32)
        there = ordinals < self._embedded
        found[there] = self.vectors.rows[ordinals[there]]
        return found

    def scan(self, seed: int) -> Iterator[Passage]:
        """As of the lexical index."""
        return self.lexical.scan(seed)

    async def aclose(self) -> None:
        """Release the embedder."""
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
    """Mixed scores in [0, 1]: `weight` of the dense ones stretched to [0, 1], the rest of the lexical over their best.

    A passage without a vector (NaN) keeps its lexical score; so do all when vectors tell nothing apart.
    """
    best = lexical.max(initial=0.0)
    words = lexical / best if best > 0 else np.zeros_like(lexical)
    there = np.isfinite(dense)
    low, high = dense[there].min(initial=np.inf), dense[there].max(initial=-np.inf)
    if not high > low:
        return np.round(words, DECIMALS)
    meaning = np.where(there, (dense - low) / (high - low), words)
    return np.round((1 - weight) * words + weight * meaning, DECIMALS)
