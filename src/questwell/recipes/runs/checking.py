"""Shared by `gates` and `rejudge`: checks the questions of a run, in one process or split over several.

Part i of n has the questions whose seed number is i modulo n. So no question moves to another part, even if the run
continues in the meantime.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from pydantic import Field

from questwell.errors import ConfigError
from questwell.llm.client import LLM
from questwell.recipes.runs import opening
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import Values, resolve
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.invocation import Invocation, begin, run_file
from questwell.recipes.runs.opening import Kind, Run
from questwell.recipes.runs.parts import PartsConfig, play_apart
from questwell.recipes.runs.processes import Watch, work
from questwell.recipes.runs.recorder import Recorder
from questwell.recipes.runs.spans import open_spans
from questwell.recipes.runs.workers import Patience
from questwell.retrieval.retriever import Retriever
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus
from questwell.types.trajectory import Role


class CheckConfig(PartsConfig):
    """Config keys that select which questions of a run are checked, and where."""

    of: Path | None = None
    """Run whose questions are checked. It is only read, and may still be running."""
    rejected: bool = False
    """Also check the last question of each rejected play."""
    batch: bool = False
    """Send calls in batches, at half the list price; each may take a day. Needs an endpoint with a batch API."""
    max_errors: int = Field(default=20, ge=1)
    """Stop after calls failed for this many questions in a row."""


_C = TypeVar("_C", bound=CheckConfig)


def configure(kind: Kind[_C], out: Path | None, given: Values, *, resume: bool, usage: str) -> _C:
    """Return the config of a check in `out`: the values `given`, with `resume` on top of the saved ones.

    Without `resume`, repeating the same command also continues: answered calls are not made again.

    Raises:
        ConfigError: an invalid value, or no run is named; `usage` says how to name one.
    """
    config = opening.configure(kind, out, given, resume=True) if resume else resolve(kind.config, given)
    if config.of is None:
        raise ConfigError(usage)
    return config


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


def refuse_shared_folder(config: PartsConfig, out: Path | None) -> None:
    """Raise ConfigError if one part would be saved in the folder of the whole."""
    if config.shard is not None and out is None:
        raise ConfigError(
            f"--shard {config.shard} is one part of several: name a folder of its own (--out), and join all parts with "
            "questwell merge"
        )


class Result(Protocol):
    """What a check found out about a question."""

    @property
    def errored(self) -> str | None:
        """The failure; None if there was none."""
        ...


_F = TypeVar("_F", bound=Result)


@dataclass(frozen=True, slots=True)
class Checking(Generic[_C]):
    """One invocation of a check."""

    opened: Run[_C]
    llms: Mapping[Role, LLM]
    """Models that the check calls."""
    retriever: Retriever
    fingerprint: Mapping[str, str]
    """What must be the same when the check continues."""
    at_once: int
    """Maximum number of questions at the same time, over all processes."""
    questions: Sequence[Wanted]
    caller: Caller[[int, int]]

    async def run(self, check: Callable[[Wanted, Recorder], Awaitable[_F]]) -> tuple[dict[str, _F], Report]:
        """Check the questions, until done or until budget, user or errors stop it; return the results by seed."""
        opened, config, of = self.opened, self.opened.config, len(self.questions)
        found: dict[str, _F] = {}
        with run_file(opened, self.llms.values(), self.retriever) as store:
            await begin(opened, store, self.fingerprint)
            invocation = Invocation(
                store,
                self.llms,
                self.retriever,
                config.limits(),
                batches=opened.folder if config.batch else None,
                spans=open_spans(opened.kind.name, on=config.spans),
            )

            def tell() -> None:
                self.caller.on_progress(len(found), of)

            async def check_one(question: Wanted) -> str | None:
                found[question.id] = result = await check(question, invocation.recorder)
                tell()
                return result.errored

            patience = Patience(self.at_once, config.max_errors, self.caller.limit)
            workers = invocation.workers(patience, "questions", opened.go_on)
            async with workers.running(tell):
                await workers.run(self.questions, check_one)
            return found, workers.ending(left=len(found) < of)

    def apart(
        self, check: Callable[[_C, Path, int | None, Connection], None], keep: Callable[[Path, Sequence[Path]], None]
    ) -> Report:
        """Check the questions in as many processes as the config says, and return how it ended.

        Args:
            check: runs in the process of each shard; must be a module-level function.
            keep: updates the results in a folder from those in its shards' folders.
        """
        opened, of = self.opened, len(self.questions)

        def tell(watch: Watch[Pieces]) -> None:
            self.caller.on_progress(sum(one.done for one in watch.seen), of)

        with run_file(opened, self.llms.values(), self.retriever) as store:
            asyncio.run(begin(opened, store, self.fingerprint))
            ended, _ = play_apart(
                opened,
                store,
                self.at_once,
                self.caller.limit,
                check,
                tell,
                lambda shards: keep(opened.folder, shards),
            )
        return ended


def check_part(
    pipe: Connection, folder: Path, limit: int | None, check: Callable[[Path, Caller[[int, int]]], Report]
) -> None:
    """Run `check` as one shard in its own process."""

    def caller(tell: Callable[[Pieces], None]) -> Caller[[int, int]]:
        return Caller(resume=True, limit=limit, on_progress=lambda done, of: tell(Pieces(done, of)))

    work(pipe, lambda tell: check(folder, caller(tell)))
