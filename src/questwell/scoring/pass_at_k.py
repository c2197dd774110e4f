"""Computes Pass@k and Avg@k of one question from the counts of its attempts."""

from math import comb


def pass_at_k(correct: int, attempts: int, k: int) -> float:
    """Probability that at least one of `k` attempts is right, in [0, 1].

    Unbiased estimate without replacement (Chen et al. 2021, arXiv:2107.03374).
    `attempts` excludes errored and unscored ones: they say nothing about the question.

    Raises:
        ValueError: `attempts < k`, for which the estimate is undefined, or the counts are impossible.
    """
    if not 1 <= k <= attempts:
        raise ValueError(f"pass@{k} is undefined for {attempts} attempts")
    _check(correct, attempts)
    return 1.0 - comb(attempts - correct, k) / comb(attempts, k)


def avg_at_k(correct: int, attempts: int) -> float:
    """Solve rate of the attempts, the fraction that is right, in [0, 1]. The same as pass@1.

    Raises:
        ValueError: there is no attempt, or the counts are impossible.
    """
    if attempts < 1:
        raise ValueError("the mean of no attempt is undefined")
    _check(correct, attempts)
    return correct / attempts


def _check(correct: int, attempts: int) -> None:
    if not 0 <= correct <= attempts:
        raise ValueError(f"{correct} right of {attempts} attempts is impossible")
