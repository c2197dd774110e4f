"""How a run of any verb is opened, so that no run ever goes on as something that it was not.

In this order: read the kind, refuse changes of the config, lock the folder; then the caller opens its setup, which may
build an index or warm a model up; `Run.compare` then holds the setup against what the run began with, and the caller
saves. So a change is refused before anything is made, and a second process before it can do harm.
"""

import asyncio
import hashlib
import secrets
import shlex
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar, cast

from questwell.errors import ConfigChanged, ConfigError, StoreError
from questwell.recipes.runs import description
from questwell.recipes.runs.config import RecipeConfig, Values, differences, located, resolve, resolve_saved
from questwell.store.lock import RunLock
from questwell.store.passage_refs import Json
from questwell.store.reader import RunReader
from questwell.store.records import ADAPTED, RunInfo
from questwell.version import __version__

_C = TypeVar("_C", bound=RecipeConfig)
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Kind(Generic[_C]):
    """What the runs of one verb have in common."""

    name: str
    """The verb."""
    config: type[_C]
    may_change: Mapping[str, str]
    """Keys that a resume may give another value, and why: they change no result. Any other change is refused."""
    defaults: Callable[[Values], Values] = lambda given: {}
    """Under what is given to a new run."""


def configure(kind: Kind[_C], folder: Path | None, given: Values, *, resume: bool) -> _C:
    """The config of a run in `folder`: what is `given`, over what the run has saved if there is one.

    Args:
        kind: of the run.
        folder: of the run; it need not exist. None: of no run yet.
        given: by the user.
        resume: whether a run that is there may go on.

    Raises:
        ConfigError: a key or a value that cannot be, a run that is there though `resume` is not asked for, or a run
            of another verb.
    """
    saved = None if folder is None else _saved(kind, folder, resume=resume)
    if saved is None:
        try:
            return resolve(kind.config, kind.defaults(given), given)
        except ConfigError as error:
            if not resume or folder is None:
                raise
            raise ConfigError(f"there is no run in {str(folder)!r} to continue, and to start one: {error}") from error
    return resolve_saved(kind.config, saved, given)


class Run(Generic[_C]):
    """A run that this process writes, from construction to `close`."""

    def __init__(self, kind: Kind[_C], config: _C, folder: Path, *, resume: bool, writes: bool = True) -> None:
        """Make sure that the run in `folder` may go on under `config`, and lock the folder, which need not exist.

        Args:
            kind: of the run.
            config: from `configure`.
            folder: of the run.
            resume: go on with the run that is there, if any.
            writes: whether this process is the one that writes; a further rank of a training run is not.

        Raises:
            ConfigChanged: the run was started with another config.
            ConfigError: there is a run though `resume` is not asked for, or one of another verb.
            RunLocked: another process is writing it.
            StoreError: the folder cannot be written.
        """
        self.kind = kind
        self.config = config
        self.folder = folder
        self.saved = self._check(resume=resume)
        self.lock: RunLock | None = None
        if not writes:
            return
        self._made = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the run folder {str(folder)!r} cannot be made: {error.strerror}") from error
        self.lock = RunLock(folder / "run.lock")
        try:
            self.saved = self._check(resume=resume)  # another process may have written while we did not hold the lock
        except Exception:
            self.close()
            raise

    @property
    def go_on(self) -> str:
        """The command that continues the run."""
        return f"questwell resume {shlex.quote(str(self.folder))}"

    def close(self) -> None:
        """Let others write; a folder in which nothing was begun does not stay."""
        if self.lock is not None:
            if self._made and [entry.name for entry in self.folder.iterdir()] == [self.lock.path.name]:
                self.lock.path.unlink()
                self.folder.rmdir()
            self.lock.release()
            self.lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def compare(self, fingerprint: Mapping[str, str], changes: Sequence[str] = ()) -> RunInfo:
        """What is to be saved of the run, if all that it depends on is what it was.

        Args:
            fingerprint: what must be the same on a resume, next to the config. Entries that an older version did not
                save are taken as they are now.
            changes: further differences that the caller has found, a sentence each.

        Raises:
            ConfigChanged: something differs; names all of it.
        """
        config = _dump(self.config)
        if self.saved is None:
            created = datetime.now(UTC).isoformat(timespec="seconds")
            return RunInfo(secrets.token_hex(5), created, __version__, config, dict(fingerprint), self.kind.name)
        adapted = {key: value for key, value in self.saved.fingerprint.items() if key.startswith(ADAPTED)}
        fingerprint = {**fingerprint, **adapted}  # an endpoint's manners are learnt, not asked for
        known = {**fingerprint, **self.saved.fingerprint}
        found = [*map(str, differences(known, fingerprint)), *changes]
        if found:
            raise _changed(self.folder, found, self.kind)
        return replace(self.saved, config=config, fingerprint=dict(fingerprint), kind=self.kind.name)

    def write(self, info: RunInfo) -> None:
        """Save what `compare` gave, for a verb that goes by steps; does nothing in a process that does not write."""
        if self.lock is not None:
            description.write(self.folder, info)

    def _check(self, *, resume: bool) -> RunInfo | None:
        saved = _saved(self.kind, self.folder, resume=resume)
        if saved is not None:
            before = _dump(resolve_saved(self.kind.config, saved))
            if changes := differences(before, _dump(self.config), self.kind.may_change):
                raise _changed(self.folder, list(map(str, changes)), self.kind)
        return saved


