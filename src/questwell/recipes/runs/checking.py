"""Shared by `gates` and `rejudge`: checks the questions of a run, in one process or split over several.

Part i of n has the questions whose seed number is i modulo n. So no question moves to another part, even if the run
continues in the meantime.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
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
"""Called with the number of questions that are done and the total number."""


class CheckConfig(SpendingConfig):
    """Config keys that select which questions of a run are checked, and where."""

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
        """The part of the questions to check, by seed number."""
        return part_of(self.shard)


_C = TypeVar("_C", bound=CheckConfig)


def accept_gaps(parts: Mapping[int, Path], of: int) -> None:
    """Accept parts with questions left: resuming the joined check also does those."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Progress of one shard of a check."""

    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question to check. Its record is read only when the check reaches it."""

    index: int
    """Number of its seed."""
    id: str
    accepted: bool
    """Whether the run accepted it; also False for a duplicate."""
    question: str
    answer: str


def wanted(run: RunReader, config: CheckConfig) -> list[Wanted]:
    """Return the questions of `run` that `config` selects, in the order of their seeds."""
    return [
        Wanted(play.index, play.seed_id, play.status is PlayStatus.ACCEPTED, play.question, play.answer or "")
        for play in run.each_play()
        if play.question is not None
        and (play.status is PlayStatus.ACCEPTED or (config.rejected and play.status is PlayStatus.REJECTED))
        and config.part.holds(play.index)
    ]


def refuse_shared_folder(config: CheckConfig, out: Path | None) -> None:
    """Raise ConfigError if one part would be saved in the folder of the whole check."""
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
    """Check the questions in as many processes as the config says, and return how it ended.

    Args:
        opened: the run of the check.
        store: the run file of the check, already begun.
        at_once: maximum number of questions at the same time, over all processes.
        questions: number of questions.
        limit: maximum number of questions in this invocation.
        check: runs in the process of each shard; must be a module-level function.
        keep: updates the results from those in the shards' folders.
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
