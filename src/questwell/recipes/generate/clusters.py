"""Groups similar passages of the corpus into clusters, and starts plays from each cluster in turn.

The clusters are built from a sample; every other passage joins the nearest one when it is read. Passages are read in
the order of the draw and only as far as needed; for waiting passages, only their positions are kept.
"""

import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, runtime_checkable

import numpy as np

from questwell.errors import ConfigError
from questwell.evaluation.grouping import Groups, Matrix, Vocabulary, nearest, settled, words_of
from questwell.games.seeds import draw_order
from questwell.recipes.generate.setup import Library
from questwell.recipes.generate.topics import Start
from questwell.retrieval.corpora.passages import count_words
from questwell.retrieval.embedders.embedder import Vectors, embedded_text
from questwell.retrieval.embedders.wordllama import WordLlama
from questwell.types.corpus import Passage

SAMPLE = 2_000
"""Minimum number of passages to build the clusters from, if the corpus has as many."""
PER_CLUSTER = 40
"""Minimum number of sampled passages per cluster."""
WORDS = 2_000
"""Number of words by which passages are compared if there are no vectors."""
AHEAD = 5_000
"""Number of passages to read in search of one from a cluster before its turn is skipped."""
STARTS = 5
"""Number of restarts of the clustering: a single one may split a large subject and join two small ones."""
BATCH = 256
_GRID = 256
"""Vectors are rounded to multiples of 1/256: see `grouping.settled`."""


@runtime_checkable
class WithVectors(Protocol):
    """A library that has a vector per passage."""

    @property
    def embedded_by(self) -> str:
        """Name of the embedder."""
        ...

    def vectors_at(self, places: Sequence[int]) -> Vectors:
        """Return the vectors of the passages at these positions, one per row; zero if a passage has none yet."""
        ...


class _Space(Protocol):
    """The space in which passages are points."""

    @property
    def name(self) -> str: ...

    def points(self, places: Sequence[int], passages: Sequence[Passage]) -> Matrix: ...


@dataclass(frozen=True, slots=True)
class _OfIndex:
    library: WithVectors

    @property
    def name(self) -> str:
        return self.library.embedded_by

    def points(self, places: Sequence[int], passages: Sequence[Passage]) -> Matrix:
        return self.library.vectors_at(places).astype(np.float64)


@dataclass(frozen=True, slots=True)
class _Static:
    embedder: WordLlama

    @property
    def name(self) -> str:
        return self.embedder.name

    def points(self, places: Sequence[int], passages: Sequence[Passage]) -> Matrix:
        return self.embedder.vectors([embedded_text(passage) for passage in passages]).astype(np.float64)


@dataclass(frozen=True, slots=True)
class _Words:
    vocabulary: Vocabulary
    name: str = "words"

    def points(self, places: Sequence[int], passages: Sequence[Passage]) -> Matrix:
        return self.vocabulary.vectors([words_of(embedded_text(passage)) for passage in passages])


class Clusters:
    """The clusters of a corpus, and its passages taken from each cluster in turn."""

    def __init__(self, library: Library, count: int, seed: int, seed_words: int) -> None:
        """Build at most `count` clusters from passages with at least `seed_words` words.

        Raises:
            ConfigError: the corpus has too few such passages.
        """
        self._library, self._words = library, seed_words
        self._order = draw_order(len(library), seed)
        sample = list(islice(self._read(iter(self._order)), max(SAMPLE, PER_CLUSTER * count)))
        if len(sample) < 2 * count:
            raise ConfigError(
                f"clusters = {count}: the corpus has only {len(sample)} passages of {seed_words} words or more; "
                "ask for fewer clusters, or none"
            )
        split = [words_of(embedded_text(passage)) for _, passage in sample]
        vocabulary = Vocabulary(split, WORDS)
        self._space = _space(library, vocabulary)
        points = self._points(sample)
        self._centres, group = _best(points, count, seed)
        self.names = _names(vocabulary, vocabulary.vectors(split), group, len(self._centres))
        """Name of each cluster: its most distinctive words. Names are unique."""
        self.made_by = self._space.name
        """Names what passages are compared by: the embedder, or words."""

    def in_turn(self) -> Iterator[Start]:
        """Yield every passage once, one from each cluster in turn until the cluster is used up."""
        waiting: list[deque[int]] = [deque() for _ in self.names]
        unread, more = self._grouped(), True
        none: list[tuple[int, int]] = []
        while more or any(waiting):
            for number, queue in enumerate(waiting):
                looked = 0
                while more and not queue and looked < AHEAD:
                    batch = next(unread, none)
                    for place, at in batch:
                        waiting[at].append(place)
                    looked, more = looked + len(batch), bool(batch)
                if queue:
                    yield Start(self._library.passage_at(queue.popleft()), self.names[number])

    def _grouped(self) -> Iterator[list[tuple[int, int]]]:
        """Yield batches of (position, cluster number) of passages, in the order of the draw."""
        read = self._read(iter(self._order))
        while batch := list(islice(read, BATCH)):
            near: list[int] = nearest(self._points(batch), self._centres).tolist()
            yield [(place, at) for (place, _), at in zip(batch, near, strict=True)]

    def _read(self, places: Iterator[int]) -> Iterator[tuple[int, Passage]]:
        for place in places:
            passage = self._library.passage_at(place)
            if count_words(passage.text) >= self._words:
                yield place, passage

    def _points(self, read: Sequence[tuple[int, Passage]]) -> Matrix:
        points = self._space.points([place for place, _ in read], [passage for _, passage in read])
        return np.rint(points * _GRID) / _GRID


def _space(library: Library, vocabulary: Vocabulary) -> _Space:
    if isinstance(library, WithVectors):
        return _OfIndex(library)
    try:
        return _Static(WordLlama())
    except ConfigError:
        return _Words(vocabulary)


def _names(vocabulary: Vocabulary, told: Matrix, group: Groups, count: int) -> list[str]:
    names: list[str] = []
    for number in range(count):
        words = vocabulary.apart(told, group, number) if (group == number).any() else ()
        name = ", ".join(words) or "cluster"
        names.append(f"{name} ({number + 1})" if name in names or not words else name)
    return names


def _best(points: Matrix, count: int, seed: int) -> tuple[Matrix, Groups]:
    """Return the centres and groups of the best of several starts: points are nearest to their centres."""
    rng = random.Random(f"{seed}/clusters")
    found = [settled(points, points[_starts(points, count, rng)]) for _ in range(STARTS)]
    return min(found, key=lambda one: float(((points - one[0][one[1]]) ** 2).sum()))


def _starts(points: Matrix, count: int, rng: random.Random) -> list[int]:
    """Return the rows to start from, likely far from each other (k-means++, Arthur and Vassilvitskii 2007)."""
    chosen = [rng.randrange(len(points))]
    far = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < count and far.any():  # fewer distinct passages than clusters
        chosen += rng.choices(range(len(points)), far.tolist())
        far = np.minimum(far, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return chosen
