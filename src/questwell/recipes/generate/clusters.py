"""Seeds by clusters of the corpus: like passages are grouped, and plays start from one of each cluster in turn.

The clusters are those of a sample; every other passage is put into the nearest one when it is read. Passages are read
in the order of the draw and only as far as they are needed, and of those that wait only their places are kept.
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
"""Minimum number of passages that the clusters are made of, if the corpus has as many."""
PER_CLUSTER = 40
"""Passages of the sample per cluster, at least."""
WORDS = 2_000
"""Words that passages are compared by where there are no vectors."""
AHEAD = 5_000
"""Passages that are read in search of one of a cluster before its turn is passed over."""
STARTS = 5
"""Starts of the search for clusters: one alone may split a large subject and join two small ones."""
BATCH = 256
_GRID = 256
"""Vectors are rounded to this part of 1: see `grouping.settled`."""


@runtime_checkable
class WithVectors(Protocol):
    """A library that holds a vector per passage."""

    @property
    def embedded_by(self) -> str:
        """The embedder's name."""
        ...

    def vectors_at(self, places: Sequence[int]) -> Vectors:
        """The vectors of the passages at these places, a row each; zero where there is none yet."""
        ...


class _Space(Protocol):
    """Where passages are points."""

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
    """The clusters of a corpus, and its passages by cluster in turn."""

    def __init__(self, library: Library, count: int, seed: int, seed_words: int) -> None:
        """Make at most `count` clusters of the passages with `seed_words` words or more.

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
        """Name of each cluster, the words that set it apart; no two names are equal."""
        self.made_by = self._space.name
        """What decides which passages are alike."""

    def in_turn(self) -> Iterator[Start]:
        """Every passage once, one of each cluster in turn as long as there is one."""
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
        """Places of passages with the number of their cluster, a batch at a time, in the order of the draw."""
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
    """Centres and groups of the best of several starts: that whose points are nearest to their centres."""
    rng = random.Random(f"{seed}/clusters")
    found = [settled(points, points[_starts(points, count, rng)]) for _ in range(STARTS)]
    return min(found, key=lambda one: float(((points - one[0][one[1]]) ** 2).sum()))


def _starts(points: Matrix, count: int, rng: random.Random) -> list[int]:
    """The rows to start from, probably far from each other (k-means++, Arthur and Vassilvitskii 2007)."""
    chosen = [rng.randrange(len(points))]
    far = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < count and far.any():  # or there are fewer different passages than clusters
        chosen += rng.choices(range(len(points)), far.tolist())
        far = np.minimum(far, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return chosen
