"""Sources of answers for self-play, from a list or a corpus, each with the searches that its question should need.

Sources are endless. A random seed fixes their order, and a position resumes them.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

from questwell.errors import ConfigError
from questwell.games.seeds import draw_order
from questwell.retrieval.corpora.documents import subject
from questwell.staged.spans import spans
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType
from questwell.types.selfplay import AnswerSeed


@dataclass(frozen=True, slots=True)
class Position:
    """Current position of a source."""

    given: int = 0
    """Number of answers given."""
    looked: int = 0
    """Number of list entries or passages examined so far."""


class Answers(Protocol):
    """A source of answers."""

    @property
    def position(self) -> Position:
        """Position to continue from."""
        ...

    def take(self, count: int) -> list[AnswerSeed]:
        """The next `count` answers."""
        ...


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """One entry of an answer list."""

    answer: str
    aliases: tuple[str, ...] = ()
    hops: int | None = None
    """Number of searches that its question should need; None draws a number."""
    passage: Passage | None = None
    """Passage that contains it, which the proposer is shown; None shows no passage."""


def several(seeds: Sequence[AnswerSeed], times: int) -> list[AnswerSeed]:
    """Each answer `times` times in a row, as separate seeds with different names and random choices."""
    return [replace(seed, index=seed.index * times + member) for seed in seeds for member in range(times)]


class ListedAnswers:
    """The answers of a list, in a new order in each pass."""

    def __init__(
        self,
        answers: Sequence[KnownAnswer],
        hops: tuple[int, int],
        random_seed: int,
        position: Position | None = None,
    ) -> None:
        """Go through `answers` from `position`; draw the number of hops if an entry does not state it.

        Raises:
            ConfigError: the list is empty.
        """
        if not answers:
            raise ConfigError("the answer list is empty")
        self._answers = answers
        self._hops = hops
        self._random_seed = random_seed
        self.position = position or Position()

    def take(self, count: int) -> list[AnswerSeed]:
        """The next `count` answers of the list."""
        first = self.position.given
        self.position = Position(first + count, first + count)
        return [self._seed(index) for index in range(first, first + count)]

    def _seed(self, index: int) -> AnswerSeed:
        time, place = divmod(index, len(self._answers))
        known = self._answers[_order(len(self._answers), f"{self._random_seed}/{time}")[place]]
        hops = known.hops or _hops(self._hops, self._random_seed, index)
        return AnswerSeed(index, known.answer, hops, known.aliases, known.passage, self._random_seed)


class GroundedAnswers:
    """Entities, dates and numbers from a corpus, each with the passage that contains it."""

    def __init__(
        self,
        passage_at: Callable[[int], Passage],
        passages: int,
        types: Sequence[AnswerType],
        hops: tuple[int, int],
        random_seed: int,
        position: Position | None = None,
    ) -> None:
        """Go through `passages` passages from `position`, in a new order in each pass."""
        self._passage_at = passage_at
        self._passages = passages
        self._types = types
        self._hops = hops
        self._random_seed = random_seed
        self.position = position or Position()

    def take(self, count: int) -> list[AnswerSeed]:
        """The next `count` answers from passages; a passage without a possible answer is skipped.

        Raises:
            ConfigError: no passage contains a possible answer.
        """
        seeds: list[AnswerSeed] = []
        idle = 0
        while len(seeds) < count:
            given, looked = self.position.given, self.position.looked
            seed = self._seed(given, looked)
            self.position = Position(given + (seed is not None), looked + 1)
            idle = 0 if seed else idle + 1
            if seed is not None:
                seeds.append(seed)
            elif idle >= self._passages:
                kinds = ", ".join(answer_type.value for answer_type in self._types)
                raise ConfigError(
                    f"no passage of the corpus contains an answer ({kinds}): give a list of answers with --answers"
                )
        return seeds

    def _seed(self, index: int, looked: int) -> AnswerSeed | None:
        time, place = divmod(looked, self._passages)
        passage = self._passage_at(draw_order_again(self._passages, self._random_seed, time)[place])
        rng = random.Random(f"{self._random_seed}/{looked}/answer")
        kinds = list(self._types)
        rng.shuffle(kinds)
        for kind in kinds:
            found = spans(passage, subject(passage), kind)
            if found:
                (chosen,) = rng.choices(found, [span.weight + 1 for span in found])
                hops = _hops(self._hops, self._random_seed, index)
                return AnswerSeed(index, chosen.text, hops, chosen.aliases, passage, self._random_seed)
        return None


@lru_cache(maxsize=2)
def draw_order_again(passages: int, random_seed: int, time: int) -> Sequence[int]:
    """Ordinals in a shuffled order, which is different for each pass number `time`."""
    return draw_order(passages, random_seed) if time == 0 else _order(passages, f"{random_seed}/{time}")


@lru_cache(maxsize=2)
def _order(count: int, random_seed: str) -> Sequence[int]:
    order = list(range(count))
    random.Random(f"{random_seed}/answers").shuffle(order)
    return order


def _hops(bounds: tuple[int, int], random_seed: int, index: int) -> int:
    return random.Random(f"{random_seed}/{index}/hops").randint(*bounds)
