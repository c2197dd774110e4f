"""Runs one run in several processes on one machine: independent shards, and a parent that watches them.

Each shard is a run of its own in a folder such as RUN/shards/003. The parent joins their data into RUN/run.sqlite every
half minute and at the end, so that all commands can read it as one run. A shard that dies is started again; its calls
are recorded, so nothing is paid twice.
"""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, cast

from questwell.errors import QuestwellError, RunLocked
from questwell.games.seeds import Shard
from questwell.recipes.runs.ending import Ending, Report, worst
from questwell.recipes.runs.signals import stopping_on_signals
from questwell.recipes.runs.spending import SpendingConfig
from questwell.store.query import begun
from questwell.store.run import RunStore

FOLDER = "shards"
"""Name of the folder with the shards, inside the run's folder."""
_LOG = logging.getLogger(__name__)
_WAIT_S = 0.5
_JOIN_EVERY_S = 30.0
_JOIN_SHARE = 20
"""Minimum ratio of the time between two joins to the duration of a join."""
_LOCKED_S = 60.0
"""Maximum time that a shard waits for another process that writes its folder."""
_STARTS = 3
"""How often a shard's process is started before we give up."""


class Counted(Protocol):
    """Progress of a shard; it must be picklable."""

    @property
    def done(self) -> int:
        """Number of finished pieces."""
        ...

    @property
    def total(self) -> int | None:
        """Total number of pieces; None if unknown."""
        ...


_P = TypeVar("_P", bound=Counted)
_C = TypeVar("_C", bound=SpendingConfig)


def folders(folder: Path) -> list[Path]:
    """Return the folders of the shards that have begun, in order; empty if the run has no shards."""
    return [shard for shard in sorted((folder / FOLDER).glob("*")) if begun(shard)]


def folder_of(folder: Path, part: int) -> Path:
    """Return the folder of one shard of the run in `folder`."""
    return folder / FOLDER / f"{part:03d}"


def share(limit: int | None, part: int, shards: int) -> int | None:
    """Return a shard's share of this invocation's limit of pieces; all shares add up to the limit."""
    return None if limit is None else Shard(part, shards).size(limit)


async def join(store: RunStore, shards: Sequence[Path], config: SpendingConfig) -> None:
    """Update `store` with the data of its shards.

    Raises:
        StoreError: one of them cannot be read.
    """
    await store.merge(shards)
    if (price := config.price) is not None:
        await store.price(price.input_usd, price.output_usd)


@dataclass(frozen=True, slots=True)
class _Failed:
    """Message: a shard's process ended with an error."""

    message: str


class Process(Generic[_P]):
    """A shard's process, as the parent sees it."""

    def __init__(self, name: str, target: Callable[..., None], arguments: tuple[object, ...]) -> None:
        """Start the process.

        Args:
            name: name of the shard in messages.
            target: what the process runs: a module-level function that calls `work`.
            arguments: arguments of `target`; the pipe to the parent is added.
        """
        self.name = name
        self.progress: _P | None = None
        self.ended: Report | _Failed | None = None
        self._target, self._arguments = target, arguments
        self._starts = 0
        self._stopping = False
        self.begin()

    def begin(self) -> None:
        """Start the process, or restart it."""
        self._starts += 1
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=self._target, args=(*self._arguments, theirs), daemon=True)
        self._process.start()
        theirs.close()  # so that the pipe ends when the process ends

    def hear(self) -> None:
        """Read one message, or notice that the process has died."""
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            if self._stopping:
                self.ended = Report(Ending.STOPPED, "stopped as you asked")
            elif self._starts < _STARTS:
                _LOG.warning("%s died (%s); starting it again", self.name, self._process.exitcode)
                self.begin()
            else:
                self.ended = _Failed(f"its process died {self._starts} times (exit code {self._process.exitcode})")
            return
        if isinstance(message, Report | _Failed):
            self.ended = message
            self.pipe.close()
            self._process.join()
        else:
            self.progress = cast(_P, message)

    def report(self) -> Report:
        """Return how the shard ended; only valid once it has ended."""
        assert self.ended is not None
        return Report(Ending.FAILING, self.ended.message) if isinstance(self.ended, _Failed) else self.ended

    def stop(self) -> None:
        """Ask the process to stop; calls in flight still finish."""
        self._stopping = True
        if self.ended is None:
            self._process.terminate()


