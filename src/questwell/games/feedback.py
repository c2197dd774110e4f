"""Which feedback a verdict calls for, and which attempt the proposer is shown (SAGE section 3)."""

import random

from questwell.agents.proposer import Case
from questwell.types.game import FeedbackKind, Outcome, Round


def case(last: Round, random_seed: int) -> Case:
    """What the proposer must mend after `last`.

    Too easy: the right attempt with the fewest searches. Solved by none, or by too few: a random wrong one that has
    an answer, None when no attempt gave one.
    """
    if last.verdict.outcome is Outcome.TOO_EASY:
        right = [attempt for attempt in last.attempts if attempt.right]
        easiest = min(right, key=lambda attempt: (attempt.trajectory.searches, attempt.index))
        return Case(FeedbackKind.DIFFICULTY, easiest)
    answered = [attempt for attempt in last.attempts if attempt.trajectory.answer and not attempt.right]
    shown = random.Random(random_seed).choice(answered) if answered else None
    return Case(FeedbackKind.CORRECTNESS, shown)
