import gc
from collections.abc import Iterator

import pytest

from questwell.recipes.runs.collecting import collecting_seldom


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_within_it_cycles_are_looked_for_seldom_and_after_it_as_before() -> None:
    gc.set_threshold(700, 9, 8)
    with pytest.raises(KeyError), collecting_seldom():
        assert gc.get_threshold() == (100_000, 9, 8)
        raise KeyError
    assert gc.get_threshold() == (700, 9, 8)


def test_of_runs_that_overlap_the_last_restores_what_the_first_found() -> None:
    gc.set_threshold(700, 9, 8)
    one, other = collecting_seldom(), collecting_seldom()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert gc.get_threshold() == (100_000, 9, 8)
    other.__exit__(None, None, None)
    assert gc.get_threshold() == (700, 9, 8)


@pytest.mark.parametrize("first", [0, 200_000])
def test_what_the_user_set_to_seldom_or_never_stays(first: int) -> None:
    gc.set_threshold(first, 9, 8)
    with collecting_seldom():
        assert gc.get_threshold() == (first, 9, 8)
    assert gc.get_threshold() == (first, 9, 8)
