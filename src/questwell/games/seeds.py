"""Makes the seeds of plays: passage, target, kind and answer type, all fixed by the run's random seed."""

import itertools
import random
import re
from array import array
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from questwell.errors import ConfigError
from questwell.text.lists import parse_named, parse_range
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType, QuestionKind, Seed


@dataclass(frozen=True, slots=True)
class Bin:
    """A range of difficulties, bounds included, and the desired share of items in it."""

    low: int
    high: int
    share: float
    """Desired share of the items, a fraction in [0, 1]."""

    def holds(self, steps: int) -> bool:
        """Whether `steps` is in this range."""
        return self.low <= steps <= self.high

    @property
    def name(self) -> str:
        """The range as the user wrote it: `2-3`, or `4`."""
        return f"{self.low}-{self.high}" if self.high > self.low else str(self.low)


@dataclass(frozen=True, slots=True)
class Mix:
    """The desired distribution of difficulties: bins that do not overlap and whose shares sum to 1."""

    bins: tuple[Bin, ...]
    steered: bool = True
    """Whether draws favour bins with too few items; a plain range is drawn uniformly, as in the paper."""

    def draw(self, rng: random.Random, got: Mapping[Bin, int], tried: Mapping[Bin, int]) -> int:
        """A target S for one seed.

        In a steered mix the weight of a bin is the share that it lacks divided by its success rate (rule of
        succession), so that rare bins get more tries. `got` and `tried` must be those of finished waves, so that a run
        does not depend on the timing of its plays.
        """
        shares = {bin_: bin_.share for bin_ in self.bins}
        weights = _weights(shares, got, tried) if self.steered else list(shares.values())
        chosen = rng.choices(self.bins, weights)[0]
        return rng.randint(chosen.low, chosen.high)

    def bin_of(self, steps: int) -> Bin | None:
        """The bin that contains `steps`; None if there is none."""
        return next((bin_ for bin_ in self.bins if bin_.holds(steps)), None)


@dataclass(frozen=True, slots=True)
class KindMix:
    """The desired kinds of question with their shares of the items, which sum to 1."""

    shares: Mapping[QuestionKind, float]

    def draw(
        self, rng: random.Random, got: Mapping[QuestionKind, int], tried: Mapping[QuestionKind, int]
    ) -> QuestionKind:
        """A kind for one seed, steered as in `Mix.draw`."""
        return rng.choices(list(self.shares), _weights(self.shares, got, tried))[0]


_K = TypeVar("_K", bound=Hashable)


def _weights(shares: Mapping[_K, float], got: Mapping[_K, int], tried: Mapping[_K, int]) -> list[float]:
    """The weight of each bin: the share that it lacks divided by its success rate."""
    total = sum(got.get(one, 0) for one in shares) + 1
    lacks = [max(share * total - got.get(one, 0), 0.0) for one, share in shares.items()]
    rates = [(got.get(one, 0) + 1) / (tried.get(one, 0) + 2) for one in shares]
    return [lack / rate for lack, rate in zip(lacks, rates, strict=True)]


def parse_kinds(text: str) -> KindMix:
    """Parse `bridge,comparison`, or `bridge:60,comparison:40` with shares in any unit; without shares all are equal.

    Raises:
        ConfigError: a kind does not exist or is named twice, or a share is not positive.
    """
    shares: dict[QuestionKind, float] = {}
    for part in text.split(","):
        name, colon, share = (piece.strip() for piece in part.partition(":"))
        if name not in set(QuestionKind):
            raise ConfigError(f"kinds {text!r}: there is no kind {name!r}; there are: {', '.join(QuestionKind)}")
        kind = QuestionKind(name)
        try:
            weight = float(share) if colon else 1.0
        except ValueError:
            weight = -1.0
        if not 0 < weight < float("inf"):
            raise ConfigError(f"kinds {text!r}: {part.strip()!r} is not KIND:SHARE with a positive share")
        if kind in shares:
            raise ConfigError(f"kinds {text!r}: {name} is named twice")
        shares[kind] = weight
    if len({":" in part for part in text.split(",")}) > 1:
        raise ConfigError(f"kinds {text!r}: give every kind a share, or none")
    total = sum(shares.values())
    return KindMix({kind: weight / total for kind, weight in shares.items()})


