"""Forecasts yield and cost of the rest of a run from the seeds played so far: `generate --pilot 20`.

Seeds are shuffled, so the played ones are a random sample. Intervals are for the actual result, not for a mean: they
cover both the uncertainty of the sample and the randomness of the remaining plays.
"""

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from questwell.evaluation.statistics import wilson
from questwell.recipes.generate.config import Config
from questwell.recipes.runs.description import config_of, info_of
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus
from questwell.types.game import Reason

_DRAWS = 1000
_SHARE = 0.975
"""Share of the draws inside an interval: more than 0.9, because a sample of 20 misses rare and costly plays."""
_MANY = 300
"""From this many plays on, we take the mean as normally distributed instead of drawing weights per play."""
_UNSEEN = 0.5
"""Weight, in plays, of a hypothetical play that costs more than any so far: costs have long tails."""
_FEWEST = 5
"""Minimum number of plays for a forecast."""


@dataclass(frozen=True, slots=True)
class Range:
    """A forecast with an interval that should contain the true value in more than nine of ten runs."""

    expected: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Acceptance:
    """How many seeds of one target yielded an item."""

    target: int | None
    accepted: int
    played: int
    low: float
    """Lower end of the 95 % Wilson interval of the share, a fraction."""
    high: float


@dataclass(frozen=True, slots=True)
class Taken:
    """Usage of one play."""

    tokens: float | None
    cost_usd: float | None
    calls: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecast for the rest of a run, after `played` seeds."""

    played: int
    accepted: int
    seeds: Range
    """Number of seeds still to play."""
    items: Range
    """Number of items still to come."""
    tokens: Range | None
    """Number of tokens; None if unknown."""
    cost_usd: Range | None
    calls: Range
    by_target: Sequence[Acceptance]


def foretell(plays: Sequence[Taken], *, seeds: int | None, items: int | None, seed: int = 0) -> Forecast | None:
    """Forecast what follows after `plays`; None if there are too few of them.

    Args:
        plays: the plays so far, without errored ones.
        seeds: maximum number of seeds still to play; None means no limit.
        items: number of items still wanted; None plays all seeds.
        seed: random seed, so that the same plays give the same forecast.
    """
    if len(plays) < _FEWEST or (seeds is None and items is None):
        return None
    rng = random.Random(seed)
    accepted = sum(play.accepted for play in plays)
    sums: dict[str, list[float]] = {"seeds": [], "items": [], "tokens": [], "cost_usd": [], "calls": []}
    known = [name for name in ("tokens", "cost_usd") if all(getattr(play, name) is not None for play in plays)]
    taken = {name: _Sample([float(getattr(play, name)) for play in plays]) for name in ("calls", *known)}
    for _ in range(_DRAWS):
        share = rng.betavariate(accepted + 0.5, len(plays) - accepted + 0.5)  # Jeffreys prior
        count, came = _rest(rng, share, seeds, items)
        sums["seeds"].append(count)
        sums["items"].append(came)
        weights = _weights(rng, len(plays)) if len(plays) <= _MANY else None
        for name, values in taken.items():
            mean, deviation = _one_play(rng, values, weights)
            sums[name].append(max(rng.gauss(mean * count, deviation * math.sqrt(count)), 0.0))
    return Forecast(
        played=len(plays),
        accepted=accepted,
        seeds=_range(sums["seeds"]),
        items=_range(sums["items"]),
        tokens=_taken(sums, "tokens", taken),
        cost_usd=_taken(sums, "cost_usd", taken),
        calls=_taken(sums, "calls", taken) or Range(0.0, 0.0, 0.0),
        by_target=(),
    )


def hours(found: Forecast, seconds_per_call: float, at_once: int) -> Range:
    """Forecast the hours that the rest takes.

    Args:
        found: the forecast.
        seconds_per_call: total duration of the plays, summed over plays, divided by model calls. The wall-clock time of
            a pilot overestimates it: most of its plays run next to few others.
        at_once: plays at the same time.
    """
    seeds, calls = max(found.seeds.expected, 1.0), found.calls
    lanes = min(float(at_once), seeds)
    # At the end slots stay idle until the last play ends, which takes about this long for random play lengths.
    last_s = calls.expected / seeds * seconds_per_call * (math.log(lanes) if lanes > 1 else 0.0)
    low, expected, high = (number * seconds_per_call / lanes for number in (calls.low, calls.expected, calls.high))
    return Range((expected + last_s / 2) / 3600, low / 3600, (high + last_s) / 3600)


def forecast(folder: Path, offered: int | None = None) -> Forecast | None:
    """Forecast the rest of the run in `folder`; None if too little has been played.

    Args:
        folder: folder of the run.
        offered: maximum number of seeds that the corpus has.
    """
    with RunReader(folder) as run, run.snapshot():
        config = Config.model_validate({**Config.older, **config_of(info_of(run))})
        usage = run.usage_by_seed()
        ended = [
            one for one in run.each_play() if one.status is not PlayStatus.PENDING and one.reason is not Reason.ERRORED
        ]
        plays: list[Taken] = []
        got, tried = Counter[int | None](), Counter[int | None]()
        for one in ended:
            took = usage.get(one.seed_id)
            accepted = one.status is PlayStatus.ACCEPTED
            tried[one.target] += 1
            got[one.target] += accepted
            if took is not None:
                tokens = None
                if took.prompt_tokens is not None and took.completion_tokens is not None:
                    tokens = float(took.prompt_tokens + took.completion_tokens)
                plays.append(Taken(tokens, took.cost_usd, float(took.calls), accepted))
        most = min((count for count in (config.seeds, offered) if count is not None), default=None)
        found = foretell(
            plays,
            seeds=None if most is None else max(most - len(ended), 0),
            items=None if config.items is None else max(config.items - sum(got.values()), 0),
            seed=config.seed,
        )
        if found is None:
            return None
        shares = [(target, wilson(got[target], of)) for target, of in tried.items()]
        rows = [
            Acceptance(target, got[target], tried[target], share.low or 0.0, 1.0 if share.high is None else share.high)
            for target, share in sorted(shares, key=lambda pair: (pair[0] is None, pair[0] or 0))
        ]
        return Forecast(
            found.played, found.accepted, found.seeds, found.items, found.tokens, found.cost_usd, found.calls, rows
        )


def _rest(rng: random.Random, share: float, seeds: int | None, items: int | None) -> tuple[float, float]:
    """Draw seeds played and items accepted in one possible rest of the run."""
    needed = math.inf
    if items is not None:
        # A negative binomial: failures before `items` successes are Poisson of a gamma.
        failures = _poisson(rng, rng.gammavariate(items, (1 - share) / share)) if items else 0.0
        needed = items + failures
    if seeds is None or needed <= seeds:
        return needed, float(items or 0)
    deviation = math.sqrt(seeds * share * (1 - share))
    came = sum(rng.random() < share for _ in range(seeds)) if seeds <= 200 else rng.gauss(seeds * share, deviation)
    most = float(seeds if items is None else min(seeds, items))
    return float(seeds), min(max(round(came), 0), most)


def _poisson(rng: random.Random, mean: float) -> float:
    if mean > 200:
        return max(round(rng.gauss(mean, math.sqrt(mean))), 0)
    count, product, floor = 0, rng.random(), math.exp(-mean)
    while product > floor:
        count += 1
        product *= rng.random()
    return float(count)


class _Sample:
    """Usage of the plays, with mean and standard deviation."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values = values
        self.mean = math.fsum(values) / len(values)
        self.unseen = 2 * max(values) - self.mean
        """Usage of a hypothetical play that costs more than any in the sample, as a longer run will have."""
        self.deviation = math.sqrt(math.fsum((value - self.mean) ** 2 for value in values) / len(values))


