"""Builds the frozen config of a recipe from preset, TOML file and flags, and compares two configs."""

import difflib
import logging
import os
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from questwell.errors import ConfigError, StoreError
from questwell.store.passage_refs import Json
from questwell.store.records import RunInfo
from questwell.text.files import read_text
from questwell.version import __version__

Values = Mapping[str, object]
"""Unchecked config values by key."""
_LOG = logging.getLogger("questwell")


@dataclass(frozen=True, slots=True)
class Renamed:
    """The new name of a key that an older version named differently."""

    key: str
    """Its current name."""
    values: Mapping[object, object] = field(default_factory=dict[object, object])
    """Maps old values that are now written differently to new ones; other values stay unchanged."""


@dataclass(frozen=True, slots=True)
class MayBePath:
    """Marks a text (in `Annotated`) that may name a file. Its full path is saved, so a run resumes from any folder."""

    names: tuple[str, ...] = ()
    """Texts that are never file names."""
    after: str = ""
    """Separator before the path: `=` for `NAME=FILE`."""

    def full(self, text: str) -> str:
        """Return `text` with its path made absolute, if it names an existing file."""
        head, between, path = text.rpartition(self.after) if self.after else ("", "", text)
        plain = Path(*(part for part in Path(path).parts if "*" not in part)).expanduser()  # a pattern's own folder
        if text in self.names or not path or not plain.exists():
            return text
        return f"{head}{between}{os.path.abspath(Path(path).expanduser())}"


