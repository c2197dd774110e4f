"""What the items of a run are about: their documents, how close their passages are, and their topics."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from questwell.evaluation.grouping import Matrix, Vocabulary, settled, words_of
from questwell.evaluation.statistics import Proportion, wilson
from questwell.recipes.runs.description import config_of, info_of
from questwell.store.pages import PlayFilter, indices
from questwell.store.reader import RunReader
from questwell.store.records import AboutCount, PlayStatus
from questwell.types.corpus import Passage

_SHOWN = 12
"""Maximum number of documents that are listed."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A group of items about the same topic."""

    words: tuple[str, ...]
    """The words that distinguish them from the other items, most distinctive first."""
    items: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """The coverage of the accepted items, or of a sample of them."""

    items: int
    """Number of items that were examined."""
    of: int
    """Number of accepted items, duplicates included."""
    documents: int
    """Number of distinct documents that their evidence comes from."""
    most_used: Sequence[tuple[str, int]]
    """Pairs of (title, number of items that use the document), most used first."""
    one_document: Proportion
    """Share of items whose evidence comes from a single document."""
    near: Proportion
    """Share of items with two passages that are the same, or adjacent in one document."""
    topics: Sequence[Topic]
    """Topics, the largest first; empty if there are too few items."""
    drawn_for: Sequence[AboutCount] = ()
    """Seeds and items by topic (--topics) or cluster of the corpus (--clusters); empty if neither was used."""

    @property
    def met(self) -> int:
        """Number of the topics or clusters in `drawn_for` that have an item."""
        return sum(one.items > 0 for one in self.drawn_for)


def coverage(folder: Path, most: int = 200) -> Coverage:
    """Return the coverage of at most `most` accepted items of the run in `folder`, drawn evenly over the run."""
    with RunReader(folder) as run, run.snapshot():
        config = config_of(info_of(run))
        drawn_for = run.about_counts() if config.get("topics") or config.get("clusters") else []
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
        drawn_for=drawn_for,
    )


def _spread(run: RunReader, of: int, most: int) -> list[int]:
    accepted = PlayFilter(PlayStatus.ACCEPTED)
    if of <= most:
        return indices(run, accepted, size=most)
    drawn = run.drawn()
    found = (indices(run, accepted, after=place * drawn // most - 1, size=1) for place in range(most))
    return list(dict.fromkeys(index for one in found for index in one))


def _near(used: Sequence[Passage]) -> bool:
    """Return whether two passages are the same or adjacent, by the number at the end of their ids."""
    places = [(one.document_id, _number(one)) for one in used]
    return any(
        a[0] == b[0] and a[1] is not None and b[1] is not None and abs(a[1] - b[1]) <= 1
        for at, a in enumerate(places)
        for b in places[at + 1 :]
    )


def _number(passage: Passage) -> int | None:
    """Return the passage's position in its document; the passage of a one-passage document has none."""
    if passage.id == passage.document_id:
        return 0
    found = re.search(r"#(\d{1,9})$", passage.id)
    return int(found[1]) if found else None


def topics(texts: Sequence[str], most: int = 6) -> list[Topic]:
    """Group similar texts, each group named by its most distinctive words.

    It starts from texts that are far apart, so that the same texts always give the same groups.
    """
    split = [words_of(text) for text in texts]
    vocabulary = Vocabulary(split)
    groups = min(most, len(texts) // 4)
    if groups < 2 or not vocabulary.words:
        return []
    matrix = vocabulary.vectors(split)
    _, group = settled(matrix, matrix[_far_apart(matrix, groups)])
    sizes = np.bincount(group, minlength=groups)
    found = [Topic(vocabulary.apart(matrix, group, n), int(size)) for n, size in enumerate(sizes) if size]
    return sorted((one for one in found if one.words), key=lambda one: (-one.items, one.words))


def _far_apart(matrix: Matrix, groups: int) -> list[int]:
    starts = [0]
    nearest = matrix @ matrix[0]
    for _ in range(groups - 1):
        starts.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, matrix @ matrix[starts[-1]])
    return starts
