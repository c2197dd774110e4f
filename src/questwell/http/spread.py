"""`Spread`: distributes calls over equivalent servers; each call goes to the one with the fewest calls in flight.

A server that fails is skipped for a second, then twice as long after each further failure, up to a minute. After that a
single call tries it, and others follow once it has answered. Answers do not depend on the server, so the keys of
recorded calls do not contain one.
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
    """A server with its calls in flight and failures."""

    server: _S
    in_flight: int = 0
    """Number of its calls that have not ended."""
    failures: int = 0
    """Number of times it was skipped for a while since its last answer."""
    rests_until: float = 0.0
    used: int = 0
    """Counter value when it was last chosen; among equal servers the least recently chosen one is next."""

    def open(self, now: float) -> bool:
        """Return whether it may be called: it works, or its pause is over and no other call is trying it."""
        return not self.failures or (now >= self.rests_until and not self.in_flight)


class Spread(Generic[_S]):
    """Distributes calls over servers. Belongs to one event loop."""

    def __init__(self, servers: Sequence[_S], now: Callable[[], float] = time.monotonic) -> None:
        """Distribute calls over `servers`, at least one; `now` is a clock in seconds."""
        self._seats = [_Seat(server) for server in servers]
        self._now = now
        self._clock = itertools.count(1)

    @property
    def servers(self) -> list[_S]:
        """All servers, in the order in which they were given."""
        return [seat.server for seat in self._seats]

    async def ask(self, attempt: Callable[[_S], Awaitable[_R]], fails: Callable[[Failure[Any]], bool]) -> _R:
        """Return the result of `attempt` at one server; if the server `fails`, pause it and try another at once.

        Raises:
            TryFailedError: all servers failed (the last one's failure), or the failure was not the server's fault.
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
        return min(left, key=lambda seat: (seat.rests_until, seat.used))  # all are paused: try one anyway

    def _rest(self, seat: _Seat[_S], asked_s: float | None) -> None:
        now = self._now()
        if seat.failures and now < seat.rests_until:  # calls in flight fail together; count them as one failure
            return
        seat.failures += 1
        rest_s = min(LONGEST_REST_S, FIRST_REST_S * 2 ** (seat.failures - 1))
        seat.rests_until = now + max(rest_s, asked_s or 0.0)
