"""Execution feedback: what the proposer is told of a failed verdict, and which attempt it sees (SAGE section 3)."""

import random
from collections.abc import Sequence

from questwell.types.game import Attempt, ExecutionFeedback, FeedbackKind, Outcome, Round, Verdict
from questwell.types.gates import GateOutcome


def execution_feedback(last: Round, random_seed: int, target: int | None = None) -> ExecutionFeedback:
    """The feedback on the round `last`, from which the proposer repairs its question.

    It shows one attempt. If the question was too easy, that is the right attempt with the fewest searches. If none or
    too few solved it, it is a random wrong attempt with an answer, or without any, the one that searched most, so that
    the proposer sees what was tried. If a gate or the weak solver rejected it, it is the right attempt with the fewest
    searches, and for the weak solver also that solver's.
    """
    stopped = next((one for one in last.gates if one.outcome is not GateOutcome.PASSED), None)
    if stopped is not None:
        said = f"Solved as asked for, but the check {stopped.gate.value!r} did not let it through: {stopped.reason}."
        return ExecutionFeedback(FeedbackKind.GATE, _easiest(last.attempts), said, stopped.gate)
    if last.weak is not None and last.weak.verdict.outcome is Outcome.TOO_EASY:
        weak = last.weak.verdict
        often = f"in {weak.right} of {weak.scored} attempts"
        said = f"Solved as asked for, but a weaker solver gave your answer too, {often}."
        shown = _easiest(last.weak.attempts)
        return ExecutionFeedback(FeedbackKind.WEAK, _easiest(last.attempts), said, weak=shown)
    told = _told(last.verdict, len(last.attempts), target)
    if last.verdict.outcome is Outcome.TOO_EASY:
        return ExecutionFeedback(FeedbackKind.DIFFICULTY, _easiest(last.attempts), told)
    answered = [attempt for attempt in last.attempts if attempt.trajectory.answer and not attempt.right]
    if answered:
        shown = random.Random(random_seed).choice(answered)
    else:
        silent = [attempt for attempt in last.attempts if not attempt.right]
        shown = max(silent, key=lambda attempt: (attempt.trajectory.searches, -attempt.index), default=None)
    return ExecutionFeedback(FeedbackKind.CORRECTNESS, shown, told)


def _easiest(attempts: Sequence[Attempt]) -> Attempt | None:
    """The right attempt with the fewest searches; None if none was right."""
    right = [attempt for attempt in attempts if attempt.right]
    return min(right, key=lambda attempt: (attempt.trajectory.searches, attempt.index), default=None)


def _told(verdict: Verdict, attempts: int, target: int | None) -> str:
    """The verdict in a sentence; for a band it names the solve rate and not the search steps."""
    solved = f"{verdict.right} of {attempts} attempts gave your answer"
    match verdict.outcome:
        case Outcome.TOO_EASY if target is not None and verdict.difficulty is not None and verdict.difficulty < target:
            return f"Too easy: {solved}, the quickest with {verdict.difficulty} searches; at least {target} are wanted."
        case Outcome.TOO_EASY:
            return f"Too easy: {solved}. Solvers must miss it more often, or need more searches."
        case Outcome.TOO_HARD:
            return f"Too hard: only {solved}. More of them must."
        case _:
            return f"None of {attempts} attempts gave your answer." if not verdict.right else f"{solved}."
