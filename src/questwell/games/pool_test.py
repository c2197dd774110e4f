from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.games.pool import EmptySlots, Pool
from questwell.types.selfplay import Problem


def problem(number: int, step: int = 0) -> Problem:
    return Problem(f"a{number}", f"question {number}?", ("x",), 2, step)


def test_periodic_reset_clears_after_every_so_many_steps() -> None:
    pool = Pool(EmptySlots.PERIODIC_RESET, reset_every=3)
    sizes = []
    for step in range(1, 8):
        pool = pool.after(step, [problem(step, step)])
        sizes.append(len(pool.problems))
    assert sizes == [1, 2, 0, 1, 2, 0, 1]


def test_full_reuse_never_clears_and_the_others_keep_nothing() -> None:
    for empty_slots, expected in ((EmptySlots.FULL_REUSE, 20), (EmptySlots.RESAMPLING, 0), (EmptySlots.DUMMY, 0)):
        pool = Pool(empty_slots, reset_every=3)
        for step in range(20):
            pool = pool.after(step, [problem(step)])
        assert len(pool.problems) == expected
        assert len(pool.draw(4, "x")) == (4 if expected else 0)


@given(st.integers(0, 12), st.integers(0, 40))
def test_a_draw_repeats_a_problem_only_when_there_are_too_few(size: int, count: int) -> None:
    pool = Pool(EmptySlots.FULL_REUSE, problems=tuple(map(problem, range(size))))
    drawn = pool.draw(count, "seed")
    assert len(drawn) == (count if size else 0)
    often = Counter(one.id for one in drawn)
    if size:
        assert max(often.values(), default=0) <= -(-count // size)
    assert drawn == pool.draw(count, "seed")


def test_draws_differ_by_seed() -> None:
    pool = Pool(EmptySlots.FULL_REUSE, problems=tuple(map(problem, range(50))))
    assert pool.draw(5, "0/1/pool") != pool.draw(5, "0/2/pool")


def test_age_is_the_mean_of_its_problems() -> None:
    assert Pool().age(3) is None
    assert Pool(problems=(problem(0, 1), problem(1, 4))).age(5) == pytest.approx(2.5)
