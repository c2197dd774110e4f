"""What `gates` and `rejudge` share: the questions of a run as pieces of work, in one process or divided among several.

A part holds the questions of the seeds whose number leaves its own when it is divided by the number of parts. Which
those are never changes, also when the run goes on meanwhile, so no question moves from one part to another.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self, TypeVar

from pydantic import Field, field_validator, model_validator

from questwell.errors import ConfigError
from questwell.games.seeds import Shard
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.parts import checked_shard, part_of, refuse_both
from questwell.recipes.runs.processes import Watch, begun_shards, divided, folders, join
from questwell.recipes.runs.spending import SpendingConfig
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus
from questwell.store.run import RunStore

OnProgress = Callable[[int, int], None]
"""Called with the number of questions that are done, and of all."""


class CheckConfig(SpendingConfig):
    """Which questions of a run are checked, and where."""

    of: Path | None = None
    """Run whose questions are checked."""
    rejected: bool = False
    """Also check the last question of each rejected play."""
    shard: str | None = None
    """Check only a part of the questions: 0/8 is the first of eight parts, 7/8 the last; questwell merge joins them."""
    shards: int | None = Field(default=None, ge=2, le=256)
    """Number of processes that share the check; each checks its part of the questions in a folder of its own below
    --out."""

    @field_validator("shard")
    @classmethod
    def _shard(cls, shard: str | None) -> str | None:
        return checked_shard(shard)

    @model_validator(mode="after")
    def _one_part_or_all(self) -> Self:
        refuse_both(self.shard, self.shards)
        return self

    @property
    def part(self) -> Shard:
        """The questions that are checked, by the numbers of their seeds."""
        return part_of(self.shard)


_C = TypeVar("_C", bound=CheckConfig)


@dataclass(frozen=True, slots=True)
class Pieces:
    """Where a shard of a check stands."""

    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question to check, without its story: that is read when its turn comes."""

    index: int
    """Number of its seed."""
    id: str
    accepted: bool
    """Whether the run accepted it; False for a duplicate too."""
    question: str
    answer: str


def wanted(run: RunReader, config: CheckConfig) -> list[Wanted]:
    """The questions of `run` that `config` asks for, in the order of seeds."""
    return [
        Wanted(play.index, play.seed_id, play.status is PlayStatus.ACCEPTED, play.question, play.answer or "")
        for play in run.each_play()
        if play.question is not None
        and (play.status is PlayStatus.ACCEPTED or (config.rejected and play.status is PlayStatus.REJECTED))
        and config.part.holds(play.index)
    ]


def refuse_shared_folder(config: CheckConfig, out: Path | None) -> None:
    """Raise ConfigError when a part would be kept in the folder of the whole."""
    if config.shard is not None and out is None:
        raise ConfigError(
            f"--shard {config.shard} is one part of several: name a folder of its own (--out), and join all parts with "
            "questwell merge"
        )


def check_apart(
    opened: Run[_C],
    store: RunStore,
    at_once: int,
    questions: int,
    *,
    limit: int | None,
    check: Callable[[_C, Path, int | None, Connection], None],
    keep: Callable[[Sequence[Path]], None],
    on_progress: OnProgress,
) -> Report:
    """Check the questions in as many processes as the config says; how that ended.

    Args:
        opened: the check.
        store: its file, begun.
        at_once: questions in work at once, in all processes together.
        questions: their number.
        limit: most questions of this invocation.
        check: what the process of a shard does, a function of a module.
        keep: brings the results up to date with those in the shards' folders.
        on_progress: called twice a second.
    """
    config, folder = opened.config, opened.folder
    assert config.shards is not None

    def tell(watch: Watch[Pieces]) -> None:
        on_progress(sum(one.done for one in watch.seen), questions)

    async def joined() -> None:
        found = folders(folder)
        await join(store, found, config)
        keep(found)

    watch = Watch[Pieces](begun_shards(divided(config, config.shards, at_once), folder, limit, check), tell)
    ended = asyncio.run(watch.until_ended(joined, opened.go_on))
    tell(watch)
    return ended
