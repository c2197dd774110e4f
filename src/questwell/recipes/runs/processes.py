"""One run over several processes on one machine: shards that share nothing, and a parent that watches them.

A shard is a run of its own in RUN/shards/003. The parent joins what the shards have into RUN/run.sqlite, every half
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
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
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
"""Folder of the shards, in the folder of the run."""
NO_OBJECTS = "--shards works in other processes, which cannot use your objects: name model and retriever"
_LOG = logging.getLogger(__name__)
_WAIT_S = 0.5
_JOIN_EVERY_S = 30.0
_JOIN_SHARE = 20
"""Minimum ratio of the time between two joins to the time that one takes."""
_LOCKED_S = 60.0
"""How long a shard waits for the process that writes its folder."""
_STARTS = 3
"""Number of times that a shard's process is started before it is given up."""


class Counted(Protocol):
    """A moment of a shard's work, which pickles."""

    @property
    def done(self) -> int:
        """Number of pieces that are done."""
        ...

    @property
    def total(self) -> int | None:
        """Number of all pieces; None when it is not known."""
        ...


_P = TypeVar("_P", bound=Counted)
_C = TypeVar("_C", bound=SpendingConfig)


def folders(folder: Path) -> list[Path]:
    """The shards of the run in `folder` that have begun, in order; none when it is not made of shards."""
    return [shard for shard in sorted((folder / FOLDER).glob("*")) if begun(shard)]


def folder_of(folder: Path, part: int) -> Path:
    """The folder of one shard of the run in `folder`."""
    return folder / FOLDER / f"{part:03d}"


def divided(config: _C, shards: int, at_once: int) -> Iterator[_C]:
    """What each of `shards` shards does: its part of the pieces, and of the limits and of what is `at_once`."""
    for part in range(shards):
        shares: dict[str, object] = {
            "shard": f"{part}/{shards}",
            "shards": None,
            "concurrency": math.ceil(at_once / shards),
            "max_cost": None if config.max_cost is None else config.max_cost / shards,
            "max_tokens": None if config.max_tokens is None else max(config.max_tokens // shards, 1),
        }
        yield config.model_copy(update=shares)


def share(limit: int | None, part: int, shards: int) -> int | None:
    """A shard's part of the pieces of this invocation; all parts together are the limit."""
    return None if limit is None else Shard(part, shards).size(limit)


async def join(store: RunStore, shards: Sequence[Path], config: SpendingConfig) -> None:
    """Bring `store` up to date with its shards.

    Raises:
        StoreError: one of them cannot be read.
    """
    await store.merge(shards)
    if (price := config.price) is not None:
        await store.price(price.input_usd, price.output_usd)


@dataclass(frozen=True, slots=True)
class _Failed:
    """A shard's process ended with an error."""

    message: str


class Process(Generic[_P]):
    """A shard, seen from the parent."""

    def __init__(self, name: str, target: Callable[..., None], arguments: tuple[object, ...]) -> None:
        """Start it.

        Args:
            name: in messages.
            target: what it does: a function of a module that calls `work`.
            arguments: of `target`; the pipe to the parent is added.
        """
        self.name = name
        self.progress: _P | None = None
        self.ended: Report | _Failed | None = None
        self._target, self._arguments = target, arguments
        self._starts = 0
        self._stopping = False
        self.begin()

    def begin(self) -> None:
        """Start its process, or start it again."""
        self._starts += 1
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=self._target, args=(*self._arguments, theirs), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe

    def hear(self) -> None:
        """Take a message, or notice that its process has died."""
        try:
            message = self.pipe.recv()
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
        if isinstance(message, Report | _Failed):
            self.ended = message
            self.pipe.close()
            self._process.join()
        else:
            self.progress = cast(_P, message)

    def report(self) -> Report:
        """How it ended, once it has."""
        assert self.ended is not None
        return Report(Ending.FAILING, self.ended.message) if isinstance(self.ended, _Failed) else self.ended

    def stop(self) -> None:
        """Let its calls in flight end."""
        self._stopping = True
        if self.ended is None:
            self._process.terminate()


class Watch(Generic[_P]):
    """One invocation over all shards."""

    def __init__(self, shards: Sequence[Process[_P]], tell: Callable[["Watch[_P]"], object]) -> None:
        """Watch `shards`; `tell` is called twice a second with this."""
        self.shards = shards
        self.started = time.monotonic()
        self.stopping = False
        self._tell = tell

    @property
    def seen(self) -> list[_P]:
        """The newest progress of each shard that has told one."""
        return [shard.progress for shard in self.shards if shard.progress is not None]

    @property
    def elapsed_s(self) -> float:
        """Since the start of this invocation."""
        return time.monotonic() - self.started

    async def until_ended(self, join: Callable[[], Awaitable[None]], go_on: str) -> Report:
        """The worst ending of a shard, when all have ended; what they have is joined by `join` now and then."""
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
    """A process for each of `configs`, each with its share of the limit; `play` is a function of a module."""
    parts = list(configs)
    return [
        Process(f"shard {part}/{len(parts)}", play, (one, folder_of(folder, part), share(limit, part, len(parts))))
        for part, one in enumerate(parts)
    ]


def work(pipe: Connection, play: Callable[[Callable[[Counted], None]], Report]) -> None:
    """What the process of a shard does: `play`, and tell the parent; it stops when the parent is gone.

    Args:
        pipe: to the parent.
        play: plays the shard to its end; is given what it must call with its progress.
    """
    os.setpgrp()  # Ctrl-C is for the parent, which asks us to stop
    threading.Thread(target=_stop_without, args=(pipe,), daemon=True).start()
    try:
        ended = _once_unlocked(lambda: play(_teller(pipe)))
        message: Report | _Failed = Report(ended.ending, ended.message, ended.go_on)
    except QuestwellError as error:
        message = _Failed(str(error))
    with suppress(OSError):
        pipe.send(message)


def _once_unlocked(play: Callable[[], Report]) -> Report:
    """What `play` gives; a shard of a parent that was killed may still be ending its calls, and is waited for."""
    until = time.monotonic() + _LOCKED_S
    while True:
        try:
            return play()
        except RunLocked:
            if time.monotonic() > until:
                raise
            time.sleep(_WAIT_S)


def _stop_without(pipe: Connection) -> None:
    """Stop this process cleanly once the other end of `pipe` is closed; the parent never writes to it."""
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
