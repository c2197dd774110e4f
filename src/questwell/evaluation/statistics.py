"""Confidence intervals and significance tests for scores of questions.

The question is the unit: several attempts at one question are averaged first, because they are not independent. All
random choices are fixed by `seed`. The tests compare the results with scipy.
"""

import math
import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import NormalDist, fmean, stdev

from questwell.scoring.intervals import wilson as wilson
from questwell.types.measures import Proportion as Proportion

_NORMAL = NormalDist()
_EXACT = 12
"""Maximum number of differing pairs for which all 2^12 assignments of signs are tried."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions with its 95 % interval."""

    mean: float | None
    """None when `n` is 0."""
    low: float | None
    """Lower bound; None if the sample has no spread (one value, or all equal)."""
    high: float | None
    n: int
    """Number of questions."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Difference of two systems (second minus first) over the questions scored for both."""

    difference: Estimate
    p_value: float
    """Two-sided p-value of no difference, in (0, 1]."""
    test: str
    """`mcnemar_exact` for right and wrong; `sign_flip` for anything else."""
    better: int
    """Number of questions on which the second system scores higher."""
    worse: int
    detectable: float | None
    """Smallest true difference that such a comparison detects with 80 % power (two-sided, 5 %)."""


def estimate(values: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> Estimate:
    """Return the mean of `values`, one per question, with a suitable 95 % interval.

    Zeros and ones get Wilson's interval, which is also valid at 0 of n; other values get a bootstrap interval.
    """
    if not values:
        return Estimate(None, None, None, 0)
    if _binary(values):
        share = wilson(round(sum(values)), len(values))
        return Estimate(share.fraction, share.low, share.high, share.of)
    return bootstrap(values, resamples=resamples, seed=seed)


def bootstrap(values: Sequence[float], *, resamples: int = 2000, seed: int = 0, confidence: float = 0.95) -> Estimate:
    """Return the mean of `values` with its bias-corrected and accelerated bootstrap interval (Efron 1987)."""
    if not values:
        return Estimate(None, None, None, 0)
    mean = fmean(values)
    if min(values) == max(values):
        return Estimate(mean, None, None, len(values))
    rng = random.Random(seed)
    n = len(values)
    means = sorted(math.fsum(rng.choices(values, k=n)) / n for _ in range(resamples))
    low, high = _bca_bounds(values, mean, means, confidence)
    return Estimate(mean, _quantile(means, low), _quantile(means, high), n)


def compare(first: Sequence[float], second: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> Comparison:
    """Compare two systems on the same questions; position i of both lists is the same question.

    Raises:
        ValueError: the lists are empty or differ in length.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"a paired test needs the same questions: {len(first)} and {len(second)} scores")
    differences = [after - before for before, after in zip(first, second, strict=True)]
    better, worse = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    if _binary(first) and _binary(second):
        p_value, test = mcnemar(better, worse), "mcnemar_exact"
    else:
        p_value, test = sign_flip(differences, resamples=resamples, seed=seed), "sign_flip"
    return Comparison(
        difference=bootstrap(differences, resamples=resamples, seed=seed),
        p_value=p_value,
        test=test,
        better=better,
        worse=worse,
        detectable=detectable_difference(differences),
    )


def mcnemar(better: int, worse: int) -> float:
    """Return the exact two-sided p-value for equally likely `better` and `worse` pairs (McNemar 1947)."""
    n, few = better + worse, min(better, worse)
    tail = sum(math.comb(n, k) for k in range(few + 1)) / 2**n
    return min(1.0, 2 * tail)


def sign_flip(differences: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> float:
    """Return the two-sided p-value for the mean of paired `differences` being 0, by a permutation test.

    Exact if at most 12 differences are not 0; else estimated from `resamples` random sign flips, and never 0.
    """
    telling = [difference for difference in differences if difference]
    seen = abs(math.fsum(telling)) * (1 - 1e-12)  # sums must compare equal whatever the order of adding
    if len(telling) <= _EXACT:
        sums = [abs(math.fsum(map(math.prod, zip(telling, signs, strict=True)))) for signs in _signs(len(telling))]
        return sum(total >= seen for total in sums) / len(sums)
    rng = random.Random(seed)
    hits = 0
    for _ in range(resamples):
        flips = rng.getrandbits(len(telling))
        total = math.fsum(-value if flips >> at & 1 else value for at, value in enumerate(telling))
        hits += abs(total) >= seen
    return (hits + 1) / (resamples + 1)


def detectable_difference(differences: Sequence[float], *, power: float = 0.8, alpha: float = 0.05) -> float | None:
    """Return the smallest true difference of means that such a comparison detects with this `power` at level `alpha`.

    Uses the normal approximation with the spread of the per-question `differences`; None if they have no spread.
    """
    if len(differences) < 2 or not (spread := stdev(differences)):
        return None
    z = _NORMAL.inv_cdf(1 - alpha / 2) + _NORMAL.inv_cdf(power)
    return z * spread / math.sqrt(len(differences))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return `p_values` adjusted for multiple tests (Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, p_values[at] * (len(p_values) - rank)))
        adjusted[at] = highest
    return adjusted


def kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Return Cohen's kappa of two judges over the same answers, at most 1; None if chance agreement is 1."""
    if len(first) != len(second):
        raise ValueError(f"two judges of the same answers: {len(first)} and {len(second)} labels")
    n = len(first)
    labels = {*first, *second}
    chance = sum(first.count(label) * second.count(label) for label in labels) / n**2 if n else 1.0
    if chance >= 1.0:
        return None
    agreed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    return (agreed - chance) / (1 - chance)


def _binary(values: Sequence[float]) -> bool:
    return all(value in (0, 1) for value in values)


def _signs(n: int) -> list[tuple[int, ...]]:
    return list(product((1, -1), repeat=n))


def _bca_bounds(values: Sequence[float], mean: float, means: Sequence[float], confidence: float) -> tuple[float, float]:
    """Return the quantiles, as fractions in (0, 1), of the resampled `means` that bound the interval."""
    below = sum(m < mean for m in means) + sum(m == mean for m in means) / 2
    share = min(max(below / len(means), 0.5 / len(means)), 1 - 0.5 / len(means))
    bias = _NORMAL.inv_cdf(share)
    # The jackknife of a mean in closed form: leaving value i out moves it by (mean - value) / (n - 1).
    widest = max(abs(value - mean) for value in values)
    moves = [(value - mean) / widest for value in values]  # scale-free, so that powers of tiny values do not underflow
    squares = math.fsum(move**2 for move in moves)
    acceleration = math.fsum(move**3 for move in moves) / (6 * squares**1.5)

    def bound(z: float) -> float:
        return _NORMAL.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))

    tail = _NORMAL.inv_cdf((1 + confidence) / 2)
    return bound(-tail), bound(tail)


def _quantile(ordered: Sequence[float], fraction: float) -> float:
    """Return a quantile of `ordered` by linear interpolation between the two nearest values."""
    at = fraction * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])
