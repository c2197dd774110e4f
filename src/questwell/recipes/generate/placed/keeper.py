"""The keeper of a shard is the only process that writes its run file. It draws and leases seeds, and stores results.

Everything is in the file before the keeper answers, so it may be killed and restarted at any moment.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from questwell.errors import BudgetReached, ConfigError, RunLocked
from questwell.recipes.generate import loop
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.placed.leases import NOTE, Leases
from questwell.recipes.generate.placed.order import Closed, Halt, Leased, Order, Shipment, Standing
from questwell.recipes.generate.plays import why_errored
from questwell.recipes.generate.seeds import SeedSchedule
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.runs.budget import Budget, SpendingLimits
from questwell.recipes.runs.ending import Ending, Report
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.parts import divided
from questwell.recipes.runs.processes import folder_of, share
from questwell.recipes.runs.progress import Progress, Tally
from questwell.store.records import Call, CallKind, Ended, Failure, News, WaveSeed
from questwell.store.run import RunStore

_SHIPPED = "shipped by "
"""Start of the notes with the number of stored shipments per player."""
_LOCKED_S = 60.0
"""How long a keeper waits for the previous process that holds the file, usually one that was just killed."""


@dataclass(slots=True)
class _Counts:
    """Model calls of this invocation, by player."""

    by_player: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])

    @property
    def made(self) -> int:
        return sum(made for made, _ in self.by_player.values())

    @property
    def replayed(self) -> int:
        return sum(replayed for _, replayed in self.by_player.values())


class Keeper:
    """One shard in one invocation. Its file is opened at the first request and closed by `end`."""

    def __init__(self, order: Order, part: int) -> None:
        """Create the keeper of shard number `part`."""
        self._order, self._part = order, part
        self._opening, self._leasing = asyncio.Lock(), asyncio.Lock()
        self._opened: _Shard | None = None
        self._stack = AsyncExitStack()

    async def adapted(self) -> Mapping[str, tuple[str, ...]]:
        """See `Keeps.adapted`."""
        return (await self._shard()).store.read.adapted()

    async def lease(self, player: str, wanted: int, holding: frozenset[int]) -> list[Leased]:
        """See `Keeps.lease`."""
        shard = await self._shard()
        async with self._leasing:
            if shard.leases.gone(player) or shard.standing().halt is not None:
                return []
            found = [shard.out[index] for index in sorted(shard.leases.of(player) - holding)]
            news = False
            while len(found) < wanted and (drawn := await shard.draw()) is not None:
                shard.lend(drawn, player)
                found.append(drawn)
                news = True
            if news:
                await shard.store.note(NOTE, shard.leases.note())
            return [Leased(drawn, shard.store.read.answers(drawn.seed.id)) for drawn in found]

    async def receive(self, shipment: Shipment) -> Standing:
        """See `Keeps.receive`."""
        shard = await self._shard()
        async with shard.receiving(shipment.player):
            if shard.leases.gone(shipment.player):
                return Standing(Halt.GONE, "this player was taken for dead; another plays its seeds")
            if shipment.number > shard.shipped.get(shipment.player, 0):
                note = f"{_SHIPPED}{shipment.player}"
                await shard.store.receive(shipment.news, note, str(shipment.number))
                shard.shipped[shipment.player] = shipment.number
                shard.count(shipment.news)
            shard.counts.by_player[shipment.player] = (shipment.made, shipment.replayed)
            return shard.standing()

    async def release(self, player: str) -> None:
        """Free the seeds of a dead player, and accept nothing more from it."""
        shard = await self._shard()
        async with self._leasing, shard.receiving(player):
            shard.take_back(player)
            await shard.store.note(NOTE, shard.leases.note())

    async def progress(self) -> Progress:
        """Return the progress of the shard."""
        return (await self._shard()).progress()

    async def end(self) -> Closed:
        """Return how the shard ended, once no player plays it any more, and close its file."""
        shard = await self._shard()
        closed = Closed(shard.ending(), shard.progress())
        await self.aclose()
        return closed

    async def aclose(self) -> None:
        """Close the file."""
        async with self._opening:
            self._opened = None
            await self._stack.aclose()

    async def _shard(self) -> "_Shard":
        async with self._opening:
            if self._opened is None:
                self._opened = await self._open()
            return self._opened

    async def _open(self) -> "_Shard":
        order = self._order
        whole = order.config()
        config = list(divided(whole, whole.plays_at_once))[self._part].model_copy(
            update={"engine": "processes", "players": None}  # so that the shard is a run like any other
        )
        folder = folder_of(order.folder, self._part)
        async with AsyncExitStack() as stack:
            run = stack.enter_context(await _unlocked(config, folder))
            setup = await stack.enter_async_context(aclosing(await asyncio.to_thread(open_setup, config)))
            order.refuse_another(setup.fingerprint())
            store, schedule = await stack.enter_async_context(loop.begun(run, setup))
            kept = store.read.notes(NOTE).get(NOTE)
            leases = Leases(order.token, kept)
            if leases.fresh:
                await store.forget(_SHIPPED)  # of an earlier invocation
            limit = share(order.limit, self._part, cast(int, whole.shards))
            shard = _Shard(config, order, store, schedule, leases, limit)
            self._stack = stack.pop_all()
            return shard


async def _unlocked(config: Config, folder: Path) -> Run[Config]:
    until = time.monotonic() + _LOCKED_S
    while True:
        try:
            return Run(loop.KIND, config, folder, resume=True)
        except RunLocked:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.1)


class _Shard:
    """State of a shard while its file is open."""

    def __init__(
        self,
        config: Config,
        order: Order,
        store: RunStore,
        schedule: SeedSchedule,
        leases: Leases,
        limit: int | None,
    ) -> None:
        self._config, self._order, self._schedule, self._limit = config, order, schedule, limit
        self.store, self.leases = store, leases
        limits = config.limits()
        gone = (time.time() - order.began) / 60
        minutes = None if limits.minutes is None else limits.minutes - gone  # this process may not be the first
        self._budget = Budget(SpendingLimits(limits.cost_usd, limits.tokens, minutes), store.read.usage())
        self._minutes = limits.minutes
        self._tally = Tally(store.read, schedule.total, None)
        self.counts = _Counts()
        self.shipped = {name.removeprefix(_SHIPPED): int(number) for name, number in store.read.notes(_SHIPPED).items()}
        """Number of stored shipments, by player."""
        unplayed = {drawn.seed.index: drawn for drawn in store.read.unplayed()}
        leases.forget(leases.held - unplayed.keys())
        self.out = {index: unplayed[index] for index in leases.held}
        """Seeds that players hold, and those that errored in this invocation."""
        self._free = deque(drawn for index, drawn in unplayed.items() if index not in leases)
        self._receiving: dict[str, asyncio.Lock] = {}

    def receiving(self, player: str) -> asyncio.Lock:
        """Return the lock to hold while storing data of a player."""
        return self._receiving.setdefault(player, asyncio.Lock())

    async def draw(self) -> WaveSeed | None:
        """Return the next free seed; None if there is none or the limit of plays is reached."""
        if self._limit is not None and self.leases.given >= self._limit:
            return None
        if not self._free and (wave := self._schedule.next_wave(self.store.read)):
            self._free.extend(await self.store.add_seeds(wave))
        return self._free.popleft() if self._free else None

    def lend(self, drawn: WaveSeed, player: str) -> None:
        """Lease a seed to a player."""
        self.leases.give(drawn.seed.index, player)
        self.out[drawn.seed.index] = drawn

    def take_back(self, player: str) -> None:
        """Free the seeds of a dead player; they are played first."""
        self._free.extendleft(self.out.pop(index) for index in sorted(self.leases.release(player), reverse=True))

    def count(self, news: Sequence[News]) -> None:
        """Count what was stored."""
        for one in news:
            match one:
                case Call(kind=CallKind.LLM):
                    self._budget.add(one)
                case Call():
                    self._budget.add_search(one.cost_usd)
                case Failure():
                    self._budget.add_rejected(one.prompt_tokens, one.completion_tokens, one.cost_usd)
                case Ended(outcome, key):
                    self._tally.count(outcome, key)
                    errored = why_errored(outcome) is not None
                    self.leases.ended(outcome.seed.index, errored=errored)
                    if not errored:
                        self.out.pop(outcome.seed.index, None)
                case _:
                    pass

    def standing(self) -> Standing:
        """Return whether plays may continue."""
        try:
            self._budget.check()
        except BudgetReached as reached:
            used = f"--max-minutes {self._minutes:g} is used up" if "--max-minutes" in str(reached) else str(reached)
            return Standing(Halt.BUDGET, used)
        except ConfigError as refused:
            return Standing(Halt.REFUSED, str(refused))
        return Standing()

    def progress(self) -> Progress:
        """Return the progress of the shard."""
        return self._tally.progress(self.counts, self._budget)

    def ending(self) -> Report:
        """Return how the invocation ended for this shard."""
        read, go_on, standing = self.store.read, self._order.go_on, self.standing()
        unplayed = read.unplayed()
        left = bool(unplayed or self._schedule.next_wave(read))
        errored = read.errored()
        if left and standing.halt is not None:
            ending = Ending.BUDGET if standing.halt is Halt.BUDGET else Ending.FAILING
            return Report(ending, standing.message, go_on)
        if left and self._limit is not None and self.leases.given >= self._limit:
            return Report(Ending.LIMIT, "the limit of plays for this invocation is reached", go_on)
        if errored:
            return Report(Ending.ERRORED, f"{errored} plays errored; the last one: {read.latest_error() or ''}", go_on)
        if left:
            return Report(Ending.STOPPED, "some seeds were not played", go_on)
        drawn, wanted = read.drawn(), self._config.part.size(self._config.seeds or 0)
        return Report(Ending.COMPLETE) if drawn >= wanted else Report(Ending.EXHAUSTED, "the corpus has no more seeds")
