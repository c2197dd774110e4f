"""What was foretold against what came in, over simulated runs."""

import heapq
import random
from collections.abc import Callable, Sequence
from statistics import mean, pvariance

import pytest

from questwell.recipes.generate.forecast import Forecast, Range, Taken, foretell, hours
from questwell.recipes.generate.forecast import _rest as rest_of

TAILS: dict[str, Callable[[random.Random], float]] = {
    "as measured": lambda rng: rng.lognormvariate(0, 0.4),
    "lognormal": lambda rng: rng.lognormvariate(0, 1),
    "Pareto": lambda rng: rng.paretovariate(2.5),
}
"""Tokens per call of a play, next to the usual; the last two have plays of ten times the mean."""


def run_of(rng: random.Random, count: int, share: float, tail: str = "as measured") -> list[Taken]:
    """Plays whose cost is skewed, and higher where a question was repaired and lost."""
    plays: list[Taken] = []
    for _ in range(count):
        accepted = rng.random() < share
        calls = float(8 + int(rng.expovariate(1 / (10 if accepted else 22))))
        tokens = 665 * calls * TAILS[tail](rng)
        plays.append(Taken(tokens, tokens * 2e-6, calls, accepted))
    return plays


def holds(found: Range | None, value: float) -> bool:
    return found is not None and found.low <= value <= found.high


LANES = 16
"""Plays at the same time, as by default."""


def clock(rng: random.Random, plays: Sequence[Taken]) -> tuple[float, float]:
    """Seconds by the clock, and of all plays added up: each takes the next free lane, its calls one after another."""
    free, busy = [0.0] * LANES, 0.0
    for play in plays:
        took = sum(rng.lognormvariate(0.5, 0.6) for _ in range(int(play.calls)))
        heapq.heapreplace(free, free[0] + took)
        busy += took
    return max(free), busy


def coverage(share: float, *, items: int | None, runs: int = 100, tail: str = "as measured") -> dict[str, float]:
    held = dict.fromkeys(("items", "seeds", "tokens", "cost_usd", "calls", "hours"), 0)
    for number in range(runs):
        rng = random.Random(f"{share}/{items}/{number}")
        plays = run_of(rng, 20, share, tail)
        found = foretell(plays, seeds=None if items else 180, items=items)
        assert isinstance(found, Forecast)
        rest = run_of(rng, 180, share, tail)
        if items:
            rest = []
            while sum(play.accepted for play in rest) < items:
                rest += run_of(rng, 1, share, tail)
        held["items"] += holds(found.items, sum(play.accepted for play in rest))
        held["seeds"] += holds(found.seeds, len(rest))
        held["calls"] += holds(found.calls, sum(play.calls for play in rest))
        held["tokens"] += holds(found.tokens, sum(play.tokens or 0 for play in rest))
        held["cost_usd"] += holds(found.cost_usd, sum(play.cost_usd or 0 for play in rest))
        per_call = clock(rng, plays)[1] / sum(play.calls for play in plays)
        held["hours"] += holds(hours(found, per_call, LANES), clock(rng, rest)[0] / 3600)
    return {name: count / runs for name, count in held.items()}


def test_what_came_in_lies_in_the_interval_in_nine_of_ten_runs() -> None:
    found = coverage(0.4, items=None, runs=50)
    assert min(found.values()) >= 0.9, found


@pytest.mark.slow
@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("share", [0.15, 0.4, 0.8])
@pytest.mark.parametrize("items", [None, 40])
def test_the_same_at_other_shares_and_tails_and_for_a_number_of_items(
    share: float, items: int | None, tail: str
) -> None:
    found = coverage(share, items=items, tail=tail)
    assert min(found.values()) >= 0.9, found


def test_hours_are_those_of_lanes_that_are_full() -> None:
    """Twenty plays in 16 lanes take twice their share of a long run, so the clock of a pilot says too much."""
    rng = random.Random(7)
    plays, rest = run_of(rng, 300, 0.4), run_of(rng, 400, 0.4)
    found = foretell(plays, seeds=400, items=None)
    assert found is not None
    pilot = plays[:20]
    elapsed_s, busy_s = clock(rng, pilot)
    per_call, took = busy_s / sum(play.calls for play in pilot), clock(rng, rest)[0]
    assert hours(found, per_call, LANES).expected * 3600 == pytest.approx(took, rel=0.2)
    assert elapsed_s / sum(play.calls for play in pilot) * found.calls.expected > 1.6 * took
    alone = hours(found, 36.0, 1)
    assert alone == Range(found.calls.expected / 100, found.calls.low / 100, found.calls.high / 100)
    few = foretell(plays, seeds=2, items=None)
    assert few is not None and hours(few, 36.0, 16).low == few.calls.low / 100 / 2  # two plays fill two lanes


def test_what_one_more_play_takes_varies_as_plays_do() -> None:
    plays = [Taken(100.0 * (number % 2), None, 1.0, True) for number in range(200)]
    found = foretell(plays, seeds=4, items=None)
    assert found is not None and found.tokens is not None
    assert found.tokens.expected == 200 and found.tokens.low == 0 and 370 < found.tokens.high < 480


