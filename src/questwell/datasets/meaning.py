"""Finds items that overlap with benchmark questions in meaning, by comparing their vectors.

This finds paraphrases that share no run of words. What counts as similar depends on the embedder, so the user sets
the threshold, and by default overlaps are only reported.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from questwell.datasets.decontaminate import Overlap, Sign
from questwell.retrieval.embedders.embedder import Embedder, Vectors
from questwell.types.dataset import Item
from questwell.types.evaluation import Question


async def overlaps_in_meaning(
    items: Iterable[Item], questions: Sequence[Question], embedder: Embedder, threshold: float
) -> list[Overlap]:
    """Return all pairs of item and benchmark question with a cosine of at least `threshold`, ordered by item."""
    if not questions:
        return []
    theirs = await _vectors([question.question for question in questions], embedder)
    found: list[Overlap] = []
    waiting = iter(items)
    while some := list(islice(waiting, embedder.batch)):
        ours = await embedder.embed([item.question for item in some])
        for item, vector in zip(some, ours, strict=True):
            near = theirs @ vector
            for at in np.flatnonzero(near >= threshold):
                question = questions[int(at)]
                detail = f"cosine {near[at]:.2f}"
                found.append(Overlap(item.id, question.benchmark, question.id, Sign.MEANING, detail))
    return found


async def _vectors(texts: Sequence[str], embedder: Embedder) -> Vectors:
    parts = [await embedder.embed(texts[at : at + embedder.batch]) for at in range(0, len(texts), embedder.batch)]
    return np.concatenate(parts)
