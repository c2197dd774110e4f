"""A run in parts: the keys `shard` and `shards`, and the invocation that plays all parts in processes of their own."""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from questwell.errors import ConfigError
from questwell.games.seeds import WHOLE, Shard, parse_shard
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.processes import Counted, Watch, begun_shards, folders, join
from questwell.recipes.runs.spending import SpendingConfig
from questwell.store.run import RunStore

_P = TypeVar("_P", bound=Counted)
_T = TypeVar("_T")

_ONLY_GENERATE = (
    "Ray places the plays of generate only. Here --shards divides the work among processes of this machine; for "
    "several machines give --shard 0/2 on the first and --shard 1/2 on the second, and join the runs with questwell "
    "merge"
)


class PartsConfig(SpendingConfig):
    """Config keys that divide a run."""

    refused: ClassVar[Mapping[str, str]] = {"engine": _ONLY_GENERATE, "players": _ONLY_GENERATE}

    shard: str | None = None
    """Do only a part of the run: 0/8 is the first of eight parts, 7/8 the last; questwell merge joins them."""
    shards: int | None = Field(default=None, ge=2, le=256)
    """Number of processes that share the run; each does its part in a folder of its own below --out."""

    @field_validator("shard")
    @classmethod
    def _shard(cls, shard: str | None) -> str | None:
        try:
            _part_of(shard)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return shard

    @model_validator(mode="after")
    def _one_part_or_all(self) -> Self:
        if self.shard is not None and self.shards is not None:
            raise ValueError("--shard is one part of a run, --shards plays all parts: give only one of them")
        return self

    @property
    def part(self) -> Shard:
        """The part of the seeds or questions that this run plays, by their position."""
        return _part_of(self.shard)


_C = TypeVar("_C", bound=PartsConfig)


def divided(config: _C, at_once: int) -> Iterator[_C]:
    """Yield the config of each shard of a run, with its part of the pieces, the limits and the concurrency."""
    shards = config.shards
    assert shards is not None
    for part in range(shards):
        shares: dict[str, object] = {
            "shard": f"{part}/{shards}",
            "shards": None,
            "concurrency": math.ceil(at_once / shards),
            "max_cost": None if config.max_cost is None else config.max_cost / shards,
            "max_tokens": None if config.max_tokens is None else max(config.max_tokens // shards, 1),
        }
        yield config.model_copy(update=shares)


def refuse_objects(caller: Caller[Any], where: str = "--shards works in other processes, which cannot use") -> None:
    """Raise ConfigError if the caller's own objects would have to play in another process."""
    if caller.lent.llms or caller.lent.retriever:
        raise ConfigError(f"{where} your objects: name model and retriever")


def play_apart(
    opened: Run[_C],
    store: RunStore,
    at_once: int,
    limit: int | None,
    play: Callable[[_C, Path, int | None, Connection], None],
    tell: Callable[[Watch[_P]], _T],
    keep: Callable[[Sequence[Path]], object] = len,
) -> tuple[Report, _T]:
    """Play all parts of a run in `config.shards` processes; return how they ended, and what `tell` said last.

    Limits on money and tokens, the limit of this invocation and the concurrency are divided among the processes.

    Args:
        opened: the run.
        store: its run file, already begun.
        at_once: maximum number of pieces at the same time, over all processes.
        limit: maximum number of pieces in this invocation.
        play: runs in each process; must be a module-level function.
        tell: called twice a second, and at the end.
        keep: called with the folders of the parts each time they are joined.
    """
    config, folder = opened.config, opened.folder

    async def joined() -> None:
        found = folders(folder)
        await join(store, found, config)
        keep(found)

    watch = Watch[_P](begun_shards(divided(config, at_once), folder, limit, play), tell)
    ended = asyncio.run(watch.until_ended(joined, opened.go_on))
    return ended, tell(watch)


def _part_of(shard: str | None) -> Shard:
    return WHOLE if shard is None else parse_shard(shard)