class Watch(Generic[_P]):
    """Watches all shards during one invocation."""

    def __init__(self, shards: Sequence[Process[_P]], tell: Callable[["Watch[_P]"], object]) -> None:
        """Watch `shards`; `tell` is called with this object twice a second."""
        self.shards = shards
        self.started = time.monotonic()
        self.stopping = False
        self._tell = tell

    @property
    def seen(self) -> list[_P]:
        """Return the latest progress of each shard that has reported any."""
        return [shard.progress for shard in self.shards if shard.progress is not None]

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start of this invocation."""
        return time.monotonic() - self.started

    async def until_ended(self, join: Callable[[], Awaitable[None]], go_on: str) -> Report:
        """Wait until all shards have ended and return the worst ending; calls `join` from time to time."""
        joined, took = time.monotonic(), 0.0
        with stopping_on_signals(self._stop):
            while at_work := [shard for shard in self.shards if shard.ended is None]:
                ready = await asyncio.to_thread(wait, [shard.pipe for shard in at_work], _WAIT_S)
                for shard in at_work:
                    if shard.pipe in ready:
                        shard.hear()
                self._tell(self)
                if time.monotonic() - joined >= max(_JOIN_EVERY_S, _JOIN_SHARE * took):
                    since = time.monotonic()
                    await join()
                    joined = time.monotonic()
                    took = joined - since
        await join()
        return worst(((shard.name, shard.report()) for shard in self.shards), go_on)

    def _stop(self) -> None:
        self.stopping = True
        for shard in self.shards:
            shard.stop()


def begun_shards(
    configs: Iterable[_C], folder: Path, limit: int | None, play: Callable[[_C, Path, int | None, Connection], None]
) -> list[Process[Any]]:
    """Start a process for each of `configs`, with its share of the limit; `play` must be a module-level function."""
    parts = list(configs)
    return [
        Process(f"shard {part}/{len(parts)}", play, (one, folder_of(folder, part), share(limit, part, len(parts))))
        for part, one in enumerate(parts)
    ]


def work(pipe: Connection, play: Callable[[Callable[[Counted], None]], Report]) -> None:
    """Run `play` in a shard's process and report to the parent; stops when the parent is gone.

    Args:
        pipe: connection to the parent.
        play: plays the shard to its end; receives a function to call with its progress.
    """
    os.setpgrp()  # Ctrl-C goes to the parent, which asks us to stop
    threading.Thread(target=_stop_without, args=(pipe,), daemon=True).start()
    try:
        ended = _once_unlocked(lambda: play(_teller(pipe)))
        message: Report | _Failed = Report(ended.ending, ended.message, ended.go_on)
    except QuestwellError as error:
        message = _Failed(str(error))
    with suppress(OSError):
        pipe.send(message)


def _once_unlocked(play: Callable[[], Report]) -> Report:
    """Run `play`, waiting first if the shard of a killed parent still holds the folder to finish its calls."""
    until = time.monotonic() + _LOCKED_S
    while True:
        try:
            return play()
        except RunLocked:
            if time.monotonic() > until:
                raise
            time.sleep(_WAIT_S)


def _stop_without(pipe: Connection) -> None:
    """Stop this process cleanly once the other end of `pipe` closes; the parent never writes to it."""
    with suppress(EOFError, OSError):
        pipe.recv()
    os.kill(os.getpid(), signal.SIGTERM)


def _teller(pipe: Connection) -> Callable[[Counted], None]:
    told = 0.0

    def tell(progress: Counted) -> None:
        nonlocal told
        if time.monotonic() - told >= _WAIT_S / 2 or progress.done == progress.total:
            told = time.monotonic()
            with suppress(OSError):  # the parent is gone: we are about to stop
                pipe.send(progress)

    return tell