def _one_play(rng: random.Random, sample: _Sample, weights: Sequence[float] | None) -> tuple[float, float]:
    """Draw mean and standard deviation of a play's usage; `weights` is None for large samples."""
    if weights is None:
        return rng.gauss(sample.mean, sample.deviation / math.sqrt(len(sample.values))), sample.deviation
    apart = [*(value - sample.mean for value in sample.values), sample.unseen - sample.mean]
    drawn = sum(weight * one for weight, one in zip(weights, apart, strict=True))
    square = sum(weight * one * one for weight, one in zip(weights, apart, strict=True))
    mean = sample.mean + drawn * (1 + 3 / len(sample.values))  # approximates Student's t for small samples
    return mean, math.sqrt(max(square - drawn * drawn, 0.0))


def _weights(rng: random.Random, count: int) -> list[float]:
    """Draw weights of the plays and of the unseen one (the Bayesian bootstrap, Rubin 1981)."""
    drawn = [*(rng.expovariate(1.0) for _ in range(count)), _UNSEEN * rng.expovariate(1.0)]
    total = sum(drawn)
    return [one / total for one in drawn]


def _taken(sums: Mapping[str, list[float]], name: str, taken: Mapping[str, _Sample]) -> Range | None:
    """Return the usage of the rest, expecting the mean of the plays without the unseen one; None if unknown."""
    if name not in taken:
        return None
    found = _range(sums[name])
    return Range(
        min(max(taken[name].mean * _range(sums["seeds"]).expected, found.low), found.high), found.low, found.high
    )


def _range(values: list[float]) -> Range:
    ordered = sorted(values)
    edge = (1 - _SHARE) / 2
    low, high = ordered[int(edge * len(ordered))], ordered[min(int((1 - edge) * len(ordered)), len(ordered) - 1)]
    return Range(ordered[len(ordered) // 2], low, high)
