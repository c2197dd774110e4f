"""Progress of a run while it is in progress, for display. The run file remains the source of truth."""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from questwell.recipes.runs.budget import Budget
from questwell.store.reader import RunReader
from questwell.types.game import Accepted, Reason, Rejected
from questwell.types.usage import Usage


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a run at one moment."""

    done: int
    """Number of seeds played to an outcome, in all invocations. An errored play counts once a resume has played it."""
    total: int | None
    """Number of seeds to play; None if the run stops at a number of items instead."""
    accepted: int
    wanted: int | None
    """Number of items to stop at, if set."""
    rejected: dict[Reason, int]
    spent: Usage
    """Usage of the whole run."""
    calls_made: int
    """Number of model calls of this invocation."""
    calls_replayed: int
    elapsed_s: float
    left_s: float | None
    """Estimated seconds left, from this invocation's pace; None if there is no estimate yet."""
    stopping: bool
    """True if the user asked to stop or a limit was reached, and calls in flight are ending."""
    busy_s: float | None = None
    """Total duration of this invocation's plays in seconds, summed over plays; None if unknown."""

    @property
    def calls_per_s(self) -> float:
        """Model calls made per second of this invocation."""
        return self.calls_made / self.elapsed_s if self.elapsed_s > 0 else 0.0


def together(parts: Sequence[Progress], elapsed_s: float, *, stopping: bool) -> Progress:
    """Combine the progress of all shards into that of the run."""
    return Progress(
        done=sum(one.done for one in parts),
        total=sum(one.total or 0 for one in parts),
        accepted=sum(one.accepted for one in parts),
        wanted=None,
        rejected=dict(sum((Counter(one.rejected) for one in parts), Counter[Reason]())),
        spent=sum((one.spent for one in parts), Usage()),
        calls_made=sum(one.calls_made for one in parts),
        calls_replayed=sum(one.calls_replayed for one in parts),
        elapsed_s=elapsed_s,
        left_s=max((one.left_s for one in parts if one.left_s is not None), default=None),
        stopping=stopping,
        busy_s=None if any(one.busy_s is None for one in parts) else math.fsum(one.busy_s or 0.0 for one in parts),
    )


class Counts(Protocol):
    """Numbers of model calls of an invocation; a `Recorder` provides them."""

    @property
    def made(self) -> int:
        """Number of calls that were sent to a model."""
        ...

    @property
    def replayed(self) -> int:
        """Number of calls that were answered from the run file."""
        ...


OnProgress = Callable[[Progress], object]


class Tally:
    """Counts plays as they end."""

    def __init__(self, before: RunReader, total: int | None, wanted: int | None) -> None:
        """Start with the plays that earlier invocations finished.

        Args:
            before: the run so far.
            total: number of seeds to play; None if the run stops at a number of items instead.
            wanted: number of items to stop at, if set.
        """
        self._total = total
        self._wanted = wanted
        self._ended = 0
        self._accepted = {hash(key) for key in before.question_keys()}  # a million keys as text would be 100 MB
        self._rejected: Counter[Reason] = Counter()
        self._started = time.monotonic()
        for counted in before.play_counts():
            if counted.final and counted.reason not in (None, Reason.ERRORED):
                self._rejected[counted.reason] += counted.plays
        if duplicates := before.duplicates():
            self._rejected[Reason.DUPLICATE] += duplicates
        self._done = len(self._accepted) + self._rejected.total()

    def count(self, outcome: Accepted | Rejected, question_key: str | None) -> None:
        """Count a play of this invocation. Which of two equal questions counts as the duplicate is arbitrary here."""
        self._done += 1
        self._ended += 1
        if isinstance(outcome, Rejected):
            self._rejected[outcome.reason] += 1
            return
        if hash(question_key) in self._accepted:
            self._rejected[Reason.DUPLICATE] += 1
        self._accepted.add(hash(question_key))

    def progress(self, calls: Counts, budget: Budget, busy_s: float | None = None) -> Progress:
        """Return the current progress of the run."""
        elapsed_s = time.monotonic() - self._started
        return Progress(
            done=self._done,
            total=self._total,
            accepted=len(self._accepted),
            wanted=self._wanted,
            rejected=dict(self._rejected),
            spent=budget.spent,
            calls_made=calls.made,
            calls_replayed=calls.replayed,
            elapsed_s=elapsed_s,
            left_s=self._left_s(elapsed_s),
            stopping=budget.stopping,
            busy_s=busy_s,
        )

    def _left_s(self, elapsed_s: float) -> float | None:
        shares = [self._done / self._total] if self._total else []
        if self._wanted and self._accepted:
            shares.append(len(self._accepted) / self._wanted)
        if not self._ended or not shares:
            return None
        plays_left = self._done / max(shares) - self._done
        return max(plays_left, 0.0) * elapsed_s / self._ended
