"""The command's own process under `generate --engine ray`: starts keepers and players, and watches them.

A player that dies is replaced, and its leased seeds become free again. The run cannot continue without this process:
when it dies, its actors die too, and a resume voids their leases.
"""

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from questwell.errors import QuestwellError, WorkerLost
from questwell.recipes.generate import loop
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.placed.cluster import Cluster, KeeperActor, PlayerActor, check, cluster
from questwell.recipes.generate.placed.order import Closed, Failed, Order
from questwell.recipes.generate.plays import GenerateReport
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.runs.caller import DEFAULTS, Caller
from questwell.recipes.runs.ending import Ending, Report, worst
from questwell.recipes.runs.invocation import run_file
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.parts import refuse_objects
from questwell.recipes.runs.processes import folders, join
from questwell.recipes.runs.progress import OnProgress, Progress, together
from questwell.recipes.runs.signals import stopping_on_signals
from questwell.recipes.runs.twin import Twofold, blocking_verb, in_thread
from questwell.store.run import RunStore

_LOG = logging.getLogger(__name__)
_LOOK_S = 0.5
_JOIN_EVERY_S = 30.0
_JOIN_SHARE = 20
"""Minimum ratio of the time between two joins to the duration of a join."""
_SILENT_S = 20.0
"""Seconds without an answer of any keeper before we warn the user; Ray itself ends the command after a minute."""
_DEATHS = 3
"""Number of consecutive deaths of a player before its first call, after which we give up."""


@blocking_verb
def run(config: Config, folder: Path, caller: Caller[[Progress]] = DEFAULTS) -> Twofold[GenerateReport]:
    """Run `shards.run` with the players wherever Ray places them."""
    refuse_objects(caller, "--engine ray plays in other processes, which cannot use")
    check()

    def watched() -> GenerateReport:
        with Run(loop.KIND, config, folder, resume=caller.resume) as opened:
            setup = open_setup(config, caller.index_progress)  # builds the index once, and compares
            info = opened.compare(setup.fingerprint())
            asyncio.run(setup.aclose())
            with run_file(opened, setup.llms.values(), setup.retriever) as store:
                asyncio.run(store.begin(info))
                players = min(config.players or config.shards or 1, config.plays_at_once)
                token = secrets.token_hex(4)
                order = Order(token, info, folder.absolute(), caller.limit, players, time.time(), opened.go_on)
                with cluster() as ray:
                    return asyncio.run(_Driver(opened, store, order, ray, caller.on_progress).watch())

    return in_thread(watched)


