"""`Neighbours`: finds the nearest passages by vector with usearch (HNSW), for a hybrid or dense search.

It is built from the vector file, so it can always be rebuilt. It may cover fewer rows than the file.
"""

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from questwell.assets.cache import exclusive
from questwell.assets.progress import Progress, silent
from questwell.errors import RetrievalError
from questwell.retrieval.embedders.embedder import Vectors
from questwell.retrieval.extras import optional
from questwell.retrieval.index.dense import VectorFile
from questwell.text.whole import whole

FILE = "neighbours.{rows}.usearch"
CHUNK = 4096


class Neighbours:
    """An approximate nearest-neighbour index of vectors, mapped into memory."""

    def __init__(self, index: Any, rows: int) -> None:  # noqa: ANN401  usearch has no types
        self._index = index
        self.rows = rows
        """The index contains the ordinals below this number."""

    @classmethod
    def open(cls, vectors: VectorFile) -> Self:
        """Open the latest index over `vectors`.

        Raises:
            RetrievalError: there is no index.
        """
        found = _found(vectors)
        if not found:
            raise RetrievalError(
                f"{vectors.folder} contains no neighbour index: run `questwell index --dense-candidates`"
            )
        rows = max(found)
        index = _new(vectors.manifest.dimensions)
        index.view(str(found[rows]))
        return cls(index, rows)

    @classmethod
    def open_or_build(cls, vectors: VectorFile, progress: Progress = silent) -> Self:
        """The index over all of `vectors`; missing rows are added first. `progress` is called with (rows, total)."""
        total = vectors.manifest.rows
        with exclusive(vectors.folder / "lock"):
            found = _found(vectors)
            if total not in found:
                _build(vectors, found, progress)
        return cls.open(vectors)

    def nearest(self, query: Vectors, k: int) -> npt.NDArray[np.int64]:
        """Ordinals of approximately the `k` nearest passages, best first; they may include removed passages."""
        return np.asarray(self._index.search(query, k).keys, np.int64)


def _new(dimensions: int) -> Any:  # noqa: ANN401
    return optional("usearch.index", "dense").Index(ndim=dimensions, metric="ip", dtype="f16")


def _found(vectors: VectorFile) -> dict[int, Path]:
    """Index files by the number of rows that they cover; files for more rows than `vectors` has are ignored."""
    paths = {int(path.name.split(".")[1]): path for path in vectors.folder.glob(FILE.format(rows="*"))}
    return {rows: path for rows, path in paths.items() if rows <= vectors.manifest.rows}


def _build(vectors: VectorFile, found: dict[int, Path], progress: Progress) -> None:
    """Write the index over all rows, extending the longest in `found`; with one thread, to be reproducible."""
    index = _new(vectors.manifest.dimensions)
    done = max(found, default=0)
    if done:
        index.load(str(found[done]))
    total = vectors.manifest.rows
    for start in range(done, total, CHUNK):
        chunk = vectors.rows[start : start + CHUNK]
        index.add(np.arange(start, start + len(chunk)), np.asarray(chunk), threads=1)
        progress(start + len(chunk), total)
    with whole(vectors.folder / FILE.format(rows=total)) as fresh:
        index.save(str(fresh))
    for rows, old in found.items():
        if rows != total:
            old.unlink(missing_ok=True)