def test_intervals_are_no_wider_than_the_truth_needs() -> None:
    """A thousand plays know what one costs: an interval that held everything would say nothing."""
    plays = run_of(random.Random(1), 1000, 0.4)
    found = foretell(plays, seeds=1000, items=None)
    assert found is not None and found.tokens is not None
    assert found.items.expected == pytest.approx(400, rel=0.1)
    assert found.items.high - found.items.low < 160
    assert found.tokens.high / found.tokens.low < 1.4


def test_too_few_plays_foretell_nothing_and_unknown_stays_unknown() -> None:
    rng = random.Random(2)
    assert foretell(run_of(rng, 4, 0.5), seeds=10, items=None) is None
    assert foretell(run_of(rng, 5, 0.5), seeds=10, items=None) is not None
    plays = [*run_of(rng, 9, 0.5), Taken(None, None, 5.0, True)]
    found = foretell(plays, seeds=10, items=None)
    assert found is not None and found.tokens is None and found.cost_usd is None and found.calls.low > 0


def test_nothing_left_takes_nothing_and_the_corpus_bounds_the_rest() -> None:
    plays = run_of(random.Random(3), 20, 0.2)
    done = foretell(plays, seeds=0, items=None)
    assert done is not None and done.seeds == done.items == done.calls == Range(0.0, 0.0, 0.0)
    short = foretell(plays, seeds=10, items=1000)
    assert short is not None and short.seeds == Range(10.0, 10.0, 10.0) and short.items.high <= 10


def spread_of(share: float, *, items: int | None, seeds: int | None) -> tuple[float, float, float, float]:
    """Mean and variance of the seeds played, then of the items accepted, in many possible rests of a run."""
    rng = random.Random(f"{share}/{items}/{seeds}")
    rests = [rest_of(rng, share, seeds, items) for _ in range(3000)]
    played, came = [one for one, _ in rests], [one for _, one in rests]
    return mean(played), pvariance(played), mean(came), pvariance(came)


@pytest.mark.parametrize(("share", "items"), [(0.8, 12), (0.3, 7), (0.3, 150)])
def test_seeds_until_enough_items_are_a_negative_binomial(share: float, items: int) -> None:
    """Few failures are drawn one by one, many (mean over 200) from a normal distribution."""
    average, variance, came, varied = spread_of(share, items=items, seeds=None)
    assert average == pytest.approx(items / share, rel=0.04)
    assert variance == pytest.approx(items * (1 - share) / share**2, rel=0.12)
    assert (came, varied) == (items, 0)


@pytest.mark.parametrize(("share", "seeds"), [(0.15, 40), (0.15, 200), (0.15, 201), (0.7, 900)])
def test_items_of_a_number_of_seeds_are_a_binomial(share: float, seeds: int) -> None:
    average, varied, came, variance = spread_of(share, items=None, seeds=seeds)
    assert (average, varied) == (seeds, 0)
    assert came == pytest.approx(seeds * share, rel=0.04)
    assert variance == pytest.approx(seeds * share * (1 - share), rel=0.12)


def test_a_run_ends_at_the_items_or_at_the_seeds_whichever_comes_first() -> None:
    rng = random.Random(4)
    rests = [rest_of(rng, 0.5, 20, 10) for _ in range(500)]
    assert {played <= 20 and came <= 10 for played, came in rests} == {True}
    assert any(played < 20 for played, _ in rests) and any(came < 10 for _, came in rests)
    assert all(came == 10 for played, came in rests if played < 20)
    assert rest_of(rng, 0.5, None, 0) == (0, 0)


@pytest.mark.parametrize(("accepted", "low", "high"), [(0, 0.0, 0.03), (10, 0.4, 0.6), (20, 0.97, 1.0)])
def test_the_share_of_the_rest_is_that_of_the_plays(accepted: int, low: float, high: float) -> None:
    plays = [Taken(100.0, 1.0, 2.0, number < accepted) for number in range(20)]
    found = foretell(plays, seeds=1000, items=None)
    assert found is not None and 1000 * low <= found.items.expected <= 1000 * high
    assert found.items.low < found.items.high
    assert found.tokens == Range(100_000.0, 100_000.0, 100_000.0)  # every play took the same
    assert found.cost_usd == Range(1000.0, 1000.0, 1000.0) and found.calls == Range(2000.0, 2000.0, 2000.0)


def test_many_plays_say_what_a_few_hundred_do() -> None:
    """Above 300 plays the mean is drawn from a normal distribution, below from weights: the step does not show."""
    plays = run_of(random.Random(5), 300, 0.4)
    few, many = foretell(plays, seeds=500, items=None), foretell([*plays, plays[0]], seeds=500, items=None)
    assert few is not None and many is not None and few.tokens is not None and many.tokens is not None
    assert many.tokens.expected == pytest.approx(few.tokens.expected, rel=0.02)
    assert many.tokens.high - many.tokens.low == pytest.approx(few.tokens.high - few.tokens.low, rel=0.15)
