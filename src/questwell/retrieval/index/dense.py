"""Stores the vectors of an index's passages on disk. `embed_index` makes them, and can stop and continue later.

The file has half-precision numbers, one row per ordinal. It is only appended to, and is mapped into memory. To survive
crashes, rows are written and fsynced first, then the manifest states how many are valid. Rows beyond that number are
cut off before more are written.
"""

import asyncio
import os
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from questwell.assets.cache import exclusive
from questwell.assets.progress import Progress, silent
from questwell.errors import IndexMismatch, RetrievalError
from questwell.retrieval.embedders.embedder import Embedder, Vectors, embedded_text
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.retrieval.index.manifest import writing
from questwell.retrieval.index.vector_manifest import MANIFEST, VectorManifest, embedders_of, vectors_folder

COMMIT_EVERY = 1024
"""Number of passages between two commits; a small transformer needs about ten seconds for them."""
ROWS = "rows.f16"
ITEM = np.dtype("<f2")


class VectorFile:
    """Vectors of one embedder, opened for reading."""

    def __init__(self, folder: Path, manifest: VectorManifest) -> None:
        self.folder = folder
        self.manifest = manifest
        size = (folder / ROWS).stat().st_size if (folder / ROWS).is_file() else 0
        if size < manifest.rows * manifest.dimensions * ITEM.itemsize:
            raise RetrievalError(
                f"{folder / ROWS} is shorter than its manifest says: delete its folder and embed again"
            )
        shape = (manifest.rows, manifest.dimensions)
        self.rows: npt.NDArray[np.float16] = (
            np.memmap(folder / ROWS, ITEM, "r", shape=shape) if manifest.rows else np.empty(shape, ITEM)
        )

    @classmethod
    def open(cls, lexical: LexicalIndex, embedder: str) -> Self:
        """Open the vectors that `embedder` made for `lexical`.

        Raises:
            IndexMismatch: there are only vectors of other embedders, or of another index.
            RetrievalError: there are no vectors.
        """
        folder = vectors_folder(lexical.folder, embedder)
        manifest = VectorManifest.read(folder)
        if manifest is None:
            others = sorted(found.embedder for found in embedders_of(lexical.folder))
            held = f"vectors of {', '.join(others)}, none of {embedder}" if others else "no vectors"
            kind = IndexMismatch if others else RetrievalError
            raise kind(f"index {lexical.folder} holds {held}: run `questwell index --retriever hybrid` with it")
        if (manifest.embedder, manifest.origin) != (embedder, lexical.manifest.origin):
            raise IndexMismatch(
                f"{folder} holds vectors of {manifest.embedder} for the index {manifest.origin}, "
                f"not of {embedder} for {lexical.manifest.origin}: delete it and embed again"
            )
        return cls(folder, manifest)

    def similarities(self, ordinals: npt.NDArray[np.int64], query: Vectors) -> npt.NDArray[np.float64]:
        """Cosine between each passage in `ordinals` and the query's vector; NaN if a passage has no vector yet."""
        if query.shape != (self.manifest.dimensions,):
            raise IndexMismatch(
                f"the embedder gave {query.size} numbers, but vectors in the index have {self.manifest.dimensions}: "
                "it now serves another model"
            )
        found = np.full(ordinals.shape, np.nan)
        there = ordinals < self.manifest.rows
        if there.any():
            found[there] = self.rows[ordinals[there]].astype(np.float32) @ query
        return found


async def embed_index(
    lexical: LexicalIndex, embedder: Embedder, *, progress: Progress = silent, commit_every: int = COMMIT_EVERY
) -> VectorManifest:
    """Make the missing vectors of all passages and return their manifest. After a kill, continue where it stopped.

    Args:
        lexical: the index. It can be searched meanwhile, also by the vectors made so far.
        embedder: the embedder that makes the vectors.
        progress: called with (passages, total).
        commit_every: passages between two commits; decides how much is lost in a crash, but not the result.

    Raises:
        IndexMismatch: the embedder's vectors have another length than the existing ones.
        LLMError: an endpoint returned no vectors; committed vectors are kept.
    """
    folder = vectors_folder(lexical.folder, embedder.name)
    with exclusive(folder / "lock"):
        manifest = await _begin(folder, lexical, embedder)
        total = lexical.manifest.ordinals
        with (folder / ROWS).open("ab") as file:
            file.truncate(manifest.rows * manifest.dimensions * ITEM.itemsize)
            if manifest.rows < total:
                progress(manifest.rows, total)
            while manifest.rows < total:
                last = min(manifest.rows + commit_every, total)
                rows = await _rows(lexical, embedder, manifest, last)
                with writing(folder):
                    file.write(rows.tobytes())
                    file.flush()
                    os.fsync(file.fileno())
                    manifest = manifest.keep(folder, last)
                progress(last, total)
        return manifest


async def _begin(folder: Path, lexical: LexicalIndex, embedder: Embedder) -> VectorManifest:
    """The manifest to continue from; a new one if there is none, or if it belongs to an index that is gone."""
    manifest = VectorManifest.read(folder)
    origin = lexical.manifest.origin
    if manifest is not None and (manifest.embedder, manifest.origin) == (embedder.name, origin):
        if manifest.rows >= lexical.manifest.ordinals:
            return manifest
        if (width := await _width(embedder)) != manifest.dimensions:
            raise IndexMismatch(
                f"{embedder.name} gives {width} numbers per text, but those in {folder} have {manifest.dimensions}: "
                "it now serves another model. Delete this folder to embed again"
            )
        return manifest
    manifest = VectorManifest(embedder.name, await _width(embedder), 0, origin)
    (folder / MANIFEST).unlink(missing_ok=True)
    for stale in folder.iterdir():  # also the index of neighbours
        if stale.name != "lock":
            stale.unlink()
    return manifest.keep(folder, 0)


async def _width(embedder: Embedder) -> int:
    return (await embedder.embed(["a text"])).shape[1]


async def _rows(
    lexical: LexicalIndex, embedder: Embedder, manifest: VectorManifest, last: int
) -> npt.NDArray[np.float16]:
    """Vectors from the end of the file up to ordinal `last`, in batches."""
    first = manifest.rows
    passages = lexical.between(first, last)
    rows = np.zeros((last - first, manifest.dimensions), ITEM)
    slots = asyncio.Semaphore(embedder.in_flight)

    async def fill(start: int) -> None:
        part = passages[start : start + embedder.batch]
        async with slots:
            vectors = await embedder.embed([embedded_text(passage) for _, passage in part])
        if vectors.shape != (len(part), manifest.dimensions):
            raise IndexMismatch(f"{embedder.name} gave vectors of shape {vectors.shape} for {len(part)} texts")
        rows[[ordinal - first for ordinal, _ in part]] = vectors

    async with asyncio.TaskGroup() as group:
        for start in range(0, len(passages), embedder.batch):
            group.create_task(fill(start))
    return rows
