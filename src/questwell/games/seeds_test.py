import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.errors import ConfigError
from questwell.games.seeds import Bin, Mix, draw_order, draw_seed, parse_mix, parse_steps
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType, Place
from questwell.types.trajectory import Role

P = Passage(id="p", title="T", text="fact", document_id="p")


def draws(mix: Mix, number: int = 3000, got: dict[Bin, int] | None = None, tried: dict[Bin, int] | None = None):
    rng = random.Random(1)
    return Counter(mix.draw(rng, got or {}, tried or {}) for _ in range(number))


def test_a_range_is_drawn_uniformly_whatever_was_accepted() -> None:
    mix = parse_steps("2..5")
    low = mix.bins[0]
    for got in ({}, {low: 1000}):
        counts = draws(mix, got=got, tried=got)
        assert set(counts) == {2, 3, 4, 5}
        assert all(abs(count - 750) < 100 for count in counts.values())
    assert set(draws(parse_steps(" 3 "), 20)) == {3}
    assert sum(bin_.share for bin_ in mix.bins) == pytest.approx(1)


@pytest.mark.parametrize("text", ["", "2-5", "0..3", "5..2", "2..", "a..b", "1..101", "2..3..4", "-1"])
def test_a_bad_range_says_so(text: str) -> None:
    with pytest.raises(ConfigError, match=r"2\.\.5"):
        parse_steps(text)


def test_a_mix_has_its_shares_in_any_unit() -> None:
    mix = parse_mix("6-7:1,2-3:2,4:1")
    assert [bin_.name for bin_ in mix.bins] == ["2-3", "4", "6-7"]
    assert [bin_.share for bin_ in mix.bins] == [0.5, 0.25, 0.25]
    assert [mix.bin_of(steps) for steps in (1, 2, 3, 4, 5, 7, 8)] == [
        None,
        mix.bins[0],
        mix.bins[0],
        mix.bins[1],
        None,
        mix.bins[2],
        None,
    ]
    assert parse_mix("2-3:40,4:20,6-7:20") == mix


@pytest.mark.parametrize(
    "text", ["", "2-3", "2-3:", "2-3:0", "2-3:-1", "2-3:nan", "2-3:inf", "3-2:1", "2-3:1,", "x:1", "2-:1"]
)
def test_a_bad_mix_says_so(text: str) -> None:
    with pytest.raises(ConfigError, match=r"mix|steps"):
        parse_mix(text)


@pytest.mark.parametrize("text", ["2-3:1,3-4:1", "3-4:1,2-3:1", "2-2:1,2:1"])
def test_bins_must_not_overlap(text: str) -> None:
    with pytest.raises(ConfigError, match=r"two bins share [23] steps"):
        parse_mix(text)


def test_a_mix_draws_by_share_at_first_and_within_a_bin_evenly() -> None:
    counts = draws(parse_mix("2-3:80,5:20"))
    assert abs(counts[5] - 600) < 100
    assert abs(counts[2] - 1200) < 120 and abs(counts[3] - 1200) < 120


def test_a_mix_makes_up_for_what_lags_and_for_what_fails_often() -> None:
    mix = parse_mix("2:50,4:50")
    easy, hard = mix.bins
    assert draws(mix, got={easy: 10, hard: 2}, tried={easy: 20, hard: 20})[4] > 2700  # easy has all it needs
    same = {easy: 10, hard: 10}
    assert draws(mix, got=same, tried={easy: 20, hard: 100})[4] > 2200  # a try at the hard one succeeds less often
    assert abs(draws(mix, got=same, tried=same)[4] - 1500) < 120


@given(st.lists(st.integers(0, 50), min_size=6, max_size=6), st.integers(0, 1000))
def test_a_steered_mix_can_always_draw(counts: list[int], random_seed: int) -> None:
    mix = parse_mix("1:1,2-4:5,9:94")
    got = dict(zip(mix.bins, counts[:3], strict=True))
    tried = {bin_: got[bin_] + more for bin_, more in zip(mix.bins, counts[3:], strict=True)}
    drawn = mix.draw(random.Random(random_seed), got, tried)
    assert mix.bin_of(drawn) is not None


def test_no_passage_starts_two_plays() -> None:
    order = draw_order(1000, 7)
    assert sorted(order) == list(range(1000))
    assert list(order) != list(range(1000))
    assert order == draw_order(1000, 7) != draw_order(1000, 8)


def test_a_seed_is_fixed_by_its_index_and_the_random_seed() -> None:
    types = tuple(AnswerType)
    one = [draw_seed(index, P, 3, types, 5) for index in range(300)]
    assert one == [draw_seed(index, P, 3, types, 5) for index in range(300)]
    assert one != [draw_seed(index, P, 3, types, 6) for index in range(300)]
    asked = Counter(seed.answer_type for seed in one)
    assert all(asked[kind] > 70 for kind in types)
    assert all({seed.answer_type, *seed.other_types} == set(types) and len(seed.other_types) == 2 for seed in one)
    assert (one[7].id, one[7].index, one[7].target, one[7].random_seed) == ("s00000007", 7, 3, 5)
    only = draw_seed(0, P, None, [AnswerType.DATE], 5)
    assert (only.answer_type, only.other_types, only.target) == (AnswerType.DATE, (), None)


def test_each_place_samples_differently() -> None:
    places = [
        Place(seed, index, role, attempt)
        for seed in ("s00001", "s00011")
        for index in (0, 1)
        for role in Role
        for attempt in (0, 1)
    ]
    numbers = [place.random_seed(start) for place in places for start in (0, 1)]
    assert len(set(numbers)) == len(numbers)
    assert all(0 <= number < 2**31 for number in numbers)
    assert places[0].random_seed(3) == places[0].random_seed(3)
