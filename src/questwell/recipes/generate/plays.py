"""Plays seeds within one invocation, for any command: plays, saves, counts and reports each one."""

import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from questwell.agents.session import Sessions
from questwell.errors import QuestwellError
from questwell.recipes.generate.playing import PlayConfig
from questwell.recipes.generate.setup import Setup
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.invocation import Invocation
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.progress import Progress, Tally
from questwell.recipes.runs.spans import open_spans
from questwell.recipes.runs.workers import Patience
from questwell.scoring.answers import normalise
from questwell.store.run import RunStore
from questwell.types.game import Accepted, Reason, Rejected, Seed

_P = TypeVar("_P", bound=PlayConfig)
Play = Callable[[Sessions], Awaitable[Accepted | Rejected]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateReport(Report):
    """The result of an invocation."""

    progress: Progress


def question_key(outcome: Accepted) -> str:
    """Return a key that is equal for two accepted questions if they count as the same question."""
    return normalise(outcome.rounds[-1].proposal.question)


async def played(seed: Seed, play: Play, sessions: Sessions) -> Accepted | Rejected:
    """Return the outcome of a play; a bug during it becomes a reason to reject the question."""
    try:
        return await play(sessions)
    except QuestwellError:
        raise
    except Exception as bug:  # a bug in one play must not end the others: it is recorded with its reason
        return Rejected(seed, (), Reason.ERRORED, _where(bug))


def why_errored(outcome: Accepted | Rejected) -> str | None:
    """Return why a play errored; None if it did not."""
    return outcome.detail if isinstance(outcome, Rejected) and outcome.reason is Reason.ERRORED else None


class Plays:
    """Plays seeds of an open run."""

    def __init__(
        self,
        opened: Run[_P],
        setup: Setup,
        store: RunStore,
        tally: Tally,
        caller: Caller[[Progress]],
        pieces: str = "plays",
    ) -> None:
        """Prepare to play within the budget of the run.

        Args:
            opened: the run.
            setup: the setup that `open_setup` returned.
            store: the run file.
            tally: counts the plays.
            caller: its limit counts plays.
            pieces: the word for plays in messages.
        """
        config = opened.config
        self._store = store
        self._tally = tally
        self._on_progress = caller.on_progress
        self._invocation = Invocation(
            store, setup.llms, setup.retriever, config.limits(), spans=open_spans(opened.kind.name, on=config.spans)
        )
        patience = Patience(config.plays_at_once, config.max_errors, caller.limit)
        self.workers = self._invocation.workers(patience, pieces, opened.go_on)

    async def play(self, seed: Seed, play: Play, key: Callable[[Accepted], str] = question_key) -> str | None:
        """Play `seed` to its end and save the outcome; returns why it errored, or None."""
        outcome = await played(seed, play, self._invocation.recorder.sessions(seed.id))
        known_as = key(outcome) if isinstance(outcome, Accepted) else None
        await self._store.finish(outcome, known_as)
        self._tally.count(outcome, known_as)
        self.tell()
        return why_errored(outcome)

    def tell(self) -> Progress:
        """Return the current progress, and pass it to the progress callback."""
        progress = self._tally.progress(self._invocation.recorder, self._invocation.budget, self.workers.busy_s)
        self._on_progress(progress)
        return progress

    def ending(self, unplayed: int, *, left: bool | None = None) -> Report:
        """Return how the invocation ends.

        Args:
            unplayed: number of seeds of the whole run that errored or were not started.
            left: whether there is something to play, if there may be more than `unplayed`.

        Raises:
            QuestwellError: the error that halted the run, if a resume cannot fix it.
        """
        latest = self._store.read.latest_error() or ""
        return self.workers.ending(left=bool(unplayed) if left is None else left, errored=unplayed, latest=latest)


def _where(bug: Exception) -> str:
    """Return the bug and its location in one line."""
    last = traceback.extract_tb(bug.__traceback__)[-1]
    return f"{type(bug).__name__}: {bug} (a bug in Questwell, at {Path(last.filename).name}:{last.lineno})"
