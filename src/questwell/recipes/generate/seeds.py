"""Which seeds a run plays next: by its random seed, and for a steered run by what its finished waves gave."""

import math
import random
from collections import Counter
from collections.abc import Iterator

from questwell.games.seeds import Bin, Mix, draw_order, draw_seed
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.setup import Library
from questwell.retrieval.corpora.passages import count_words
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus, WaveSeed
from questwell.types.corpus import Passage
from questwell.types.game import Seed

_FREE_WAVE = 10_000
"""Seeds drawn at once when nothing depends on what was accepted; only bounds memory."""
_SMALLEST_WAVE = 4
"""So that a run's last items are not made one by one."""


class SeedSchedule:
    """Draws waves of seeds."""

    def __init__(self, config: Config, library: Library) -> None:
        """Draw from `library` what `config` asks for."""
        self._config = config
        self._library = library
        self._targets = config.targets
        self._order = iter(draw_order(len(library), config.seed))
        self._passages: list[Passage] = []
        self.total = None if config.seeds is None else min(config.seeds, len(library))
        """Seeds to play; None when the number of items decides."""

    def next_wave(self, run: RunReader) -> list[WaveSeed]:
        """The seeds after those that `run` has drawn, all of which must be played; none when the run is complete."""
        plays = run.plays()
        accepted = sum(known.status is PlayStatus.ACCEPTED for known in plays)
        if self._config.items is not None and accepted >= self._config.items:
            return []
        size = self._size(len(plays), accepted)
        end = min(len(plays) + size, len(self._library) if self.total is None else self.total)
        number = plays[-1].wave + 1 if plays else 0
        got, tried = self._so_far(run)
        seeds = (self._draw(index, passage, got, tried) for index, passage in self._starts(len(plays), end))
        return [WaveSeed(seed, number) for seed in seeds]

    def _size(self, played: int, accepted: int) -> int:
        """Seeds of the next wave: as many as the missing items need at the rate so far, so a run stops near them."""
        config = self._config
        if not config.steered:
            return _FREE_WAVE
        if config.items is None or not played:
            return config.wave
        needed = math.ceil((config.items - accepted) * (played + 2) / (accepted + 1))  # rule of succession
        return min(config.wave, max(needed, _SMALLEST_WAVE))

    def _starts(self, first: int, end: int) -> Iterator[tuple[int, Passage]]:
        """Indices from `first` up to `end` with the passages where they start, as far as the corpus has any left.

        A passage of a few words ("See X.") offers nothing to ask for, so it starts no play.
        """
        while len(self._passages) < end and (ordinal := next(self._order, None)) is not None:
            passage = self._library.passage_at(ordinal)
            if count_words(passage.text) >= self._config.seed_words:
                self._passages.append(passage)
        return iter(list(enumerate(self._passages))[first:end])

    def _draw(self, index: int, passage: Passage, got: Counter[Bin], tried: Counter[Bin]) -> Seed:
        config = self._config
        rng = random.Random(f"{config.seed}/{index}/target")
        target = self._targets.draw(rng, got, tried) if self._targets else None
        return draw_seed(index, passage, target, config.answer_types, config.seed)

    def _so_far(self, run: RunReader) -> tuple[Counter[Bin], Counter[Bin]]:
        """Items by the bin of their difficulty, and seeds by the bin of their target."""
        got, tried = Counter[Bin](), Counter[Bin]()
        if self._targets is None or not self._targets.steered:
            return got, tried
        difficulty = {row.seed_index: row.difficulty for row in run.rounds()}  # the last round comes last
        for known in run.plays():
            _add(tried, self._targets, known.target)
            if known.status is PlayStatus.ACCEPTED:
                _add(got, self._targets, difficulty[known.index])
        return got, tried


def _add(counts: Counter[Bin], mix: Mix, steps: int | None) -> None:
    if steps is not None and (bin_ := mix.bin_of(steps)) is not None:
        counts[bin_] += 1
