"""Divides the maximum number of calls in flight to each endpoint among the players of a run.

Once a second a player reports how many calls it has and wants, and gets its new maximum. A grant counts until the
player reports that it holds less, so all players together never exceed the total, even if messages are lost.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from questwell.llm.limiter import Limiter
from questwell.recipes.generate.placed.order import Load, SharesOut

EVERY_S = 1.0
"""Seconds between two reports."""
HOLDS_S = 10.0
"""Seconds that a player's last grant is valid without an answer; after that it is halved repeatedly."""
_FIRST_S = 0.1


class Shares:
    """The calls in flight to one endpoint, by player."""

    def __init__(self, total: int, slots: int, *, known: bool) -> None:
        """Divide `total` among players numbered from 0.

        Args:
            total: maximum number of calls in flight.
            slots: number of players.
            known: True if no player holds anything yet. Otherwise no player gets more before all have reported.
        """
        self._total = total
        self._held: dict[int, int | None] = dict.fromkeys(range(slots), 0 if known else None)
        self._wanted = dict.fromkeys(range(slots), 0)

    def report(self, slot: int, load: Load) -> int:
        """Return the player's new maximum; 0 if it must wait until others have given some back."""
        self._held[slot] = max(load.maximum, load.in_flight)
        self._wanted[slot] = load.in_flight + load.waiting
        others = [held for other, held in self._held.items() if other != slot]
        taken = sum(held for held in others if held is not None)
        if None in others:
            return load.maximum
        fair = self._total * (1 + self._wanted[slot]) // sum(1 + wanted for wanted in self._wanted.values())
        granted = max(min(max(fair, 1), self._total - taken), 0)
        self._held[slot] = max(load.maximum, load.in_flight, granted)
        return granted

    def forget(self, slot: int) -> None:
        """Remove a player that is gone."""
        self._held[slot] = self._wanted[slot] = 0


class Limits:
    """The shares of all endpoints."""

    def __init__(self, slots: int, *, known: bool = True) -> None:
        """See `Shares` for the arguments."""
        self._slots, self._known = slots, known
        self._shares: dict[str, Shares] = {}
        self._absent: set[int] = set()

    async def report(self, slot: int, loads: Mapping[str, Load]) -> Mapping[str, int]:
        """See `SharesOut.report`."""
        self._absent.discard(slot)
        for place, load in loads.items():
            if place not in self._shares:
                self._shares[place] = Shares(load.most, self._slots, known=self._known)
                for absent in self._absent:
                    self._shares[place].forget(absent)
        return {place: self._shares[place].report(slot, load) for place, load in loads.items()}

    async def absent(self, slots: Sequence[int]) -> None:
        """Mark players as gone; a player that reports again is back."""
        self._absent.update(slots)
        for shares in self._shares.values():
            for slot in slots:
                shares.forget(slot)


class Sharing:
    """A player's side: keeps its limiters at what it was granted."""

    def __init__(
        self,
        limits: SharesOut,
        slot: int,
        limiters: Mapping[str, Limiter],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Share `limiters`, by endpoint; each now has the total as its limit."""
        self._limits, self._slot, self._limiters = limits, slot, limiters
        self._most = {place: limiter.aimd.maximum for place, limiter in limiters.items()}
        self._maximum = dict.fromkeys(limiters, 0)
        self._now = now
        self._heard = now()

    async def begin(self) -> None:
        """Wait until each endpoint may get at least one call."""
        while not all(self._maximum.values()):
            await self._report()
            if not all(self._maximum.values()):
                await asyncio.sleep(_FIRST_S)

    async def keep_on(self) -> None:
        """Report once per interval, forever."""
        while self._limiters:
            await asyncio.sleep(EVERY_S)
            await self._report()

    async def _report(self) -> None:
        loads = {
            place: Load(self._maximum[place], limiter.in_flight, limiter.waiting, self._most[place])
            for place, limiter in self._limiters.items()
        }
        granted = await self._limits.report(self._slot, loads)
        if granted is not None:
            self._heard = self._now()
            self._hold({place: granted[place] for place in self._limiters})
        elif self._now() - self._heard >= HOLDS_S:
            self._heard = self._now()
            self._hold({place: max(held // 2, min(held, 1)) for place, held in self._maximum.items()})

    def _hold(self, maximum: Mapping[str, int]) -> None:
        for place, held in maximum.items():
            self._maximum[place] = held
            if held:
                self._limiters[place].resize(held)
