from itertools import combinations

import pytest

from questwell.scoring.pass_at_k import avg_at_k, pass_at_k


@pytest.mark.parametrize("attempts", range(1, 8))
def test_it_is_the_share_of_draws_that_hold_a_right_attempt(attempts: int) -> None:
    for correct in range(attempts + 1):
        outcomes = [number < correct for number in range(attempts)]
        for k in range(1, attempts + 1):
            draws = list(combinations(outcomes, k))
            assert pass_at_k(correct, attempts, k) == pytest.approx(sum(map(any, draws)) / len(draws))
        assert avg_at_k(correct, attempts) == pytest.approx(pass_at_k(correct, attempts, 1))


@pytest.mark.parametrize(("correct", "attempts", "k"), [(0, 3, 4), (1, 1, 0), (4, 3, 1), (-1, 3, 1), (0, 0, 1)])
def test_what_is_undefined_is_refused(correct: int, attempts: int, k: int) -> None:
    with pytest.raises(ValueError, match=r"undefined|impossible"):
        pass_at_k(correct, attempts, k)


@pytest.mark.parametrize(("correct", "attempts"), [(0, 0), (2, 1), (-1, 1)])
def test_a_mean_of_nothing_is_refused(correct: int, attempts: int) -> None:
    with pytest.raises(ValueError, match=r"undefined|impossible"):
        avg_at_k(correct, attempts)
