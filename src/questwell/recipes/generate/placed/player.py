"""A player leases seeds from keepers, plays them and ships its records. It has no file and may die at any time."""

import asyncio
import math
from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from questwell.agents.session import Sessions
from questwell.errors import BudgetReached, QuestwellError
from questwell.games.rules import Rules
from questwell.games.sage import play
from questwell.llm.limiter import Limiter
from questwell.llm.openai import OpenAIClient
from questwell.recipes.generate.loop import KIND
from questwell.recipes.generate.placed.order import Failed, Keeps, Order, SharesOut
from questwell.recipes.generate.placed.shares import Sharing
from questwell.recipes.generate.placed.shipping import Purse, Shipping
from questwell.recipes.generate.plays import played, question_key, why_errored
from questwell.recipes.generate.setup import Setup, open_setup
from questwell.recipes.runs.budget import Budget, SpendingLimits
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.spans import open_spans
from questwell.recipes.runs.workers import Patience, Workers
from questwell.store.records import WaveSeed
from questwell.types.game import Accepted, Rejected
from questwell.types.usage import Usage

_LEASE = 32
"""Maximum number of seeds to lease at the same time."""


@dataclass(slots=True)
class _Line:
    """A player's work for one keeper."""

    keeper: Keeps
    purse: Purse
    shipping: Shipping
    recorder: Recorder
    holding: set[int] = field(default_factory=set[int])
    """Indices of the seeds that it has leased and not finished."""


class _Whole(Budget):
    """Stops all plays of a player; the budget itself is checked by each keeper."""

    def __init__(self) -> None:
        super().__init__(SpendingLimits(), Usage())
        self.purses: list[Purse] = []

    def stop(self) -> None:
        super().stop()
        for purse in self.purses:
            purse.stop()


class Player:
    """One player, in slot number `slot` of an invocation."""

    def __init__(self, order: Order, slot: int, name: str, keepers: Sequence[Keeps], limits: SharesOut) -> None:
        """Play for `keepers`, starting with the one of the same number.

        Args:
            order: the invocation.
            slot: number of the player; a replacement of a dead player has the same number.
            name: unique name of this player.
            keepers: all keepers of the run, by shard number.
            limits: divides the calls in flight.
        """
        first = slot % len(keepers)
        self._keepers = [*keepers[first:], *keepers[:first]]
        self._order, self._slot, self._name, self._limits = order, slot, name, limits
        self._budget = _Whole()
        self._lines: list[_Line] = []

    async def play(self) -> Report | Failed:
        """Play until no keeper has a seed left for this player."""
        try:
            config = self._order.config()
            setup = await asyncio.to_thread(open_setup, config)
            async with aclosing(setup):
                return await self._play(setup, config.rules())
        except QuestwellError as error:
            return Failed(str(error))

    async def stop(self) -> None:
        """Start no further calls; calls in flight finish."""
        self._budget.stop()

    async def _play(self, setup: Setup, rules: Rules) -> Report:
        self._order.refuse_another(setup.fingerprint())
        config = self._order.config()
        spans = open_spans(KIND.name, on=config.spans)
        for keeper in self._keepers:
            purse = Purse()
            self._budget.purses.append(purse)
            shipping = Shipping(keeper, self._name, purse, await keeper.adapted())
            recorder = shipping.counts = Recorder(shipping, setup.llms, setup.retriever, purse, spans=spans)
            self._lines.append(_Line(keeper, purse, shipping, recorder))
        sharing = Sharing(self._limits, self._slot, _limiters(setup))
        await sharing.begin()
        patience = Patience(math.ceil(config.plays_at_once / self._order.players), config.max_errors)
        workers = Workers(self._budget, patience, "plays", self._order.go_on, spans)

        async def play_one(piece: tuple[_Line, WaveSeed]) -> str | None:
            return await _play_one(*piece, rules, setup)

        async def more() -> list[tuple[_Line, WaveSeed]]:
            return await self._lease(min(_LEASE, patience.at_once))

        keeping_on = asyncio.create_task(sharing.keep_on())
        try:
            async with workers.running(lambda: None):
                await workers.run((), play_one, more)
        finally:
            keeping_on.cancel()
            with suppress(asyncio.CancelledError):
                await keeping_on
        return workers.ending(left=False, errored=0)  # what errored, or is left, the keepers know

    async def _lease(self, wanted: int) -> list[tuple[_Line, WaveSeed]]:
        """Lease seeds from the first keeper that has some."""
        for line in self._lines:
            if line.purse.standing.halt is not None:
                continue
            found = await line.keeper.lease(self._name, wanted, frozenset(line.holding))
            for one in found:
                line.shipping.read.lease(one)
                line.holding.add(one.drawn.seed.index)
            if found:
                return [(line, one.drawn) for one in found]
        return []


async def _play_one(line: _Line, drawn: WaveSeed, rules: Rules, setup: Setup) -> str | None:
    """Play a seed to its end; returns why it errored, or None."""

    async def begin(sessions: Sessions) -> Accepted | Rejected:
        return await play(drawn.seed, rules, setup.players, sessions, None)

    try:
        outcome = await played(drawn.seed, begin, line.recorder.sessions(drawn.seed.id))
    except BudgetReached:
        return None  # of this keeper alone: the others have their own
    await line.shipping.finish(outcome, question_key(outcome) if isinstance(outcome, Accepted) else None)
    line.holding.discard(drawn.seed.index)
    return why_errored(outcome)


def _limiters(setup: Setup) -> dict[str, Limiter]:
    """Return the limiter of each endpoint; models in this process have none."""
    return {llm.address: llm.limiter for llm in setup.llms.values() if isinstance(llm, OpenAIClient)}
