import random
from collections import Counter

import pytest

from questwell.errors import ConfigError
from questwell.games.seeds import draw_order, draw_seed, parse_mix, parse_steps
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType

PASSAGE = Passage("p#0", "P", "text", "p")


def test_a_range_draws_every_target_equally_often():
    mix, rng = parse_steps("3..7"), random.Random(1)
    drawn = Counter(mix.draw(rng, {}, {}) for _ in range(5000))
    assert sorted(drawn) == [3, 4, 5, 6, 7]
    assert all(abs(count - 1000) < 120 for count in drawn.values())  # 4 standard deviations
    assert not mix.steered
    assert [bin_.name for bin_ in parse_steps("3").bins] == ["3"]


def test_a_range_is_drawn_without_regard_to_what_was_accepted():
    mix = parse_steps("2..3")
    got = {mix.bins[0]: 1000}
    assert [mix.draw(random.Random(n), got, got) for n in range(50)] == [
        mix.draw(random.Random(n), {}, {}) for n in range(50)
    ]


def test_a_mix_makes_up_for_bins_that_lag_behind_and_for_those_that_fail():
    mix, rng = parse_mix("2-3:1,4-5:1"), random.Random(1)
    easy, hard = mix.bins
    assert (easy.share, hard.share, mix.steered) == (0.5, 0.5, True)
    lagging = [mix.draw(rng, {easy: 10}, {easy: 10}) for _ in range(100)]
    assert set(lagging) <= {4, 5}  # the easy bin has more than its share already
    failing = Counter(mix.bin_of(mix.draw(rng, {easy: 5, hard: 5}, {easy: 10, hard: 100})) for _ in range(1000))
    assert failing[hard] > 5 * failing[easy]  # a rare success needs more tries


def test_bins_are_found_by_their_bounds():
    mix = parse_mix("6-7:20,2-3:40, 4-5:40")
    assert [(bin_.low, bin_.high, bin_.share) for bin_ in mix.bins] == [(2, 3, 0.4), (4, 5, 0.4), (6, 7, 0.2)]
    assert [mix.bin_of(steps) for steps in (1, 2, 5, 8)] == [None, mix.bins[0], mix.bins[1], None]


@pytest.mark.parametrize("text", ["", "0..2", "5..2", "a..b", "2-3", "2..101", "1.5"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(ConfigError, match="expected a range"):
        parse_steps(text)


@pytest.mark.parametrize("text", ["2-3", "2-3:0", "2-3:-1", "2-3:x", "2-3:inf", "2-3:nan", "2-4:1,3:1", "3-2:1"])
def test_what_is_no_mix_is_refused(text):
    with pytest.raises(ConfigError, match=r"mix|range"):
        parse_mix(text)


def test_every_passage_comes_once_in_an_order_that_the_random_seed_fixes():
    order = draw_order(500, 1)
    assert sorted(order) == list(range(500))
    assert list(order) == list(draw_order(500, 1)) != list(draw_order(500, 2))


def test_a_seed_asks_for_one_answer_type_and_takes_the_others():
    seeds = [draw_seed(index, PASSAGE, 2, tuple(AnswerType), 7) for index in range(300)]
    assert all({seed.answer_type, *seed.other_types} == set(AnswerType) for seed in seeds)
    assert all(80 < count < 120 for count in Counter(seed.answer_type for seed in seeds).values())
    assert seeds[3] == draw_seed(3, PASSAGE, 2, tuple(AnswerType), 7)
    assert draw_seed(3, PASSAGE, None, (AnswerType.DATE,), 7).other_types == ()
