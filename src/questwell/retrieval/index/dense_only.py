"""`DenseIndex`: ranks all passages only by their vectors, for corpora in which words do not help.

Without an index of neighbours all vectors are compared, in blocks of a memory-mapped file.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from questwell.retrieval.embedders.embedder import Vectors
from questwell.retrieval.index.hybrid import DECIMALS, POOL, HybridIndex
from questwell.retrieval.index.lexical import Filter, Scored
from questwell.types.corpus import Hit

RANKING = 1
"""Version of the ranking, part of the name; increase it if the same vectors would rank differently."""
BLOCK = 65_536
"""Number of vectors compared at a time."""


class DenseIndex(HybridIndex):
    """An index that is searched only by vectors; a passage without a vector is not found."""

    @property
    def name(self) -> str:
        """Names corpus, snapshot, ranking and embedder, as for a hybrid index."""
        corpus = f"{self.lexical.manifest.corpus}@{self.snapshot}{self.lexical.among}"
        return f"{corpus}/dense.{RANKING}({self.embedded_by}){self.lag}"

    def find(self, query: str, k: int, vector: Vectors, where: Filter | None = None) -> tuple[Hit, ...]:
        """At most `k` hits by cosine, best first. Hits with equal cosines are in the order of the corpus."""
        if k < 1 or not self.lexical.is_searchable(query):
            return ()
        pool, known = max(POOL, k), 0
        while True:
            near = self._nearest(vector, pool)
            cosines = dict(zip(near.tolist(), self.vectors.similarities(near, vector).tolist(), strict=True))
            there = self._there(list(cosines), where)
            found = [Scored(round(cosines[one.ordinal], DECIMALS), one.ordinal, one.address) for one in there]
            if len(found) >= k or len(near) == known:
                ranked = sorted(found, key=lambda scored: (-scored.score, scored.ordinal))
                return self.lexical.load(ranked[:k])
            pool, known = pool * 8, len(near)  # too few were left by a filter or removed documents

    def _there(self, ordinals: Sequence[int], where: Filter | None) -> list[Scored]:
        """The passages that are not removed and have the metadata `where`."""
        return self.lexical.score("", ordinals, where)

    def _nearest(self, vector: Vectors, most: int) -> npt.NDArray[np.int64]:
        """Ordinals of the passages with the nearest vectors, in any order."""
        if self.neighbours is not None:
            return np.asarray(self.neighbours.nearest(vector, most), np.int64)
        rows = self.vectors.manifest.rows
        blocks = [np.arange(first, min(first + BLOCK, rows), dtype=np.int64) for first in range(0, rows, BLOCK)]
        best = np.empty(0, np.int64)
        scores = np.empty(0, np.float64)
        for block in blocks:
            best = np.concatenate([best, block])
            scores = np.concatenate([scores, self.vectors.similarities(block, vector)])
            if len(best) > most:
                kept = np.argsort(-scores, kind="stable")[:most]
                best, scores = best[kept], scores[kept]
        return best
