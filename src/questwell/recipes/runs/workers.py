"""Processes many pieces (seeds, attempts, questions, labels) concurrently until all are done or the run halts.

Each piece is durable by itself (its calls are in the run file), so the loop stores nothing. Whatever halts the run,
calls in flight finish and are recorded, because they are paid for.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from questwell.errors import BudgetReached, QuestwellError
from questwell.http.retrying import giving_up_with
from questwell.recipes.runs.budget import Budget, Stopped
from questwell.recipes.runs.collecting import collecting_seldom
from questwell.recipes.runs.ending import Ending, Report
from questwell.recipes.runs.signals import stopping_on_signals
from questwell.recipes.runs.spans import NoSpans, Spans

_W = TypeVar("_W")
_TICK_S = 0.5


@dataclass(frozen=True, slots=True)
class Patience:
    """How many pieces run at the same time, and when to give up."""

    at_once: int
    """Number of pieces in progress at the same time."""
    max_errors: int
    """Stop after this many errored pieces in a row."""
    limit: int | None = None
    """Maximum number of pieces in this invocation."""


class Workers:
    """Processes pieces within one invocation of a run."""

    def __init__(self, budget: Budget, patience: Patience, pieces: str, go_on: str, spans: Spans | None = None) -> None:
        """Create workers that spend from `budget`.

        Args:
            budget: budget of the run; stopping it ends the work.
            patience: how many pieces at the same time, and when to give up.
            pieces: the word for them in messages: plays, attempts, questions.
            go_on: the command that resumes the run.
            spans: where each piece is traced.
        """
        self._spans = spans or NoSpans()
        self._budget = budget
        self._patience = patience
        self._pieces = pieces
        self._go_on = go_on
        self._left = patience.limit
        self._halted: QuestwellError | None = None
        self._in_a_row = 0
        self._latest = ""
        self.done = 0
        """Number of pieces that ended in this invocation."""
        self.errored = 0
        """Number of those pieces that errored."""
        self.busy_s = 0.0
        """Total duration of those pieces in seconds, summed over pieces."""
        self._started = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start of this invocation."""
        return time.monotonic() - self._started

    @asynccontextmanager
    async def running(self, tell: Callable[[], object]) -> AsyncGenerator[None]:
        """Stop cleanly on Ctrl-C inside this context, and call `tell` every half second."""
        ticker = asyncio.create_task(_tick(tell))
        try:
            with giving_up_with(self._budget.retries), stopping_on_signals(self._budget.stop), collecting_seldom():
                yield
        finally:
            ticker.cancel()
            with suppress(asyncio.CancelledError):
                await ticker

    async def run(
        self,
        pieces: Iterable[_W],
        work: Callable[[_W], Awaitable[str | None]],
        more: Callable[[], Awaitable[Sequence[_W]]] | None = None,
    ) -> None:
        """Call `work` on each piece until all are done or the run halts.

        Args:
            pieces: the first ones.
            work: processes a piece; returns why it errored, or None if it did not.
            more: returns further pieces while the last ones are in progress, and none at the end.
        """
        waiting = _Waiting(pieces, more)

        async def worker() -> None:
            while self.may_go_on():
                try:
                    if (piece := await waiting.next()) is None or not self.may_go_on():
                        return
                    if self._left is not None:
                        self._left -= 1
                    begun = time.monotonic()
                    with self._spans.play():
                        error = await work(piece)
                    self.busy_s += time.monotonic() - begun
                    self._count(error)
                except QuestwellError as halt:
                    # The others are not cancelled: their calls in flight are paid for, so we record those first.
                    self._halted = self._halted or halt

        async with asyncio.TaskGroup() as group:
            for _ in range(self._patience.at_once):
                group.create_task(worker())

    def may_go_on(self) -> bool:
        """Return whether another piece may be started."""
        return self._halted is None and self._left != 0 and not self._budget.stopping

    def ending(self, *, left: bool, errored: int | None = None, latest: str = "") -> Report:
        """Return how the invocation ends.

        Args:
            left: whether some pieces were not started.
            errored: number of pieces of the whole run that are still errored, if more than in this invocation.
            latest: why the latest of them errored.

        Raises:
            QuestwellError: the error that halted the run, if a resume cannot fix it.
        """
        errored, latest = (self.errored if errored is None else errored), self._latest or latest
        if self._in_a_row >= self._patience.max_errors:
            what = f"{self._in_a_row} {self._pieces} in a row errored; the last one: {latest}"
            return Report(Ending.FAILING, what, self._go_on)
        match self._halted:
            case BudgetReached():
                return Report(Ending.BUDGET, str(self._halted), self._go_on)
            case Stopped():
                return Report(Ending.STOPPED, str(self._halted), self._go_on)
            case QuestwellError():
                raise self._halted
            case None:
                pass
        if self._budget.stopping:
            return Report(Ending.STOPPED, "stopped as you asked", self._go_on)
        if left and self._left == 0:
            return Report(Ending.LIMIT, f"the limit of {self._pieces} for this invocation is reached", self._go_on)
        if errored:
            return Report(Ending.ERRORED, f"{errored} {self._pieces} errored; the last one: {latest}", self._go_on)
        return Report(Ending.COMPLETE)

    def _count(self, error: str | None) -> None:
        self.done += 1
        if error is None:
            self._in_a_row = 0
            return
        self.errored += 1
        self._in_a_row += 1
        self._latest = error
        if self._in_a_row >= self._patience.max_errors:
            self._budget.stop()


class _Waiting(Generic[_W]):
    """The pieces that no worker has taken yet."""

    def __init__(self, pieces: Iterable[_W], more: Callable[[], Awaitable[Sequence[_W]]] | None) -> None:
        self._pieces = iter(pieces)
        self._more = more
        self._taking = asyncio.Lock()

    async def next(self) -> _W | None:
        """Return the next piece, or None at the end."""
        async with self._taking:
            while (piece := next(self._pieces, None)) is None and self._more is not None:
                found = await self._more()
                self._pieces = iter(found)
                if not found:
                    self._more = None
            return piece


async def _tick(tell: Callable[[], object]) -> None:
    while True:
        await asyncio.sleep(_TICK_S)
        tell()