class RecipeConfig(BaseModel):
    """Base of each recipe's config: frozen, rejects unknown keys, and documents each field in the line below it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )
    renamed: ClassVar[Mapping[str, Renamed]] = {}
    """Renamed keys of older versions. Saved runs still open with them, and a user who gives one learns the new name."""
    dropped: ClassVar[Collection[str]] = ()
    """Keys of older versions that no longer have an effect; saved runs open without them."""
    refused: ClassVar[Mapping[str, str]] = {}
    """Keys that other commands have, with the reason why this one does not and what to do instead."""
    older: ClassVar[Values] = {}
    """Values for keys that older versions did not have, so that a saved run continues unchanged."""

    @classmethod
    def renames(cls) -> Mapping[str, Renamed]:
        """Return `renamed` of this config and of its base classes."""
        found: dict[str, Renamed] = {}
        for base in reversed(cls.__mro__):
            found.update(base.__dict__.get("renamed", {}))
        return found


_C = TypeVar("_C", bound=RecipeConfig)


@dataclass(frozen=True, slots=True)
class Change:
    """A key whose value differs between two configs."""

    key: str
    old: Json
    new: Json

    def __str__(self) -> str:
        return f"{self.key}: {self.old!r} -> {self.new!r}"


def read_toml(path: Path) -> Values:
    """Read the keys of a TOML file; `max-cost` and `max_cost` are the same key.

    Raises:
        ConfigError: the file is not TOML, or has a key in two spellings.
    """
    try:
        values = tomllib.loads(read_text(path, ConfigError))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the config file {str(path)!r} is not TOML: {error}") from error
    return one_spelling(path, values)


def one_spelling(path: Path, values: Values) -> Values:
    """Return `values` with `-` in keys replaced by `_`; raises ConfigError if two keys become the same."""
    found: dict[str, object] = {}
    for written, value in values.items():
        key = written.replace("-", "_")
        if key in found:
            raise ConfigError(f"{path}: {key.replace('_', '-')} and {key} are the same key: keep only one of them")
        found[key] = value
    return found


def resolve(config: type[_C], *layers: Values) -> _C:
    """Build a config from `layers`; a later layer overrides an earlier one.

    Raises:
        ConfigError: an unknown key (names the nearest known one), or an invalid value. Lists all problems at once.
    """
    values: dict[str, object] = {}
    for layer in layers:
        values.update({key: _none_or(config, key, value) for key, value in layer.items()})
    try:
        return config.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(_problem(problem, config) for problem in error.errors())) from None


def resolve_saved(config: type[_C], run: RunInfo, *layers: Values) -> _C:
    """Return the config of a saved run with `layers` on top. Logs each saved key that has been renamed since.

    Raises:
        ConfigError: `layers` has an unknown key or an invalid value.
        StoreError: this version cannot read the saved config.
    """
    kept, notes = read_renamed(config, {**config.older, **cast(Values, run.config)})
    _log_once(run.run_id, notes)
    try:
        resolve(config, kept)
    except ConfigError as error:
        raise StoreError(
            f"run {run.run_id} has saved a config (of Questwell {run.questwell}) that this version ({__version__}) "
            f"cannot read: {error}; continue with the version that made it, or start a new run"
        ) from None
    return resolve(config, kept, *layers)


def read_renamed(config: type[RecipeConfig], saved: Values) -> tuple[Values, tuple[str, ...]]:
    """Return `saved` under the current key names, and a message for each renamed key."""
    kept: dict[str, object] = {}
    notes: list[str] = []
    for key, value in saved.items():
        now = config.renames().get(key)
        if key in config.dropped:
            continue
        if now is None or key in config.model_fields:
            kept[key] = value
        else:
            kept[now.key] = now.values.get(value, value)
            notes.append(f"{key} is called {now.key} now")
    return kept, tuple(notes)


def located(config: RecipeConfig) -> dict[str, Json]:
    """Return all keys and values as JSON with absolute paths, so that the working folder does not matter."""
    dumped = cast(dict[str, Json], config.model_dump(mode="json"))
    for key, field_ in type(config).model_fields.items():
        value = getattr(config, key)
        marks = [mark for mark in field_.metadata if isinstance(mark, MayBePath)]
        if marks and isinstance(value, str | Path):
            dumped[key] = marks[0].full(str(value))
        elif marks and isinstance(value, tuple):
            dumped[key] = [marks[0].full(str(one)) for one in cast(tuple[object, ...], value)]
        elif isinstance(value, Path):
            dumped[key] = os.path.abspath(value.expanduser())
    return dumped


def differences(old: Mapping[str, Json], new: Mapping[str, Json], ignored: Iterable[str] = ()) -> tuple[Change, ...]:
    """Return the keys whose values differ, sorted, without those in `ignored`."""
    keys = dict.fromkeys((*old, *new))
    changes = (Change(key, old.get(key), new.get(key)) for key in keys if key not in set(ignored))
    return tuple(change for change in changes if change.old != change.new)


def settle(config: RecipeConfig, key: str, value: object) -> None:
    """Set a default that depends on other keys while `config` is built; the key still counts as not given."""
    cast(dict[str, object], config.__dict__)[key] = value


def settle_unset(config: RecipeConfig, defaults: Mapping[str, object]) -> None:
    """Call `settle` for each key of `defaults` that was not given or is None."""
    for key, value in defaults.items():
        if key not in config.model_fields_set or getattr(config, key) is None:
            settle(config, key, value)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` if `word` resembles one of `known`, else an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


@cache
def _log_once(run_id: str, notes: tuple[str, ...]) -> None:
    if notes:
        _LOG.warning("run %s was saved by an older version: %s", run_id, ", ".join(notes))


def _none_or(config: type[RecipeConfig], key: str, value: object) -> object:
    """Return `value`, with `none` turned into None for optional keys: this removes a limit on a resume."""
    if value == "none" and key in config.model_fields and config.model_fields[key].default is None:
        return None
    return value


def _problem(problem: ErrorDetails, config: type[RecipeConfig]) -> str:
    key = str(problem["loc"][0]) if problem["loc"] else "config"
    if len(problem["loc"]) > 1 and problem["type"] == "extra_forbidden":
        return f"unknown key {'.'.join(map(str, problem['loc']))!r}"
    if problem["type"] == "extra_forbidden":
        if (now := config.renames().get(key)) is not None:
            return f"{key} is called {now.key} now ({_flag(now.key)})"
        if (why := config.refused.get(key)) is not None:
            return f"{_flag(key)}: {why}"
        return f"unknown key {key!r}{nearest(key, config.model_fields)}"
    if problem["type"] == "missing":
        return f"{key} is missing: say {_flag(key)}"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if key == "config" or message.startswith(key):
        return message
    return f"{key} = {problem['input']!r} ({_flag(key)}): {message}"


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"
