"""Computes the metrics of a self-play step from its episodes. A fraction of nothing is None, not 0."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from questwell.games.pool import Pool
from questwell.scoring.answers import normalise
from questwell.types.selfplay import Episode, Invalid

Truth = Callable[[str], str | None]
"""Returns the right answer of a question if it is known: in the toy world."""


def step_metrics(
    episodes: Sequence[Episode], pool: Pool, step: int, truth: Truth | None = None
) -> dict[str, float | None]:
    """Return the metrics of one step, without those of its update; `selfplay_record.MEANINGS` describes them."""
    proposed = [episode.proposed for episode in episodes]
    questions = [one.question for one in proposed if one.question]
    queries = [query for one in proposed for query in one.trajectory.queries]
    attempts = [attempt for episode in episodes for attempt in episode.attempts]
    scored = sum(episode.scored for episode in episodes)
    paid = [episode.proposer_reward for episode in episodes if episode.proposer_reward is not None]
    return {
        "valid_rate": share(one.valid for one in proposed),
        "true_rate": true_rate(episodes, truth) if truth else None,
        "filled": share(episode.filled for episode in episodes),
        "empty": share(episode.problem is None for episode in episodes),
        "discarded": float(sum(episode.discarded for episode in episodes)),
        "pool": float(len(pool.problems)),
        "pool_age": pool.age(step),
        "solver_accuracy": sum(episode.right for episode in episodes) / scored if scored else None,
        "unscored_or_errored": 1 - scored / len(attempts) if attempts else None,
        "proposer_reward": fmean(paid) if paid else None,
        "proposer_searches": mean(one.trajectory.searches for one in proposed),
        "solver_searches": mean(attempt.trajectory.searches for attempt in attempts),
        "question_length": mean(map(len, questions)),
        "distinct_questions": len(set(map(normalise, questions))) / len(questions) if questions else None,
        "distinct_queries": len(set(map(normalise, queries))) / len(queries) if queries else None,
    }


def true_rate(episodes: Iterable[Episode], truth: Truth) -> float | None:
    """Return the share of valid questions whose true answer is the intended one, a fraction; None if none is valid."""
    valid = [episode.proposed for episode in episodes if episode.proposed.valid]
    return share(truth(one.question or "") in one.seed.references for one in valid)


def reasons(episodes: Iterable[Episode]) -> dict[Invalid, int]:
    """Count the invalid proposals by reason, most frequent first."""
    found = Counter(episode.proposed.invalid for episode in episodes if episode.proposed.invalid is not None)
    return dict(found.most_common())


def share(flags: Iterable[bool]) -> float | None:
    """Return the share of true values, a fraction; None if there are no values."""
    return mean(map(float, flags))


def mean(values: Iterable[float]) -> float | None:
    """Return the mean; None if there are no values."""
    known = list(values)
    return fmean(known) if known else None
