"""What the items of a run are about: which documents they use, how far their passages lie apart, and their topics."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from questwell.evaluation.statistics import Proportion, wilson
from questwell.recipes.runs.opening import info_of
from questwell.store.pages import PlayFilter, indices
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus
from questwell.types.corpus import Passage

_SHOWN = 12
"""Maximum number of documents that are listed."""
_ITERATIONS = 20
_COMMON = re.compile(
    "what|which|when|where|who|whom|whose|how|was|were|the|and|for|that|this|with|from|has|have|had|did|does|are|its|into|"
    "first|name|named|year|called|used|than|then|their|there"
)


@dataclass(frozen=True, slots=True)
class Topic:
    """A group of items about the same topic."""

    words: tuple[str, ...]
    """Those that set them apart from the other items, the most telling first."""
    items: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """The coverage of the accepted items, or of a sample of them."""

    items: int
    """Number of items that were looked at."""
    of: int
    """Number of accepted items, duplicates included."""
    documents: int
    """Number of different documents that their evidence comes from."""
    most_used: Sequence[tuple[str, int]]
    """(title, items that use the document), most used first."""
    one_document: Proportion
    """Share of items whose evidence comes from one document only."""
    near: Proportion
    """Share of items with two passages that are the same, or neighbours in one document."""
    topics: Sequence[Topic]
    """Topics, the largest first; empty if there are too few items."""


def coverage(folder: Path, most: int = 200) -> Coverage:
    """What at most `most` accepted items of the run in `folder` are about, drawn evenly over the run."""
    with RunReader(folder) as run, run.snapshot():
        info_of(run)
        of = sum(count.plays for count in run.play_counts() if count.final and count.status is PlayStatus.ACCEPTED)
        chosen = _spread(run, of, most)
        evidence = [run.evidence(index) for index in chosen]
        texts = [
            " ".join((run.play(index).question or "", *(one.title for one in used)))
            for index, used in zip(chosen, evidence, strict=True)
        ]
    uses: Counter[str] = Counter()
    titles: dict[str, str] = {}
    for used in evidence:
        titles |= {one.document_id: one.title or one.document_id for one in used}
        uses.update({one.document_id for one in used})
    known = [used for used in evidence if used]
    return Coverage(
        items=len(chosen),
        of=of,
        documents=len(uses),
        most_used=[(titles[name], count) for name, count in uses.most_common(_SHOWN)],
        one_document=wilson(sum(len({one.document_id for one in used}) == 1 for used in known), len(known)),
        near=wilson(sum(map(_near, known)), len(known)),
        topics=topics(texts),
    )


def _spread(run: RunReader, of: int, most: int) -> list[int]:
    accepted = PlayFilter(PlayStatus.ACCEPTED)
    if of <= most:
        return indices(run, accepted, size=most)
    drawn = run.drawn()
    found = (indices(run, accepted, after=place * drawn // most - 1, size=1) for place in range(most))
    return list(dict.fromkeys(index for one in found for index in one))


def _near(used: Sequence[Passage]) -> bool:
    """Whether two of them are the same passage or neighbours, by the number that ends their ids."""
    places = [(one.document_id, _number(one)) for one in used]
    return any(
        a[0] == b[0] and a[1] is not None and b[1] is not None and abs(a[1] - b[1]) <= 1
        for at, a in enumerate(places)
        for b in places[at + 1 :]
    )


def _number(passage: Passage) -> int | None:
    """Its place in its document; a document of one passage has no number."""
    if passage.id == passage.document_id:
        return 0
    found = re.search(r"#(\d{1,9})$", passage.id)
    return int(found[1]) if found else None


def topics(texts: Sequence[str], most: int = 6) -> list[Topic]:
    """The texts in groups of like words (spherical k-means over tf-idf), each by the words that set it apart.

    It starts from texts far from each other, so that equal texts always give equal groups.
    """
    split = [{word for word in re.findall(r"\w{3,}", text.lower()) if not _COMMON.fullmatch(word)} for text in texts]
    seen = Counter(word for words in split for word in words)
    vocabulary = sorted(word for word, count in seen.items() if 2 <= count <= 0.8 * len(texts))
    groups = min(most, len(texts) // 4)
    if groups < 2 or not vocabulary:
        return []
    place = {word: at for at, word in enumerate(vocabulary)}
    matrix = np.zeros((len(texts), len(vocabulary)))
    for row, words in enumerate(split):
        for word in words & place.keys():
            matrix[row, place[word]] = np.log(len(texts) / seen[word])
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)
    group = _grouped(matrix, groups)
    found: list[Topic] = []
    for number in range(groups):
        mine = group == number
        if mine.any():
            apart = matrix[mine].mean(axis=0) - (matrix[~mine].mean(axis=0) if (~mine).any() else 0.0)
            best = [at for at in np.argsort(-apart, kind="stable")[:3] if apart[at] > 0]
            found.append(Topic(tuple(vocabulary[at] for at in best), int(mine.sum())))
    return sorted((one for one in found if one.words), key=lambda one: (-one.items, one.words))


def _grouped(
    matrix: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", groups: int
) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    starts = [0]
    nearest = matrix @ matrix[0]
    for _ in range(groups - 1):
        starts.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, matrix @ matrix[starts[-1]])
    centres = matrix[starts]
    group = np.argmax(matrix @ centres.T, axis=1)
    for _ in range(_ITERATIONS):
        centres = np.stack(
            [matrix[group == n].mean(axis=0) if (group == n).any() else centres[n] for n in range(groups)]
        )
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)
        again = np.argmax(matrix @ centres.T, axis=1)
        if (again == group).all():
            break
        group = again
    return group
