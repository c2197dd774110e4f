"""How many calls one endpoint gets at once: additive increase, multiplicative decrease (AIMD), first come first served.

`Aimd` is the rule as plain state; `Limiter` queues tasks behind it. One `Limiter` is shared by all clients of an
endpoint and belongs to one event loop. It starts at its maximum: an endpoint that can take it loses nothing, one that
cannot says so within a round trip. The first calls go out one after another within a second: what starts together comes
back together, again and again, and waits for each other each time (docs/log.md).
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

BACKOFF_FACTOR = 0.5
HERD = 32
"""Number of calls in flight from which the first ones are spread out; fewer hardly wait for each other."""
FIRST_GAP_S = 0.003
"""Maximum time between two of the first calls in seconds: more than the CPU time that one costs."""
FIRST_SPREAD_S = 1.0
"""Maximum time from the first to the last of them, in seconds."""


@dataclass(slots=True)
class Aimd:
    """The concurrency limit as a function of how calls ended.

    Calls in flight together fail together, so only the first failure of a generation shrinks the limit, and successes
    of an older generation do not grow it: they say nothing about the limit now in force.
    """

    maximum: int
    """Maximum number of calls in flight, at least 1."""
    limit: float = field(init=False)
    generation: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Start at the maximum."""
        if self.maximum < 1:
            raise ValueError(f"an endpoint needs at least 1 call in flight, not {self.maximum!r}")
        self.limit = float(self.maximum)

    def succeeded(self, generation: int) -> None:
        """Grow by one call for each limit's worth of successes."""
        if generation == self.generation:
            self.limit = min(float(self.maximum), self.limit + 1.0 / self.limit)

    def overloaded(self, generation: int) -> None:
        """Halve, once for all calls that started before the last halving."""
        if generation == self.generation:
            self.limit = max(1.0, self.limit * BACKOFF_FACTOR)
            self.generation += 1


class Slot:
    """One permitted call; say how it ended, or nothing when the end says nothing about load."""

    __slots__ = ("_generation", "_limiter")

    def __init__(self, limiter: "Limiter", generation: int) -> None:
        self._limiter = limiter
        self._generation = generation

    def succeeded(self) -> None:
        """The endpoint answered."""
        self._limiter.aimd.succeeded(self._generation)
        self._limiter.grant()

    def overloaded(self, pause_s: float | None = None) -> None:
        """The endpoint pushed back; with `pause_s`, nobody calls it for that many seconds."""
        self._limiter.aimd.overloaded(self._generation)
        if pause_s is not None:
            self._limiter.pause(pause_s)


class Limiter:
    """At most `aimd.limit` slots held at once, granted in the order of asking."""

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
        """Let at most `maximum` calls be in flight from now on; those that are end.

        A limit that stood at the old maximum stands at the new one; one that overload has lowered grows as before.
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
        """Grant nothing for `seconds` from now; a longer pause already in force stays."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if until <= self._paused_until:
            return
        self._paused_until = until
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = loop.call_at(until, self._resume)

    def grant(self) -> None:
        """Admit waiting tasks while there is room; called whenever room is made."""
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
            if turn.done() and not turn.cancelled():  # granted in the same tick as the cancellation: hand it on
                self._in_flight -= 1
                self.grant()
            raise
