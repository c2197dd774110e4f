"""`Spread`: calls over several servers that answer alike, each to the one with the fewest calls in flight.

A server that fails is left out for a while: a second at first, twice as long after each further failure, a minute at
most. Then a single call tries it, and the others follow once it has answered. What comes back does not depend on which
server was asked, so no key of a recorded call names one.
"""

import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from questwell.http.retrying import Failure, TryFailedError

FIRST_REST_S = 1.0
LONGEST_REST_S = 60.0
_S = TypeVar("_S")
_R = TypeVar("_R")


@dataclass(slots=True)
class _Seat(Generic[_S]):
    """A server, and how it has done."""

    server: _S
    in_flight: int = 0
    """Calls that were given to it and have not ended."""
    failures: int = 0
    """Number of rests since its last answer."""
    rests_until: float = 0.0
    used: int = 0
    """When it was chosen last, a count: of equals the one that waited longest is next."""

    def open(self, now: float) -> bool:
        """Whether it may be asked: it answers, or its rest is over and nobody tries it."""
        return not self.failures or (now >= self.rests_until and not self.in_flight)


class Spread(Generic[_S]):
    """The servers. Belongs to one event loop."""

    def __init__(self, servers: Sequence[_S], now: Callable[[], float] = time.monotonic) -> None:
        """Over `servers`, at least one; `now` is a clock in seconds."""
        self._seats = [_Seat(server) for server in servers]
        self._now = now
        self._clock = itertools.count(1)

    @property
    def servers(self) -> list[_S]:
        """All of them, in the order in which they were named."""
        return [seat.server for seat in self._seats]

    async def ask(self, attempt: Callable[[_S], Awaitable[_R]], fails: Callable[[Failure[Any]], bool]) -> _R:
        """What `attempt` gives at one server; where it `fails`, that one rests and another is asked at once.

        Raises:
            TryFailedError: of the last server, when all were asked in vain; of any when it is no failure of the server.
        """
        tried = list[_Seat[_S]]()
        while True:
            seat = self._choose(tried)
            seat.in_flight += 1
            seat.used = next(self._clock)
            try:
                result = await attempt(seat.server)
            except TryFailedError as error:
                tried.append(seat)
                if not fails(error.failure):
                    raise
                self._rest(seat, error.failure.retry_after_s)
                if len(tried) == len(self._seats):
                    raise
            else:
                seat.failures = 0
                return result
            finally:
                seat.in_flight -= 1

    def _choose(self, tried: Sequence[_Seat[_S]]) -> _Seat[_S]:
        left = [seat for seat in self._seats if not any(seat is other for other in tried)]
        now = self._now()
        if ready := [seat for seat in left if seat.open(now)]:
            return min(ready, key=lambda seat: (seat.in_flight, seat.used))
        return min(left, key=lambda seat: (seat.rests_until, seat.used))  # all rest: better to ask than to give up

    def _rest(self, seat: _Seat[_S], asked_s: float | None) -> None:
        now = self._now()
        if seat.failures and now < seat.rests_until:  # calls in flight fail together, and are one failure
            return
        seat.failures += 1
        rest_s = min(LONGEST_REST_S, FIRST_REST_S * 2 ** (seat.failures - 1))
        seat.rests_until = now + max(rest_s, asked_s or 0.0)
