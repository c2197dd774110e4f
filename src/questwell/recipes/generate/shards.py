"""`generate` over several processes on one machine: shards that share nothing, and a parent that watches them.

A seed depends only on its index and the run's random seed, so shard 3 of 8 plays the seeds whose index leaves 3 when it
is divided by 8, as a run of its own in RUN/shards/003. The parent joins what they have into RUN/run.sqlite, every half
minute and at the end, so that all commands read the whole as one run. A shard that dies is started again: its calls
are recorded, so nothing is paid twice.
"""

import asyncio
import logging
import math
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path

from questwell.errors import ConfigError, QuestwellError
from questwell.games.seeds import Shard
from questwell.recipes.corpus.index import IndexProgress
from questwell.recipes.generate import loop
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.plays import GenerateReport
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.runs.ending import Ending, Report
from questwell.recipes.runs.lent import Lent
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.progress import OnProgress, Progress
from questwell.recipes.runs.signals import stopping_on_signals
from questwell.store.query import begun
from questwell.store.run import RunStore
from questwell.types.dataset import Usage
from questwell.types.game import Reason

FOLDER = "shards"
"""Folder of the shards, in the folder of the run."""
_LOG = logging.getLogger(__name__)
_WAIT_S = 0.5
_JOIN_EVERY_S = 30.0
_JOIN_SHARE = 20
"""Minimum ratio of the time between two joins to the time that one takes."""
_STARTS = 3
"""Number of times that a shard's process is started before it is given up."""
_WORST = (
    Ending.FAILING,
    Ending.BUDGET,
    Ending.STOPPED,
    Ending.LIMIT,
    Ending.ERRORED,
    Ending.EXHAUSTED,
    Ending.COMPLETE,
)
"""The endings of shards; the one that most needs a look comes first."""


def run(
    config: Config,
    folder: Path,
    *,
    resume: bool = False,
    limit: int | None = None,
    on_progress: OnProgress = lambda progress: None,
    index_progress: IndexProgress | None = None,
    lent: Lent | None = None,
) -> GenerateReport:
    """`loop.run`, in as many processes as `config.shards` says.

    Limits of money, tokens and plays, and the concurrency, are divided among the shards.
    """
    if config.shards is None:
        return loop.run(
            config,
            folder,
            resume=resume,
            limit=limit,
            on_progress=on_progress,
            index_progress=index_progress,
            lent=lent,
        )
    if lent is not None and (lent.llms or lent.retriever):
        raise ConfigError("--shards plays in other processes, which cannot use your objects: name model and retriever")
    with Run(loop.KIND, config, folder, resume=resume) as opened:
        setup = open_setup(config, index_progress)  # builds the index once, and compares
        info = opened.compare(setup.fingerprint())
        asyncio.run(setup.aclose())
        with RunStore(folder, opened.lock) as store:
            asyncio.run(store.begin(info))
            return asyncio.run(_Parent(opened, store, limit, on_progress).watch())


def folders(folder: Path) -> list[Path]:
    """The shards of the run in `folder` that have begun, in order; none when it is not made of shards."""
    return [shard for shard in sorted((folder / FOLDER).glob("*")) if begun(shard)]


