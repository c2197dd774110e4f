"""Joins the runs of `--shard 0/8` to `--shard 7/8`, wherever they were played, into one run."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from questwell.errors import ConfigChanged, ConfigError, StoreError
from questwell.games.seeds import Shard, parse_shard
from questwell.recipes.generate import shards
from questwell.recipes.generate.config import MAY_CHANGE, Config
from questwell.recipes.generate.loop import KIND
from questwell.recipes.runs.config import differences, resolve_saved
from questwell.recipes.runs.opening import Run, info_of
from questwell.store.passage_refs import Json
from questwell.store.reader import RunReader
from questwell.store.records import ADAPTED, RunInfo
from questwell.store.run import RunStore


def merge(folder: Path, sources: Sequence[Path]) -> int:
    """Join `sources` into a new run in `folder`, or bring a run of `--shards` that is there up to date.

    Args:
        folder: of the joined run.
        sources: all shards of one run, in any order; none for a run of `--shards`, which knows its own.

    Returns:
        The number of seeds in the joined run.

    Raises:
        ConfigChanged: the sources are not shards of one run.
        ConfigError: a shard is missing or given twice, or `folder` holds another run.
        StoreError: a source cannot be read.
        RunLocked: another process writes one of them.
    """
    if not sources:
        return _update(folder)
    infos = [_migrated(source) for source in sources]
    info = _joined(folder, sources, infos)
    with Run(KIND, resolve_saved(Config, info), folder, resume=False) as opened, RunStore(folder, opened.lock) as store:
        return asyncio.run(_join(store, info, sources))


async def _join(store: RunStore, info: RunInfo, sources: Sequence[Path]) -> int:
    await store.begin(info)
    await store.merge(sources)
    return store.read.drawn()


def _update(folder: Path) -> int:
    if not (found := shards.folders(folder)):
        raise ConfigError(f"{str(folder)!r} is no run of --shards: name the runs to join, merge OUT SHARD SHARD ...")
    with RunReader(folder) as run:
        config = resolve_saved(Config, info_of(run, KIND.name))
    with RunStore(folder) as store:
        asyncio.run(shards.join(store, found, config))
        return store.read.drawn()


def _migrated(source: Path) -> RunInfo:
    """What a source is, after its file was brought to the newest version; no other process writes it."""
    with RunReader(source):  # so that no folder is made where there is no run
        pass
    with RunStore(source) as store:
        return info_of(store.read, KIND.name)


def _joined(folder: Path, sources: Sequence[Path], infos: Sequence[RunInfo]) -> RunInfo:
    """What the joined run is, if the sources are all parts of it and leave no gap."""
    first, wholes = infos[0], [_whole(info) for info in infos]
    for source, info, whole in zip(sources, infos, wholes, strict=True):
        found = [*map(str, differences(wholes[0], whole, MAY_CHANGE))]
        found += map(str, differences(_asked(first), _asked(info)))
        if found:
            raise ConfigChanged(f"{str(source)!r} is no shard of the run of {str(sources[0])!r}: {'; '.join(found)}")
    _refuse_gaps(sources, infos)
    created = min(info.created for info in infos)
    return replace(first, created=created, config=cast(Json, wholes[0]), fingerprint=_asked(first))


def _whole(info: RunInfo) -> dict[str, Json]:
    return {**cast(dict[str, Json], info.config), "shard": None}


def _asked(info: RunInfo) -> dict[str, str]:
    """The fingerprint without what was learnt about endpoints, which the file stores separately."""
    return {key: value for key, value in info.fingerprint.items() if not key.startswith(ADAPTED)}


def _refuse_gaps(sources: Sequence[Path], infos: Sequence[RunInfo]) -> None:
    """Make sure that each part is there once, and that the seeds drawn have no gap, so that the run can go on."""
    parts: dict[int, Path] = {}
    of = 0
    for source, info in zip(sources, infos, strict=True):
        named = resolve_saved(Config, info).shard
        if named is None:
            raise ConfigError(f"{str(source)!r} was not made with --shard, so it is no part of a run")
        shard = parse_shard(named)
        if of not in (0, shard.of):
            raise ConfigError(f"{str(source)!r} is a part of {shard.of}, the others are parts of {of}")
        if shard.part in parts:
            raise ConfigError(f"{str(source)!r} and {str(parts[shard.part])!r} are the same shard, {named}")
        parts[shard.part], of = source, shard.of
    if missing := [f"{part}/{of}" for part in range(of) if part not in parts]:
        raise ConfigError(f"shards are missing: {', '.join(missing)}")
    drawn: dict[int, int] = {}
    for part, source in parts.items():
        with RunReader(source) as run:
            drawn[part] = run.drawn()
    seeds = sum(drawn.values())
    for part, source in parts.items():
        if drawn[part] < Shard(part, of).size(seeds):
            raise StoreError(
                f"{str(source)!r} has drawn only {drawn[part]} seeds, fewer than the others: "
                f"finish it first (questwell resume {source})"
            )
