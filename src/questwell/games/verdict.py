"""From attempts to a verdict (SAGE section 3): pure, and the same whatever the order of the attempts."""

from collections.abc import Sequence
from dataclasses import dataclass

from questwell.types.game import Attempt, Label, Outcome, Verdict


@dataclass(frozen=True, slots=True)
class StepTarget:
    """The paper's acceptance: right at least once, and never right in fewer than the target's search steps."""

    minimum: int = 0
    """Search steps needed even when a seed has no target, a count."""

    def outcome(self, right: int, scored: int, planned: int, difficulty: int, target: int | None) -> Outcome:
        """PASS or TOO_EASY, given at least one right attempt."""
        return Outcome.PASS if difficulty >= max(target or 0, self.minimum) else Outcome.TOO_EASY


@dataclass(frozen=True, slots=True)
class PassRateBand:
    """Acceptance by solve rate: right attempts among the scored ones within [low, high], fractions in [0, 1]."""

    low: float
    high: float

    def outcome(self, right: int, scored: int, planned: int, difficulty: int, target: int | None) -> Outcome:
        """PASS, TOO_EASY or TOO_HARD, given at least one right attempt."""
        # Divided, as what the user wrote was: 29 / 100 == 0.29, but 0.29 * 100 < 29.
        if right / planned > self.high:
            return Outcome.TOO_EASY
        return Outcome.TOO_HARD if right / scored < self.low else Outcome.PASS


Acceptance = StepTarget | PassRateBand


def decide(
    attempts: Sequence[Attempt], planned: int, target: int | None, acceptance: Acceptance, *, unscored_is_wrong: bool
) -> Verdict:
    """The verdict on a proposal from its attempts, of which `planned` were wanted.

    Fails closed: one attempt that errored or could not be scored might have been the easy one, so nothing passes
    beside it. `unscored_is_wrong` is the paper's rule (an unparsable judgement counts as not correct).
    """
    labels = [attempt.judgement.label for attempt in attempts]
    right = [attempt.trajectory.searches for attempt in attempts if attempt.right]
    scored = labels.count(Label.RIGHT) + labels.count(Label.WRONG)
    if unscored_is_wrong:
        scored += labels.count(Label.UNSCORED)
    difficulty = min(right, default=None)
    if Label.ERRORED in labels:
        outcome = Outcome.ERRORED
    elif Label.UNSCORED in labels and not unscored_is_wrong:
        outcome = Outcome.UNSCORED
    elif difficulty is None:
        outcome = Outcome.UNSOLVED
    else:
        outcome = acceptance.outcome(len(right), scored, planned, difficulty, target)
    bad = next((a for a in attempts if a.judgement.label in (Label.ERRORED, Label.UNSCORED)), None)
    return Verdict(
        outcome,
        right=len(right),
        scored=scored,
        difficulty=difficulty,
        skipped=planned - len(attempts),
        detail=f"attempt {bad.index}: {bad.judgement.reason}" if bad else "",
    )


def is_decisive(
    attempts: Sequence[Attempt], planned: int, target: int | None, acceptance: Acceptance, *, unscored_is_wrong: bool
) -> bool:
    """Whether the attempts so far fix the outcome, so that the rest need not run: the exact early stop.

    Right too easily stays so whatever follows. A failure stops too: nothing can be accepted any more.
    A wrong attempt never decides: "0 of K" needs all K.
    """
    verdict = decide(attempts, planned, target, acceptance, unscored_is_wrong=unscored_is_wrong)
    return verdict.outcome in (Outcome.TOO_EASY, Outcome.ERRORED, Outcome.UNSCORED)
