"""Chooses the seeds that a run plays next, from its random seed and, if steered, from its finished waves."""

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from questwell.games.alike import Alike
from questwell.games.seeds import Bin, Mix, draw_order, draw_seed
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.setup import Library
from questwell.recipes.generate.topics import Start
from questwell.retrieval.corpora.passages import count_words
from questwell.store.reader import RunReader
from questwell.store.records import WaveSeed
from questwell.types.game import QuestionKind, Seed

_FREE_WAVE = 1_000
"""Number of seeds drawn at once if draws do not depend on accepted items; it only limits memory."""
_SMALLEST_WAVE = 4
"""Minimum size of a wave, so that the last items are not made one by one."""

Order = Callable[[], Iterator[Start]]
"""Returns the passages where plays may start, from the first on; the same at each call."""


class SeedSchedule:
    """Draws waves of seeds."""

    def __init__(self, config: Config, library: Library, order: Order | None = None) -> None:
        """Draw what `config` asks for from `library`, or from the passages of `order`."""
        self._config = config
        self._library = library
        self._targets = config.targets
        self._kinds = config.wanted_kinds
        self._part = config.part
        self._starts = _Starts(config, library, order)
        self._end = len(library) if config.seeds is None else min(config.seeds, len(library))
        """The index after that of the last seed."""
        self.total = None if config.seeds is None else self._part.size(self._end)
        """Number of seeds to play; None if the run stops at a number of items instead."""
        self._kind_items, self._kind_seeds = Counter[QuestionKind](), Counter[QuestionKind]()
        self._counted = 0
        """Number of seeds in those two counts: their waves are finished, so each is counted once."""

    def next_wave(self, run: RunReader) -> list[WaveSeed]:
        """Return the seeds after those that `run` has drawn; empty if the run is complete.

        All drawn seeds of a steered run must be played.
        """
        drawn = run.drawn()
        accepted = run.accepted() if self._config.items is not None else 0
        if self._config.items is not None and accepted >= self._config.items:
            return []
        size = self._size(drawn, accepted)
        number = run.latest_wave() + 1
        steps, kinds = self._so_far(run), self._kinds_so_far(run)
        return [
            WaveSeed(self._draw(index, start, steps, kinds), number)
            for index, start in self._starts.between(drawn * self._part.of, (drawn + size) * self._part.of, self._end)
            if self._part.holds(index)
        ]

    def _size(self, played: int, accepted: int) -> int:
        """Return the size of the next wave: enough for the missing items at the rate so far, to stop close to it."""
        config = self._config
        if not config.steered:
            return _FREE_WAVE
        if config.items is None or not played:
            return config.wave
        needed = math.ceil((config.items - accepted) * (played + 2) / (accepted + 1))  # rule of succession
        return min(config.wave, max(needed, _SMALLEST_WAVE))

    def _draw(
        self,
        index: int,
        start: Start,
        steps: tuple[Mapping[Bin, int], Mapping[Bin, int]],
        kinds: tuple[Mapping[QuestionKind, int], Mapping[QuestionKind, int]],
    ) -> Seed:
        config = self._config
        rng = random.Random(f"{config.seed}/{index}/target")
        target = self._targets.draw(rng, *steps) if self._targets else None
        kind = self._kinds.draw(random.Random(f"{config.seed}/{index}/kind"), *kinds) if self._kinds else None
        return draw_seed(index, start.passage, target, config.answer_types, config.seed, kind, start.about)

    def _kinds_so_far(self, run: RunReader) -> tuple[Counter[QuestionKind], Counter[QuestionKind]]:
        """Count items and seeds by requested kind; every accepted item has the requested kind."""
        if self._kinds is not None:
            for one in run.kind_counts(self._counted):
                self._kind_items[one.kind] += one.items
                self._kind_seeds[one.kind] += one.seeds
            self._counted = run.drawn()
        return self._kind_items, self._kind_seeds

    def _so_far(self, run: RunReader) -> tuple[Counter[Bin], Counter[Bin]]:
        """Count items by the bin of their difficulty, and seeds by the bin of their target."""
        if self._targets is None or not self._targets.steered:
            return Counter(), Counter()
        got = _by_bin(self._targets, run.accepted_by_difficulty())
        return got, _by_bin(self._targets, run.drawn_by_target())


class _Starts:
    """Start passages by seed index, read once and in order; none are kept in memory.

    Passages of a few words ("See X.") offer nothing to ask about, so they are skipped; near-duplicates of earlier
    passages are skipped too, if requested.
    """

    def __init__(self, config: Config, library: Library, order: Order | None) -> None:
        self._seed, self._words, self._distinct = config.seed, config.seed_words, config.distinct_seeds
        self._library = library
        self._order = order or self._anywhere
        self._rewind()

    def between(self, first: int, last: int, end: int) -> Iterator[tuple[int, Start]]:
        """Yield (index, start) from `first` up to but excluding `last` and `end`, while the corpus has passages."""
        if first < self._next:
            self._rewind()
        while self._next < min(last, end) and (start := next(self._left, None)) is not None:
            text = start.passage.text
            if count_words(text) < self._words or (self._alike is not None and self._alike.seen(text)):
                continue
            self._next += 1
            if self._next > first:
                yield self._next - 1, start

    def _anywhere(self) -> Iterator[Start]:
        return map(Start, map(self._library.passage_at, draw_order(len(self._library), self._seed)))

    def _rewind(self) -> None:
        self._left = self._order()
        self._alike = Alike() if self._distinct else None
        self._next = 0


def _by_bin(mix: Mix, counts: Mapping[int, int]) -> Counter[Bin]:
    found = Counter[Bin]()
    for steps, count in counts.items():
        if (bin_ := mix.bin_of(steps)) is not None:
            found[bin_] += count
    return found