class _Driver:
    """One invocation over all shards."""

    def __init__(
        self, opened: Run[Config], store: RunStore, order: Order, ray: Cluster, on_progress: OnProgress
    ) -> None:
        self._config, self._folder, self._go_on = opened.config, opened.folder, opened.go_on
        self._store, self._order, self._ray, self._on_progress = store, order, ray, on_progress
        self._started = time.monotonic()
        self._heard = self._started
        self._stopping = False
        self._keepers = [ray.keeper(order, part) for part in range(opened.config.shards or 1)]
        self._seen: dict[int, Progress] = {}
        self._limits = ray.limits(order.players)
        self._players: dict[int, PlayerActor] = {}
        self._done: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def watch(self) -> GenerateReport:
        """Wait until all players and then all shards have ended."""
        with stopping_on_signals(self._stop):
            joining = self._every(_JOIN_EVERY_S, self._join)
            looking = [self._every(_LOOK_S, self._warn)]
            looking += [self._every(_LOOK_S, self._look(part, keeper)) for part, keeper in enumerate(self._keepers)]
            try:
                named = await self._ends()
            except WorkerLost as lost:  # a keeper, or the cluster: what was recorded is on this disk
                named = [("cluster", Report(Ending.FAILING, str(lost)))]
            finally:
                for task in (joining, *looking):
                    task.cancel()
                await asyncio.gather(joining, *looking, return_exceptions=True)
        await self._join()
        progress = self._tell()
        ended = worst(named, self._go_on)
        if ended.ending is Ending.EXHAUSTED:
            ended = Report(ended.ending, loop.too_few(self._config, self._store.read.drawn()))
        return GenerateReport(ended.ending, ended.message, ended.go_on, progress=progress)

    async def _ends(self) -> list[tuple[str, Report]]:
        """Return how players and shards ended, by name."""
        players = await asyncio.gather(*(self._play(slot) for slot in range(self._order.players)))
        parts = await asyncio.gather(*(self._end(part) for part in range(len(self._keepers))))
        named = [(f"player {slot}", end) for slot, end in enumerate(players)]
        return named + [(f"shard {part}/{len(parts)}", end) for part, end in enumerate(parts)]

    async def _play(self, slot: int) -> Report:
        """Return how the player in one slot ended; a player that died is replaced."""
        deaths = 0
        for number in range(1_000_000):
            name = f"{self._order.token}-{slot}-{number}"
            made = self._made()
            player = self._players[slot] = self._ray.player(self._order, slot, name, self._keepers, self._limits)
            if self._stopping:
                self._ask_to_stop(player)
            try:
                ended = await player.play()
                break
            except WorkerLost as lost:
                player.kill()  # if it only cannot be reached
                _LOG.warning("player %d died (%s)", slot, lost)
                await asyncio.gather(*(keeper.release(name) for keeper in self._keepers))
                await self._limits.absent([slot])
                deaths = deaths + 1 if self._made() == made else 1
                if deaths >= _DEATHS or self._stopping:
                    ended = (
                        Report(Ending.STOPPED, "stopped as you asked", self._go_on)
                        if self._stopping
                        else Failed(f"it died {deaths} times: {lost}")
                    )
                    break
        else:
            raise AssertionError("a player cannot die so often")
        self._done.add(slot)
        player.kill()
        await self._limits.absent(sorted(self._done))
        if isinstance(ended, Failed):
            return Report(Ending.FAILING, ended.message, self._go_on)
        return ended

    async def _end(self, part: int) -> Report:
        closed: Closed = await self._keepers[part].end()
        self._seen[part] = closed.progress
        return closed.report

    def _look(self, part: int, keeper: KeeperActor) -> Callable[[], Awaitable[None]]:
        async def look() -> None:
            self._seen[part] = await keeper.progress()
            self._heard = time.monotonic()
            self._tell()

        return look

    async def _warn(self) -> None:
        """Warn once that no keeper answers: if the cluster's head is gone, Ray ends this process without a message."""
        if self._seen and time.monotonic() - self._heard > _SILENT_S:
            _LOG.warning("no answer for %d s: if the cluster is gone, start it and go on: %s", _SILENT_S, self._go_on)
            self._heard = math.inf

    async def _join(self) -> None:
        """Update the run's own file."""
        await join(self._store, folders(self._folder), self._config)

    def _every(self, seconds: float, do: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        async def again() -> None:
            wait = seconds
            while True:
                await asyncio.sleep(wait)
                since = time.monotonic()
                with suppress(QuestwellError):  # it is raised again, and reported, when the run ends
                    await do()
                wait = max(seconds, _JOIN_SHARE * (time.monotonic() - since))

        return asyncio.create_task(again())

    def _made(self) -> int:
        return sum(one.calls_made for one in self._seen.values())

    def _tell(self) -> Progress:
        seen = list(self._seen.values())
        whole = together(seen, time.monotonic() - self._started, stopping=self._stopping)
        if len(seen) < len(self._keepers):
            whole = replace(whole, total=self._config.seeds)
        self._on_progress(whole)
        return whole

    def _stop(self) -> None:
        self._stopping = True
        for player in self._players.values():
            self._ask_to_stop(player)

    def _ask_to_stop(self, player: PlayerActor) -> None:
        async def ask() -> None:
            with suppress(WorkerLost):
                await player.stop()

        task = asyncio.get_running_loop().create_task(ask())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
