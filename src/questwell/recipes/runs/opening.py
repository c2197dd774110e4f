"""Opens a run of any command, and makes sure that it never continues as a different run.

The order is: read the kind, refuse config changes, lock the folder. Then the caller opens its setup, which may build an
index or load a model. Then `Run.compare` checks the setup against what the run began with, and the caller saves. So we
refuse a changed config before anything is built, and a second process before it can write.
"""

import asyncio
import hashlib
import secrets
import shlex
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

from questwell.errors import ConfigChanged, ConfigError, StoreError
from questwell.recipes.runs import description
from questwell.recipes.runs.config import RecipeConfig, Values, differences, located, resolve, resolve_saved
from questwell.store.lock import RunLock
from questwell.store.passage_refs import Json
from questwell.store.records import ADAPTED, RunInfo
from questwell.version import __version__

_C = TypeVar("_C", bound=RecipeConfig)
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Kind(Generic[_C]):
    """What the runs of one command have in common."""

    name: str
    """Name of the command."""
    config: type[_C]
    may_change: Mapping[str, str]
    """Keys that a resume may change, with the reason why they change no result. Other changes are refused."""
    defaults: Callable[[Values], Values] = lambda given: {}
    """Returns defaults for a new run from the values the user gave."""


def configure(kind: Kind[_C], folder: Path | None, given: Values, *, resume: bool) -> _C:
    """Return the config of a run in `folder`: the values `given`, on top of the saved ones if the run exists.

    Args:
        kind: kind of the run.
        folder: folder of the run, which need not exist; None if there is no folder yet.
        given: values that the user gave.
        resume: whether an existing run may continue.

    Raises:
        ConfigError: an invalid key or value, an existing run without `resume`, or an existing run
            of another command.
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
    """A run that this process writes, from construction until `close`."""

    def __init__(self, kind: Kind[_C], config: _C, folder: Path, *, resume: bool, writes: bool = True) -> None:
        """Check that the run in `folder` may continue under `config`, and lock the folder, which need not exist.

        Args:
            kind: kind of the run.
            config: the config that `configure` returned.
            folder: folder of the run.
            resume: continue an existing run.
            writes: whether this process writes the run; False for the further ranks of a training run.

        Raises:
            ConfigChanged: the run was started with another config.
            ConfigError: the run exists without `resume`, or belongs to another command.
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
            raise StoreError(f"the run folder {str(folder)!r} cannot be created: {error.strerror}") from error
        self.lock = RunLock(folder / "run.lock")
        try:
            self.saved = self._check(resume=resume)  # another process may have written while we did not hold the lock
        except Exception:
            self.close()
            raise

    @property
    def go_on(self) -> str:
        """Return the command that resumes the run."""
        return f"questwell resume {shlex.quote(str(self.folder))}"

    def close(self) -> None:
        """Release the lock, and remove the folder if nothing was begun in it."""
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
        """Return the description to save, after checking that all that the run depends on is unchanged.

        Args:
            fingerprint: what a resume must match in addition to the config. Entries that an older version did not
                save take their current value.
            changes: further differences that the caller found, one sentence each.

        Raises:
            ConfigChanged: something differs; the message lists all differences.
        """
        config = _dump(self.config)
        if self.saved is None:
            created = datetime.now(UTC).isoformat(timespec="seconds")
            return RunInfo(secrets.token_hex(5), created, __version__, config, dict(fingerprint), self.kind.name)
        adapted = {key: value for key, value in self.saved.fingerprint.items() if key.startswith(ADAPTED)}
        fingerprint = {**fingerprint, **adapted}  # learned from the endpoint's refusals, so they may differ
        known = {**fingerprint, **self.saved.fingerprint}
        found = [*map(str, differences(known, fingerprint)), *changes]
        if found:
            raise _changed(self.folder, found, self.kind)
        return replace(self.saved, config=config, fingerprint=dict(fingerprint), kind=self.kind.name)

    def write(self, info: RunInfo) -> None:
        """Save the result of `compare`, for a command that works in steps; only the writing process does anything."""
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
    """External resources of a run, such as models, corpus and trainer."""

    def aclose(self) -> Awaitable[object]:
        """Release the resources."""
        ...


def work(setup: Setup, invocation: Callable[[], Coroutine[None, None, _R]]) -> _R:
    """Run `invocation` in an event loop of its own, close `setup` afterwards, and return the result.

    The caller opens the setup before, outside the loop: it may take long, and Ctrl-C can then end it.
    """

    async def whole() -> _R:
        async with aclosing(setup):
            return await invocation()

    return asyncio.run(whole())


def digest(parts: Iterable[str]) -> str:
    """Return the first 16 hex digits of a SHA-256 over texts. Fingerprints use it to identify data."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode(errors="surrogatepass") + b"\0")
    return whole.hexdigest()[:16]


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
