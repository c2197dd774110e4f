"""Makes a verdict from attempts (SAGE section 3). It is a pure function that does not depend on their order."""

from collections.abc import Sequence
from dataclasses import dataclass

from questwell.types.game import Attempt, Label, Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Tally:
    """The outcome of the attempts at one proposal."""

    right: int
    scored: int
    """Number of attempts that count as right or wrong."""
    planned: int
    difficulty: int | None
    """Fewest search steps in a right attempt; None if none was right."""
    target: int | None
    """S, the requested number of search steps; None if it is left open."""


@dataclass(frozen=True, slots=True)
class StepTarget:
    """The paper's acceptance: right at least once, and never right in fewer than the target's search steps."""

    minimum: int = 0
    """Minimum number of search steps, even if a seed has no target."""

    def too_easy(self, tally: Tally) -> bool:
        """Whether a right attempt took too few search steps; no further attempt can change that."""
        return tally.difficulty is not None and tally.difficulty < self._least(tally)

    def may_be_too_easy(self, tally: Tally, remaining: int) -> bool:
        """Whether it may yet turn out too easy in `remaining` further attempts."""
        return remaining > 0 and self._least(tally) > 0

    def too_hard(self, tally: Tally) -> bool:
        """False: one right attempt is enough."""
        return False

    def _least(self, tally: Tally) -> int:
        return max(tally.target or 0, self.minimum)


@dataclass(frozen=True, slots=True)
class PassRateBand:
    """Acceptance by solve rate: right attempts among the scored ones within [low, high], fractions in [0, 1]."""

    low: float
    high: float
    minimum: int = 0
    """Minimum number of search steps in a right attempt; 0 asks for none."""

    def too_easy(self, tally: Tally) -> bool:
        """Whether too many are right, or one in too few search steps; no further attempt can change that."""
        # We divide, because 29 / 100 == 0.29, but 0.29 * 100 < 29.
        if tally.right / tally.planned > self.high:
            return True
        return tally.difficulty is not None and tally.difficulty < self.minimum

    def may_be_too_easy(self, tally: Tally, remaining: int) -> bool:
        """Whether it may yet turn out too easy in `remaining` further attempts."""
        return remaining > 0 and (self.minimum > 0 or (tally.right + remaining) / tally.planned > self.high)

    def too_hard(self, tally: Tally) -> bool:
        """Whether too few are right."""
        return tally.right / tally.scored < self.low


Acceptance = StepTarget | PassRateBand


@dataclass(frozen=True, slots=True)
class Criteria:
    """The standard that the attempts at one proposal are measured by."""

    planned: int
    """K, the number of attempts wanted."""
    target: int | None
    """S, the requested number of search steps; None if it is left open."""
    acceptance: Acceptance
    unscored_is_wrong: bool = False
    """The paper's rule for a judgement that cannot be parsed; by default it is neither right nor wrong."""


def decide(attempts: Sequence[Attempt], criteria: Criteria) -> Verdict:
    """The verdict on a proposal from its attempts.

    Right too easily is too easy, whatever else failed. Otherwise it fails closed: an attempt that errored or could not
    be scored might have been the easy one, so nothing passes next to it. `unscored_is_wrong` is the paper's rule (an
    unparsable judgement counts as not correct).
    """
    labels = [attempt.judgement.label for attempt in attempts]
    tally = _tally(attempts, criteria)
    if criteria.acceptance.too_easy(tally):
        outcome = Outcome.TOO_EASY
    elif Label.ERRORED in labels:
        outcome = Outcome.ERRORED
    elif Label.UNSCORED in labels and not criteria.unscored_is_wrong:
        outcome = Outcome.UNSCORED
    elif not tally.right:
        outcome = Outcome.UNSOLVED
    else:
        outcome = Outcome.TOO_HARD if criteria.acceptance.too_hard(tally) else Outcome.PASS
    bad = next((a for a in attempts if a.judgement.label in (Label.ERRORED, Label.UNSCORED)), None)
    return Verdict(
        outcome,
        right=tally.right,
        scored=tally.scored,
        difficulty=tally.difficulty,
        skipped=criteria.planned - len(attempts),
        detail=f"attempt {bad.index}: {bad.judgement.reason}" if bad else "",
    )


def is_decisive(attempts: Sequence[Attempt], criteria: Criteria) -> bool:
    """Whether the attempts so far fix the outcome, so that the rest need not run: the exact early stop.

    Right too easily stays so whatever follows. A failed call stops at once: such a play is no result, it is played
    again. An unscored answer stops only where nothing can turn out too easy any more, for a too easy question is
    repaired. A wrong attempt never decides: "0 of K" needs all K.
    """
    verdict = decide(attempts, criteria)
    if verdict.outcome is Outcome.UNSCORED:
        tally = _tally(attempts, criteria)
        return not criteria.acceptance.may_be_too_easy(tally, criteria.planned - len(attempts))
    return verdict.outcome in (Outcome.TOO_EASY, Outcome.ERRORED)


def _tally(attempts: Sequence[Attempt], criteria: Criteria) -> Tally:
    labels = [attempt.judgement.label for attempt in attempts]
    right = [attempt.trajectory.searches for attempt in attempts if attempt.right]
    scored = labels.count(Label.RIGHT) + labels.count(Label.WRONG)
    if criteria.unscored_is_wrong:
        scored += labels.count(Label.UNSCORED)
    return Tally(len(right), scored, criteria.planned, min(right, default=None), criteria.target)
