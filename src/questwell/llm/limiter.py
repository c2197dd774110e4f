"""Limits the calls in flight at one endpoint by additive increase, multiplicative decrease (AIMD), in order of arrival.

`Aimd` is the rule as plain state; `Limiter` queues tasks that wait for a slot. All clients of an endpoint share one
`Limiter`, which belongs to one event loop. The limit starts at its maximum: an overloaded endpoint lowers it within a
round trip. The first calls are spread over up to a second: calls that start together also end together, and would wait
for each other in every round (docs/log.md).
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

BACKOFF_FACTOR = 0.5
HERD = 32
"""Minimum limit at which the first calls are spread out; fewer calls hardly wait for each other."""
FIRST_GAP_S = 0.003
"""Maximum seconds between two of the first calls; more than the CPU time of one call."""
FIRST_SPREAD_S = 1.0
"""Maximum seconds from the first to the last of the first calls."""


@dataclass(slots=True)
class Aimd:
    """The concurrency limit, computed from how calls ended.

    Calls in flight together fail together, so only the first failure of a generation shrinks the limit, and successes
    of an older generation do not raise it: they say nothing about the current limit.
    """

    maximum: int
    """Maximum number of calls in flight, at least 1."""
    limit: float = field(init=False)
    generation: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Start with the limit at its maximum."""
        if self.maximum < 1:
            raise ValueError(f"an endpoint needs at least 1 call in flight, not {self.maximum!r}")
        self.limit = float(self.maximum)

    def succeeded(self, generation: int) -> None:
        """Count a success; after as many successes as the limit, the limit grows by one."""
        if generation == self.generation:
            self.limit = min(float(self.maximum), self.limit + 1.0 / self.limit)

    def overloaded(self, generation: int) -> None:
        """Halve the limit, unless the failed call started before the last halving."""
        if generation == self.generation:
            self.limit = max(1.0, self.limit * BACKOFF_FACTOR)
            self.generation += 1


class Slot:
    """Permission for one call. Report how the call ended, unless the end says nothing about load."""

    __slots__ = ("_generation", "_limiter")

    def __init__(self, limiter: "Limiter", generation: int) -> None:
        self._limiter = limiter
        self._generation = generation

    def succeeded(self) -> None:
        """Report that the endpoint answered."""
        self._limiter.aimd.succeeded(self._generation)
        self._limiter.grant()

    def overloaded(self, pause_s: float | None = None) -> None:
        """Report that the endpoint is overloaded; with `pause_s`, no call starts for that many seconds."""
        self._limiter.aimd.overloaded(self._generation)
        if pause_s is not None:
            self._limiter.pause(pause_s)


class Limiter:
    """Grants at most `aimd.limit` slots at a time, in the order of the requests."""

    def __init__(self, max_in_flight: int) -> None:
        self.aimd = Aimd(max_in_flight)
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._paused_until = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._begun = 0
        self._next_start = 0.0

    @property
    def in_flight(self) -> int:
        """Number of slots held now."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """Number of calls that wait for a slot."""
        return len(self._waiting)

    def resize(self, maximum: int) -> None:
        """Allow at most `maximum` calls in flight from now on; calls already in flight are not interrupted.

        A limit at the old maximum moves to the new maximum; a limit that overload has lowered grows as before.
        """
        at_most = self.aimd.limit >= self.aimd.maximum
        self.aimd.maximum = maximum
        self.aimd.limit = float(maximum) if at_most else min(self.aimd.limit, float(maximum))
        self.grant()

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[Slot]:
        """A slot, held while the block runs."""
        await self._acquire()
        try:
            await self._take_turn()
            yield Slot(self, self.aimd.generation)
        finally:
            self._in_flight -= 1
            self.grant()

    def pause(self, seconds: float) -> None:
        """Grant no slot for `seconds` from now; a longer pause that is already running is kept."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if until <= self._paused_until:
            return
        self._paused_until = until
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = loop.call_at(until, self._resume)

    def grant(self) -> None:
        """Grant slots to waiting tasks while there is room; called whenever a slot becomes free."""
        while self._waiting and self._has_room():
            turn = self._waiting.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)

    def _resume(self) -> None:
        self._paused_until = 0.0
        self._alarm = None
        self.grant()

    def _has_room(self) -> bool:
        return not self._paused_until and self._in_flight < int(self.aimd.limit)

    async def _take_turn(self) -> None:
        """Wait, if this is one of the first calls and others have just begun."""
        if self._begun >= self.aimd.maximum or self.aimd.maximum < HERD:
            return
        self._begun += 1
        now = asyncio.get_running_loop().time()
        start = max(now, self._next_start)
        self._next_start = start + min(FIRST_GAP_S, FIRST_SPREAD_S / self.aimd.maximum)
        if start > now:
            await asyncio.sleep(start - now)

    async def _acquire(self) -> None:
        if self._has_room():
            self._in_flight += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was granted just before the cancellation: pass it on
                self._in_flight -= 1
                self.grant()
            raise
