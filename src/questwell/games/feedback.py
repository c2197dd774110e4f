"""Which feedback a verdict calls for, and which attempt the proposer is shown (SAGE section 3)."""

import random

from questwell.agents.proposer import Case
from questwell.types.game import FeedbackKind, Outcome, Round


def case(last: Round, random_seed: int) -> Case:
    """What the proposer must mend after `last`.

    Solved but not as asked: the right attempt with the fewest searches. Unsolved: a random wrong one that has an
    answer, None when no attempt gave one.
    """
    if last.verdict.outcome is Outcome.UNSOLVED:
        answered = [attempt for attempt in last.attempts if attempt.trajectory.answer]
        shown = random.Random(random_seed).choice(answered) if answered else None
        return Case(FeedbackKind.CORRECTNESS, shown)
    right = [attempt for attempt in last.attempts if attempt.right]
    easiest = min(right, key=lambda attempt: (attempt.trajectory.searches, attempt.index))
    kind = FeedbackKind.DIFFICULTY if last.verdict.outcome is Outcome.TOO_EASY else FeedbackKind.CORRECTNESS
    return Case(kind, easiest)
