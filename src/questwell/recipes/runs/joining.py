"""Joins the runs that `--shard 0/8` to `--shard 7/8` of one command made into one run."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar, cast

from questwell.errors import ConfigChanged, ConfigError
from questwell.games.seeds import parse_shard
from questwell.recipes.runs.config import differences, resolve_saved
from questwell.recipes.runs.description import config_of, info_of
from questwell.recipes.runs.opening import Kind, Run
from questwell.recipes.runs.processes import folders, join
from questwell.recipes.runs.spending import SpendingConfig
from questwell.store.passage_refs import Json
from questwell.store.reader import RunReader
from questwell.store.records import ADAPTED, RunInfo
from questwell.store.run import RunStore

_C = TypeVar("_C", bound=SpendingConfig)


@dataclass(frozen=True, slots=True)
class Parts(Generic[_C]):
    """What is needed to join the runs of one command."""

    kind: Kind[_C]
    may_differ: Iterable[str]
    """Keys whose values may differ between parts of one run."""
    refuse_gaps: Callable[[Mapping[int, Path], int], object]
    """Called with the parts by number and their total; raises if they leave something out."""
    size: Callable[[RunReader], int]
    """Returns the number of pieces of a run."""


def merge_parts(parts: Parts[_C], folder: Path, sources: Sequence[Path]) -> int:
    """Join `sources` into a new run in `folder`, or update the run of `--shards` that is there.

    Args:
        parts: what is needed to join the runs of this command.
        folder: folder of the joined run.
        sources: all shards of one run, in any order; none for a run of `--shards`, which knows its own.

    Returns:
        The number of pieces in the joined run.

    Raises:
        ConfigChanged: the sources are not shards of one run.
        ConfigError: a shard is missing or given twice, or `folder` holds another run.
        StoreError: a source cannot be read.
        RunLocked: another process writes one of them.
    """
    if not sources:
        return _update(parts, folder)
    infos = [_migrated(parts.kind, source) for source in sources]
    info = _joined(parts, folder, sources, infos)
    config = resolve_saved(parts.kind.config, info)
    with Run(parts.kind, config, folder, resume=False) as opened, RunStore(folder, opened.lock) as store:

        async def whole() -> int:
            await store.begin(info)
            await store.merge(sources)
            return parts.size(store.read)

        return asyncio.run(whole())


def _update(parts: Parts[_C], folder: Path) -> int:
    if not (found := folders(folder)):
        raise ConfigError(f"{str(folder)!r} is not a run of --shards: name the runs to join, merge OUT SHARD SHARD ...")
    with RunReader(folder) as run:
        config = resolve_saved(parts.kind.config, info_of(run, parts.kind.name))
    with RunStore(folder) as store:
        asyncio.run(join(store, found, config))
        return parts.size(store.read)


def _migrated(kind: Kind[_C], source: Path) -> RunInfo:
    """Migrate a source's file to the newest version while holding its lock, and return its description."""
    with RunReader(source):  # so that no folder is made where there is no run
        pass
    with RunStore(source) as store:
        return info_of(store.read, kind.name)


def _joined(parts: Parts[_C], folder: Path, sources: Sequence[Path], infos: Sequence[RunInfo]) -> RunInfo:
    """Return the description of the joined run, after checking that the sources are all its parts, without gaps."""
    first, wholes = infos[0], [_whole(info) for info in infos]
    for source, info, whole in zip(sources, infos, wholes, strict=True):
        found = [*map(str, differences(wholes[0], whole, parts.may_differ))]
        found += map(str, differences(_asked(first), _asked(info)))
        if found:
            raise ConfigChanged(f"{str(source)!r} is not a shard of the run in {str(sources[0])!r}: {'; '.join(found)}")
    parts.refuse_gaps(*_by_number(sources, infos))
    created = min(info.created for info in infos)
    return replace(first, created=created, config=cast(Json, wholes[0]), fingerprint=_asked(first))


def _whole(info: RunInfo) -> dict[str, Json]:
    return {**cast(dict[str, Json], info.config), "shard": None}


def _asked(info: RunInfo) -> dict[str, str]:
    """Return the fingerprint without the learned endpoint changes, which are stored separately."""
    return {key: value for key, value in info.fingerprint.items() if not key.startswith(ADAPTED)}


def _by_number(sources: Sequence[Path], infos: Sequence[RunInfo]) -> tuple[Mapping[int, Path], int]:
    """Return each part by its number, and the number of parts; checks that each is there exactly once."""
    found: dict[int, Path] = {}
    of = 0
    for source, info in zip(sources, infos, strict=True):
        named = config_of(info).get("shard")
        if not isinstance(named, str):
            raise ConfigError(f"{str(source)!r} was not made with --shard, so it is not a part of a run")
        shard = parse_shard(named)
        if of not in (0, shard.of):
            raise ConfigError(f"{str(source)!r} is a part of {shard.of}, the others are parts of {of}")
        if shard.part in found:
            raise ConfigError(f"{str(source)!r} and {str(found[shard.part])!r} are the same shard, {named}")
        found[shard.part], of = source, shard.of
    if missing := [f"{part}/{of}" for part in range(of) if part not in found]:
        raise ConfigError(f"shards are missing: {', '.join(missing)}")
    return found, of