class Setup(Protocol):
    """What a run gets from outside: models, corpus, trainer."""

    def aclose(self) -> Awaitable[object]:
        """Release it."""
        ...


def work(setup: Setup, invocation: Callable[[], Coroutine[None, None, _R]]) -> _R:
    """What an `invocation` of a run gives, from the start to the end of its event loop; `setup` is closed after it.

    Whoever opens the setup does so before, outside the loop: it may take long, and Ctrl-C then ends it.
    """

    async def whole() -> _R:
        async with aclosing(setup):
            return await invocation()

    return asyncio.run(whole())


def digest(*parts: str) -> str:
    """First 16 hex digits of the SHA-256 over texts: what a run learns from or is measured on, in a fingerprint."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode(errors="surrogatepass") + b"\0")
    return whole.hexdigest()[:16]


PLAYED = ("generate", "harden", "recheck")
"""Verbs whose runs hold plays: seeds with rounds, verdicts and items."""


def info_of(run: RunReader, *kinds: str) -> RunInfo:
    """What the run is; StoreError when it was killed before it had saved that, or is of none of `kinds` (`PLAYED`)."""
    info = description.of(run)
    if info is None:
        raise StoreError(
            f"the run in {str(run.folder)!r} was killed before it had started; start it again with --resume"
        )
    kinds = kinds or PLAYED
    if info.kind not in kinds:
        wanted = " or ".join(kinds)
        raise StoreError(
            f"{str(run.folder)!r} contains a run of {info.kind}, not of {wanted}; questwell status reads it"
        )
    return info


def kind_of(folder: Path) -> str:
    """The verb that made the run in `folder`.

    Raises:
        StoreError: there is no run, or it was killed before it had started.
    """
    info = description.read(folder)
    if info is None:
        with RunReader(folder) as run:  # says what is missing
            return info_of(run).kind
    return info.kind


def config_of(info: RunInfo) -> Mapping[str, object]:
    """The saved config."""
    return cast(Mapping[str, object], info.config)


def _saved(kind: Kind[_C], folder: Path, *, resume: bool) -> RunInfo | None:
    saved = description.read(folder)
    if saved is None:
        return None
    if saved.kind != kind.name:
        raise ConfigError(f"{str(folder)!r} contains a run of {saved.kind}, not of {kind.name}; name another --out")
    if not resume:
        raise ConfigError(f"{str(folder)!r} already contains a run; continue it with --resume, or choose another --out")
    return saved


def _changed(folder: Path, changes: Sequence[str], kind: Kind[_C]) -> ConfigChanged:
    return ConfigChanged(
        f"the run in {str(folder)!r} was started with other settings (the run's -> yours): {'; '.join(changes)}. Use "
        f"the run's settings, or start a new run with another --out; only these keys may change: "
        f"{', '.join(kind.may_change)}"
    )


def _dump(config: RecipeConfig) -> dict[str, Json]:
    return located(config)
