"""Runs training steps until all are done or something stops the run, and saves checkpoints: for train and selfplay.

A step is first played and then learned from. If the run halts while a step is played, the state after the previous
step is saved. If it halts while learning, no state can be saved, so the run resumes from the latest checkpoint.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from questwell.errors import BudgetReached, NothingJudged, TrainingCollapsed
from questwell.http.retrying import giving_up_with
from questwell.recipes.runs.budget import Budget, Stopped
from questwell.recipes.runs.ending import Ending, Report
from questwell.recipes.runs.signals import stopping_on_signals


@dataclass(frozen=True, slots=True)
class Pace:
    """How many steps to make, and how often to save and evaluate."""

    steps: int
    """Number of steps of the whole run."""
    save_every: int
    """Steps between two checkpoints."""
    limit: int | None = None
    """Maximum number of steps in this invocation."""
    eval_every: int = 0
    """Number of steps between two evaluations; 0 means none. Step 0 and the last step are always evaluated."""

    def evaluates(self, done: int) -> bool:
        """Return whether to evaluate the policy after `done` steps."""
        return self.eval_every > 0 and (done % self.eval_every == 0 or done == self.steps)

    @property
    def evaluations(self) -> int:
        """Total number of evaluations of the run."""
        return sum(map(self.evaluates, range(self.steps + 1)))


class Steps:
    """The steps of one invocation of a run."""

    def __init__(self, done: int, pace: Pace, budget: Budget, go_on: str) -> None:
        """Continue after the checkpoint of step `done`; 0 if there is none yet.

        Args:
            done: number of steps that are finished and saved.
            pace: how many steps to make, and how often to save.
            budget: budget of the run, checked before each step.
            go_on: the command that resumes the run.
        """
        self.done = self.saved = done
        self._pace = pace
        self._budget = budget
        self._go_on = go_on
        self._last = None if pace.limit is None else done + pace.limit
        self._stopping = False
        self._learning = False

    def stop(self) -> None:
        """Stop after this step, or at once if it needs a call that was not sent yet: a resume plays that step again."""
        self._stopping = True
        self._budget.retries.give_up(unsent=True)

    def learn(self) -> None:
        """Mark the step as played: from now until its end, no checkpoint can be saved.

        Raises:
            Stopped: a call was abandoned because the user asked to stop; a resume plays the step again.
        """
        self._refuse_what_was_cut_short()
        self._learning = True

    async def run(
        self,
        step: Callable[[int], Awaitable[str]],
        save: Callable[[], None],
        first: Callable[[], Awaitable[None]] | None = None,
        evaluate: Callable[[int], Awaitable[None]] | None = None,
    ) -> Report:
        """Run the remaining steps.

        Args:
            step: runs the step of that number, from 1, and calls `learn` between playing and learning. It returns why
                the run must stop after it, or "". Raises NothingJudged, or TrainingCollapsed while it learns.
            save: writes a checkpoint of the state after `done` steps. A collapsed state is not saved.
            first: awaited before the first step of the whole run.
            evaluate: evaluates the policy after that many steps, unless this was done before; called after saving.
        """
        with giving_up_with(self._budget.retries), stopping_on_signals(self.stop):
            try:
                if first is not None and self.done == 0:
                    await first()
                    self._refuse_what_was_cut_short()
                ending, message = await self._make(step, save, evaluate or _nothing)
            except (BudgetReached, Stopped, NothingJudged, TrainingCollapsed) as halt:
                ending, message = _ENDINGS[type(halt)], str(halt)
                if self._budget.retries.cut_short:  # what the user stopped fails in many ways
                    ending, message = Ending.STOPPED, _STOPPED
        if ending is not Ending.ALARM and not self._learning and self.done > self.saved:
            self._save(save)
        return Report(ending, message, "" if ending is Ending.COMPLETE else self._go_on)

    async def _make(
        self,
        step: Callable[[int], Awaitable[str]],
        save: Callable[[], None],
        evaluate: Callable[[int], Awaitable[None]],
    ) -> tuple[Ending, str]:
        if self._pace.evaluates(self.done):  # a kill may have come between the checkpoint and its evaluation
            await evaluate(self.done)
            self._refuse_what_was_cut_short()
        while self.done < self._pace.steps:
            if self._stopping:
                raise Stopped(_STOPPED)
            if self.done == self._last:
                return Ending.LIMIT, "the limit of steps for this invocation is reached"
            self._budget.check()
            collapse = await step(self.done + 1)
            self._refuse_what_was_cut_short()
            self.done, self._learning = self.done + 1, False
            if collapse:
                return Ending.ALARM, collapse
            evaluates = self._pace.evaluates(self.done)
            if evaluates or self.done % self._pace.save_every == 0:
                self._save(save)
            if evaluates:
                await evaluate(self.done)
                self._refuse_what_was_cut_short()
        return Ending.COMPLETE, ""

    def _refuse_what_was_cut_short(self) -> None:
        if self._budget.retries.cut_short:
            raise Stopped(_STOPPED)

    def _save(self, save: Callable[[], None]) -> None:
        save()
        self.saved = self.done


async def _nothing(done: int) -> None:
    """Do nothing: the default for `evaluate`."""


_STOPPED = "stopped as you asked"
_ENDINGS = {
    BudgetReached: Ending.BUDGET,
    Stopped: Ending.STOPPED,
    NothingJudged: Ending.FAILING,
    TrainingCollapsed: Ending.ALARM,
}