def shard_configs(config: Config) -> Iterator[Config]:
    """What each shard does: its part of the seeds, and of the limits."""
    assert config.shards is not None
    for part in range(config.shards):
        shares: dict[str, object] = {
            "shard": f"{part}/{config.shards}",
            "shards": None,
            "concurrency": math.ceil(config.plays_at_once / config.shards),
            "max_cost": None if config.max_cost is None else config.max_cost / config.shards,
            "max_tokens": None if config.max_tokens is None else max(config.max_tokens // config.shards, 1),
        }
        yield config.model_copy(update=shares)


@dataclass(frozen=True, slots=True)
class _Failed:
    """A shard's process ended with an error."""

    message: str


_Message = Progress | Report | _Failed


class _Shard:
    """A shard, seen from the parent."""

    def __init__(self, config: Config, folder: Path, limit: int | None) -> None:
        self.name = f"shard {config.shard}"
        self.progress: Progress | None = None
        self.ended: Report | _Failed | None = None
        self._plays = (config, folder, limit)
        self._starts = 0
        self._stopping = False
        self.begin()

    def begin(self) -> None:
        """Start its process, or start it again."""
        self._starts += 1
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=play_shard, args=(*self._plays, theirs), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe

    def hear(self) -> None:
        """Take a message, or notice that its process has died."""
        try:
            message: _Message = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            if self._stopping:
                self.ended = Report(Ending.STOPPED, "stopped as you asked")
            elif self._starts < _STARTS:
                _LOG.warning("%s died (%s); it is started again", self.name, self._process.exitcode)
                self.begin()
            else:
                self.ended = _Failed(f"its process died {self._starts} times (exit code {self._process.exitcode})")
            return
        if isinstance(message, Progress):
            self.progress = message
        else:
            self.ended = message
            self.pipe.close()
            self._process.join()

    def stop(self) -> None:
        """Let its calls in flight end."""
        self._stopping = True
        if self.ended is None:
            self._process.terminate()


class _Parent:
    """One invocation over all shards."""

    def __init__(self, opened: Run[Config], store: RunStore, limit: int | None, on_progress: OnProgress) -> None:
        config, self._opened = opened.config, opened
        self._store = store
        self._on_progress = on_progress
        self._started = time.monotonic()
        self._stopping = False
        configs = list(shard_configs(config))
        self._shards = [
            _Shard(one, opened.folder / FOLDER / f"{part:03d}", _share(limit, Shard(part, len(configs))))
            for part, one in enumerate(configs)
        ]

    async def watch(self) -> GenerateReport:
        """Until all shards have ended."""
        joined, took = time.monotonic(), 0.0
        with stopping_on_signals(self._stop):
            while at_work := [shard for shard in self._shards if shard.ended is None]:
                ready = await asyncio.to_thread(wait, [shard.pipe for shard in at_work], _WAIT_S)
                for shard in at_work:
                    if shard.pipe in ready:
                        shard.hear()
                self._on_progress(self._progress())
                if time.monotonic() - joined >= max(_JOIN_EVERY_S, _JOIN_SHARE * took):
                    took = await self._join()
                    joined = time.monotonic()
        await self._join()
        ended = _worst(self._shards, self._opened.go_on)
        if ended.ending is Ending.EXHAUSTED:
            ended = Report(ended.ending, loop.too_few(self._opened.config, self._store.read.drawn()))
        progress = self._progress()
        self._on_progress(progress)
        return GenerateReport(ended.ending, ended.message, ended.go_on, progress=progress)

    async def _join(self) -> float:
        """Bring the run's own file up to date; the seconds that it took."""
        since = time.monotonic()
        await join(self._store, folders(self._opened.folder), self._opened.config)
        return time.monotonic() - since

    def _progress(self) -> Progress:
        seen = [shard.progress for shard in self._shards if shard.progress is not None]
        config = self._opened.config
        accepted = sum(one.accepted for one in seen)
        rejected = sum((Counter(one.rejected) for one in seen), Counter[Reason]())
        return Progress(
            done=sum(one.done for one in seen),
            total=config.seeds if len(seen) < len(self._shards) else sum(one.total or 0 for one in seen),
            accepted=accepted,
            wanted=None,
            rejected=dict(rejected),
            spent=sum((one.spent for one in seen), Usage()),
            calls_made=sum(one.calls_made for one in seen),
            calls_replayed=sum(one.calls_replayed for one in seen),
            elapsed_s=time.monotonic() - self._started,
            left_s=max((one.left_s for one in seen if one.left_s is not None), default=None),
            stopping=self._stopping,
        )

    def _stop(self) -> None:
        self._stopping = True
        for shard in self._shards:
            shard.stop()


async def join(store: RunStore, shards: Sequence[Path], config: Config) -> None:
    """Bring `store` up to date with its shards.

    Raises:
        StoreError: one of them cannot be read.
    """
    await store.merge(shards)
    if config.price_in is not None and config.price_out is not None:
        await store.price(config.price_in, config.price_out)


def play_shard(config: Config, folder: Path, limit: int | None, pipe: Connection) -> None:
    """What the process of a shard does: play, and tell the parent; it stops when the parent is gone."""
    os.setpgrp()  # Ctrl-C is for the parent, which asks us to stop
    threading.Thread(target=_stop_without, args=(pipe,), daemon=True).start()
    try:
        report: _Message = _plain(loop.run(config, folder, resume=True, limit=limit, on_progress=_teller(pipe)))
    except QuestwellError as error:
        report = _Failed(str(error))
    with suppress(OSError):
        pipe.send(report)


def _share(limit: int | None, shard: Shard) -> int | None:
    """A shard's part of the plays of this invocation; all parts together are the limit."""
    return None if limit is None else shard.size(limit)


def _stop_without(pipe: Connection) -> None:
    """Stop this process cleanly once the other end of `pipe` is closed; the parent never writes to it."""
    with suppress(EOFError, OSError):
        pipe.recv()
    os.kill(os.getpid(), signal.SIGTERM)


def _teller(pipe: Connection) -> OnProgress:
    told = 0.0

    def tell(progress: Progress) -> None:
        nonlocal told
        if time.monotonic() - told >= _WAIT_S / 2 or progress.done == progress.total:
            told = time.monotonic()
            with suppress(OSError):  # the parent is gone: we are about to stop
                pipe.send(progress)

    return tell


def _plain(report: Report) -> Report:
    return Report(report.ending, report.message, report.go_on)


def _worst(shards: Iterable[_Shard], go_on: str) -> Report:
    """The worst ending, with the shards that ended so."""
    by_ending: dict[Ending, list[str]] = {}
    for shard in shards:
        ended = shard.ended
        assert ended is not None
        ending = Ending.FAILING if isinstance(ended, _Failed) else ended.ending
        by_ending.setdefault(ending, []).append(f"{shard.name}: {ended.message}" if ended.message else shard.name)
    worst = min(by_ending, key=_WORST.index)
    if worst is Ending.COMPLETE:
        return Report(worst)
    first, others = by_ending[worst][0], len(by_ending[worst]) - 1
    message = f"{first} (and {others} more shards)" if others else first
    return Report(worst, message, go_on)
