"""Execution feedback: what a failed verdict tells the proposer, and which attempt it is shown (SAGE section 3)."""

import random

from questwell.types.game import ExecutionFeedback, FeedbackKind, Outcome, Round


def execution_feedback(last: Round, random_seed: int) -> ExecutionFeedback:
    """What the proposer must mend after `last`.

    Too easy: the right attempt with the fewest searches. Solved by none, or by too few: a random wrong one that has
    an answer, None when no attempt gave one.
    """
    if last.verdict.outcome is Outcome.TOO_EASY:
        right = [attempt for attempt in last.attempts if attempt.right]
        easiest = min(right, key=lambda attempt: (attempt.trajectory.searches, attempt.index))
        return ExecutionFeedback(FeedbackKind.DIFFICULTY, easiest)
    answered = [attempt for attempt in last.attempts if attempt.trajectory.answer and not attempt.right]
    shown = random.Random(random_seed).choice(answered) if answered else None
    return ExecutionFeedback(FeedbackKind.CORRECTNESS, shown)
