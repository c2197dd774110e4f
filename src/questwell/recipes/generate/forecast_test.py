"""What was foretold against what came in, over simulated runs."""

import random

import pytest

from questwell.recipes.generate.forecast import Forecast, Range, Taken, foretell


def run_of(rng: random.Random, count: int, share: float) -> list[Taken]:
    """Plays whose cost is skewed, and higher where a question was repaired and lost."""
    plays: list[Taken] = []
    for _ in range(count):
        accepted = rng.random() < share
        calls = float(8 + int(rng.expovariate(1 / (10 if accepted else 22))))
        tokens = calls * rng.lognormvariate(6.5, 0.4)
        plays.append(Taken(tokens, tokens * 2e-6, calls, accepted))
    return plays


def holds(found: Range | None, value: float) -> bool:
    return found is not None and found.low <= value <= found.high


def coverage(share: float, *, items: int | None, runs: int = 100) -> dict[str, float]:
    held = dict.fromkeys(("items", "seeds", "tokens", "cost_usd", "calls"), 0)
    for number in range(runs):
        rng = random.Random(f"{share}/{items}/{number}")
        plays = run_of(rng, 20, share)
        found = foretell(plays, seeds=None if items else 180, items=items)
        assert isinstance(found, Forecast)
        rest = run_of(rng, 180, share)
        if items:
            rest = []
            while sum(play.accepted for play in rest) < items:
                rest += run_of(rng, 1, share)
        held["items"] += holds(found.items, sum(play.accepted for play in rest))
        held["seeds"] += holds(found.seeds, len(rest))
        held["calls"] += holds(found.calls, sum(play.calls for play in rest))
        held["tokens"] += holds(found.tokens, sum(play.tokens or 0 for play in rest))
        held["cost_usd"] += holds(found.cost_usd, sum(play.cost_usd or 0 for play in rest))
    return {name: count / runs for name, count in held.items()}


def test_what_came_in_lies_in_the_interval_in_nine_of_ten_runs() -> None:
    found = coverage(0.4, items=None, runs=50)
    assert min(found.values()) >= 0.9, found


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.15, 0.4, 0.8])
@pytest.mark.parametrize("items", [None, 40])
def test_the_same_at_other_shares_and_for_a_number_of_items(share: float, items: int | None) -> None:
    found = coverage(share, items=items)
    assert min(found.values()) >= 0.9, found


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
    plays = [*run_of(rng, 9, 0.5), Taken(None, None, 5.0, True)]
    found = foretell(plays, seeds=10, items=None)
    assert found is not None and found.tokens is None and found.cost_usd is None and found.calls.low > 0


def test_nothing_left_takes_nothing_and_the_corpus_bounds_the_rest() -> None:
    plays = run_of(random.Random(3), 20, 0.2)
    done = foretell(plays, seeds=0, items=None)
    assert done is not None and done.seeds == done.items == done.calls == Range(0.0, 0.0, 0.0)
    short = foretell(plays, seeds=10, items=1000)
    assert short is not None and short.seeds == Range(10.0, 10.0, 10.0) and short.items.high <= 10