def parse_steps(text: str) -> Mix:
    """Parse `2..5` (or `3`): every target in the range equally often.

    Raises:
        ConfigError: it is not a range of positive numbers.
    """
    low, high = _bounds(text, "..")
    share = 1 / (high - low + 1)
    return Mix(tuple(Bin(steps, steps, share) for steps in range(low, high + 1)), steered=False)


def parse_mix(text: str) -> Mix:
    """Parse `2-3:40,4-5:40,6-7:20`: bins with their shares in any unit.

    Raises:
        ConfigError: it is not of that form, bins overlap, or no share is positive.
    """
    shares = parse_named(text, float)
    if shares is None:
        raise ConfigError(f"mix {text!r}: expected LOW-HIGH:SHARE with positive shares, like 2-3:40,4-5:40,6-7:20")
    bins = sorted((*_bounds(span, "-"), weight) for span, weight in shares.items())
    for (_, high, _), (low, _, _) in itertools.pairwise(bins):
        if low <= high:
            raise ConfigError(f"mix {text!r}: two bins share {low} steps; let each number be in one bin")
    total = sum(weight for _, _, weight in bins)
    return Mix(tuple(Bin(low, high, weight / total) for low, high, weight in bins))


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `of` equal parts of a run's seeds: those whose index modulo `of` is `part`.

    A seed depends only on its index and the random seed, so all parts together have exactly the seeds of the whole run.
    """

    part: int
    """Number of this part, from 0."""
    of: int

    def holds(self, index: int) -> bool:
        """Whether this part contains seed number `index`."""
        return index % self.of == self.part

    def size(self, seeds: int) -> int:
        """Number of the first `seeds` seeds that are in this part."""
        return len(range(self.part, seeds, self.of))


WHOLE = Shard(0, 1)
"""The part that contains all seeds."""


def parse_shard(text: str) -> Shard:
    """Parse `3/8`: the fourth of eight parts.

    Raises:
        ConfigError: it is not of that form.
    """
    found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
    if found is None or not int(found[1]) < int(found[2]):
        raise ConfigError(f"shard {text!r}: expected PART/PARTS, from 0/8 to 7/8")
    return Shard(int(found[1]), int(found[2]))


def draw_order(passages: int, random_seed: int) -> Sequence[int]:
    """Ordinals of the passages in the order in which seeds use them: shuffled, each once."""
    order = array("Q", range(passages))  # a list of a million numbers takes 40 MB
    random.Random(random_seed).shuffle(order)
    return order


def draw_seed(
    index: int,
    passage: Passage,
    target: int | None,
    types: Sequence[AnswerType],
    random_seed: int,
    kind: QuestionKind | None = None,
    about: str = "",
) -> Seed:
    """Seed number `index`. It asks for one of `types`; the others are the second choice.

    A calculation always asks for a number, and a comparison for a name, whatever `types` are.
    """
    order = list(types)
    random.Random(f"{random_seed}/{index}/answer type").shuffle(order)
    if kind is not None and kind in _GIVES:
        return Seed(index, passage, target, _GIVES[kind], (), random_seed, kind, about)
    return Seed(index, passage, target, order[0], tuple(order[1:]), random_seed, kind, about)


_GIVES = {QuestionKind.CALCULATION: AnswerType.NUMBER, QuestionKind.COMPARISON: AnswerType.ENTITY}


def _bounds(text: str, separator: str) -> tuple[int, int]:
    bounds = parse_range(text, int, separator)
    if bounds is None or not 1 <= bounds[0] <= bounds[1] <= 100:
        raise ConfigError(f"steps {text!r}: expected a range like 2{separator}5, between 1 and 100")
    return bounds
