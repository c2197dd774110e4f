"""`DenseIndex`: every passage ranked by its vector alone, for corpora and embedders where words do not help.

All vectors are compared, in blocks of a memory-mapped file, unless there is an index of neighbours.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from questwell.retrieval.embedders.embedder import Vectors
from questwell.retrieval.index.hybrid import DECIMALS, POOL, HybridIndex
from questwell.retrieval.index.lexical import Filter, Scored
from questwell.types.corpus import Hit

RANKING = 1
"""Raise it when the same vectors would rank differently: it is part of the name."""
BLOCK = 65_536
"""Vectors compared at once."""


class DenseIndex(HybridIndex):
    """An index searched by vectors alone; a passage without a vector is not found."""

    @property
    def name(self) -> str:
        """As of a hybrid index, without a lexical ranking."""
        corpus = f"{self.lexical.manifest.corpus}@{self.snapshot}{self.lexical.among}"
        return f"{corpus}/dense.{RANKING}({self.embedded_by}){self.lag}"

    def find(self, query: str, k: int, vector: Vectors, where: Filter | None = None) -> tuple[Hit, ...]:
        """At most `k` hits by cosine, best first; equal ones in the order of the corpus."""
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
            pool, known = pool * 8, len(near)  # a filter, or documents that are gone, left too few

    def _there(self, ordinals: Sequence[int], where: Filter | None) -> list[Scored]:
        """Those of the passages that are not removed, and that `where` lets through."""
        return self.lexical.score("", ordinals, where)

    def _nearest(self, vector: Vectors, most: int) -> npt.NDArray[np.int64]:
        """Ordinals of the passages with the nearest vectors, in no order."""
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
