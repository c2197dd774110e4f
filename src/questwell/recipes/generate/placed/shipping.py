"""A player's connection to one keeper: records are sent there, and used only once they are on the keeper's disk."""

import asyncio
from collections.abc import Mapping, Sequence

from questwell.errors import BudgetReached, ConfigError, StoreError
from questwell.recipes.generate.placed.order import Halt, Keeps, Leased, Shipment, Standing
from questwell.recipes.runs.budget import Budget, SpendingLimits
from questwell.recipes.runs.progress import Counts
from questwell.store.passage_refs import Json
from questwell.store.records import Call, CallKey, Ended, Failure, Learnt, News
from questwell.types.game import Accepted, Rejected
from questwell.types.usage import Usage

_MOST = 1_000
"""Maximum number of records in one shipment."""


class Purse(Budget):
    """The budget of one keeper's plays. The keeper counts the spending; this holds its latest standing."""

    def __init__(self) -> None:
        """Start without any reason to refuse calls."""
        super().__init__(SpendingLimits(), Usage())
        self.standing = Standing()

    def check(self) -> None:
        """See `Budget.check`."""
        super().check()
        match self.standing.halt:
            case Halt.BUDGET:
                raise BudgetReached(self.standing.message)
            case Halt.REFUSED:
                raise ConfigError(self.standing.message)
            case Halt.GONE:
                raise StoreError(self.standing.message)
            case None:
                pass


class Shipping:
    """Sends records to a keeper as a `RunStore` writes a file. Records that arrive during a shipment share the next."""

    def __init__(self, keeper: Keeps, player: str, purse: Purse, known: Mapping[str, tuple[str, ...]]) -> None:
        """Ship to `keeper`, which has `known` request changes for endpoints."""
        self._keeper, self._player, self._purse = keeper, player, purse
        self.read = _Read(known)
        self.counts: Counts | None = None
        """Numbers of model calls so far, reported with each shipment."""
        self._number = 0
        self._waiting: list[tuple[News, asyncio.Future[None]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def record(self, call: Call) -> None:
        """See `RunStore.record`."""
        await self._ship(call)

    async def record_failure(self, failure: Failure) -> None:
        """See `RunStore.record_failure`."""
        await self._ship(failure)

    async def adapted(self, place: str, changes: Sequence[str]) -> None:
        """See `RunStore.adapted`."""
        await self._ship(Learnt(place, tuple(changes)))

    async def finish(self, outcome: Accepted | Rejected, question_key: str | None) -> None:
        """See `RunStore.finish`."""
        await self._ship(Ended(outcome, question_key))

    async def _ship(self, one: News) -> None:
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, kept))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())
        await kept

    async def _send(self) -> None:
        while batch := self._waiting[:_MOST]:
            del self._waiting[: len(batch)]
            self._number += 1
            news = [one for one, _ in batch]
            counts = (self.counts.made, self.counts.replayed) if self.counts else (0, 0)
            shipment = Shipment(self._player, self._number, news, *counts)
            error: Exception | None = None
            try:
                self._purse.standing = await self._keeper.receive(shipment)
                if self._purse.standing.halt is Halt.GONE:
                    error = StoreError(self._purse.standing.message)
            except Exception as failure:  # whatever it is must reach the plays that wait, or they would wait for ever
                error = failure
            for _, kept in batch:
                if not kept.done():
                    kept.set_result(None) if error is None else kept.set_exception(error)


class _Read:
    """What the keeper had recorded when it leased a seed."""

    def __init__(self, known: Mapping[str, tuple[str, ...]]) -> None:
        self._known = known
        self._leased: dict[str, Mapping[CallKey, Json]] = {}

    def lease(self, leased: Leased) -> None:
        """Keep the recorded data of a seed until it is used."""
        self._leased[leased.drawn.seed.id] = leased.answers

    def answers(self, seed: str) -> Mapping[CallKey, Json]:
        """See `RunReader.answers`; returns them once per lease."""
        return self._leased.pop(seed)

    def adapted(self) -> Mapping[str, tuple[str, ...]]:
        """See `RunReader.adapted`."""
        return self._known
