"""The plays of one invocation, whichever verb plays them: each is played, kept, counted and told."""

import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from questwell.agents.session import Sessions
from questwell.errors import QuestwellError
from questwell.recipes.generate.playing import PlayConfig
from questwell.recipes.generate.setup import Setup
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.invocation import Invocation
from questwell.recipes.runs.opening import Run
from questwell.recipes.runs.progress import OnProgress, Progress, Tally
from questwell.recipes.runs.spans import open_spans
from questwell.recipes.runs.workers import Patience
from questwell.scoring.answers import normalise
from questwell.store.records import WaveSeed
from questwell.store.run import RunStore
from questwell.types.game import Accepted, Reason, Rejected, Seed

_P = TypeVar("_P", bound=PlayConfig)
Play = Callable[[Sessions], Awaitable[Accepted | Rejected]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateReport(Report):
    """The result of an invocation."""

    progress: Progress


def question_key(outcome: Accepted) -> str:
    """Two accepted questions of one key are one question."""
    return normalise(outcome.rounds[-1].proposal.question)


async def played(seed: Seed, play: Play, sessions: Sessions) -> Accepted | Rejected:
    """How a play ended; a bug that it met is a reason to reject it."""
    try:
        return await play(sessions)
    except QuestwellError:
        raise
    except Exception as bug:  # a bug that one seed meets must not lose the others: it is data, with its reason
        return Rejected(seed, (), Reason.ERRORED, _where(bug))


def why_errored(outcome: Accepted | Rejected) -> str | None:
    """Why a play errored; None when it did not."""
    return outcome.detail if isinstance(outcome, Rejected) and outcome.reason is Reason.ERRORED else None


class Plays:
    """Plays seeds of an open run."""

    def __init__(
        self,
        opened: Run[_P],
        setup: Setup,
        store: RunStore,
        tally: Tally,
        on_progress: OnProgress,
        limit: int | None,
        pieces: str = "plays",
    ) -> None:
        """Play within the budget of the run.

        Args:
            opened: the run.
            setup: from `open_setup`.
            store: of the run.
            tally: of its plays.
            on_progress: called with the progress after each play and every half second.
            limit: plays of this invocation, at most.
            pieces: what they are called in messages.
        """
        config = opened.config
        self._store = store
        self._tally = tally
        self._on_progress = on_progress
        self._invocation = Invocation(
            store, setup.llms, setup.retriever, config.limits(), spans=open_spans(opened.kind.name, on=config.spans)
        )
        patience = Patience(config.plays_at_once, config.max_errors, limit)
        self.workers = self._invocation.workers(patience, pieces, opened.go_on)

    async def play(self, seed: Seed, play: Play, key: Callable[[Accepted], str] = question_key) -> str | None:
        """Play `seed` to its end and keep the outcome; why it errored, if it did."""
        outcome = await played(seed, play, self._invocation.recorder.sessions(seed.id))
        known_as = key(outcome) if isinstance(outcome, Accepted) else None
        await self._store.finish(outcome, known_as)
        self._tally.count(outcome, known_as)
        self.tell()
        return why_errored(outcome)

    def tell(self) -> Progress:
        """The current progress, told to whoever watches."""
        progress = self._tally.progress(self._invocation.recorder, self._invocation.budget, self.workers.busy_s)
        self._on_progress(progress)
        return progress

    def ending(self, unplayed: Sequence[WaveSeed], *, left: bool | None = None) -> Report:
        """How the invocation ends.

        Args:
            unplayed: seeds of the whole run that errored or were not begun.
            left: whether there is something to play, if there may be more than `unplayed`.

        Raises:
            QuestwellError: what halted the run, if it is nothing that a resume can mend.
        """
        latest = self._store.read.latest_error() or ""
        return self.workers.ending(left=bool(unplayed) if left is None else left, errored=len(unplayed), latest=latest)


def _where(bug: Exception) -> str:
    """The bug and its place, in one line."""
    last = traceback.extract_tb(bug.__traceback__)[-1]
    return f"{type(bug).__name__}: {bug} (a bug in Questwell, at {Path(last.filename).name}:{last.lineno})"
