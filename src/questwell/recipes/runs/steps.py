"""Make one step after another until all are made or something halts, with a checkpoint now and then: train, selfplay.

A step is played and then learnt from. A halt while it is played leaves what the steps before it made, which is saved.
One while it is learnt from leaves nothing that could be saved, so the run goes on from the latest checkpoint.
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
    """How far to go, and how often to save."""

    steps: int
    """Number of steps of the whole run."""
    save_every: int
    """Steps between two checkpoints."""
    limit: int | None = None
    """Most steps of this invocation."""
    eval_every: int = 0
    """Steps between two evaluations; 0 means none. Step 0 and the last step are evaluated too."""

    def evaluates(self, done: int) -> bool:
        """Whether the policy is to be evaluated after `done` steps."""
        return self.eval_every > 0 and (done % self.eval_every == 0 or done == self.steps)

    @property
    def evaluations(self) -> int:
        """Number of evaluations of the whole run."""
        return sum(map(self.evaluates, range(self.steps + 1)))


class Steps:
    """The steps of one invocation of a run."""

    def __init__(self, done: int, pace: Pace, budget: Budget, go_on: str) -> None:
        """Go on after the checkpoint of step `done`, 0 where there is none yet.

        Args:
            done: steps that are made and saved.
            pace: how far to go, and how often to save.
            budget: of the run; it is asked before each step.
            go_on: the command that goes on with the run.
        """
        self.done = self.saved = done
        self._pace = pace
        self._budget = budget
        self._go_on = go_on
        self._last = None if pace.limit is None else done + pace.limit
        self._stopping = False
        self._learning = False

    def stop(self) -> None:
        """End after this step, or at once where it needs a call that was not sent yet: then it is played again."""
        self._stopping = True
        self._budget.retries.give_up(unsent=True)

    def learn(self) -> None:
        """The step is played: from now until its end, nothing can be saved.

        Raises:
            Stopped: a call was given up because the user asked to stop: the step is played again on a resume.
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
        """Make the steps that are left.

        Args:
            step: makes the step of a number, from 1, and calls `learn` between playing and learning. It says why the
                run has to stop after it, or "". Raises NothingJudged, or TrainingCollapsed while it learns.
            save: writes a checkpoint of what the `done` steps made. What shows a collapse is not saved.
            first: is awaited before the first step of the whole run.
            evaluate: evaluates the policy after so many steps, whose checkpoint is saved, unless that was done before.
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
    """Evaluates nothing."""


_STOPPED = "stopped as you asked"
_ENDINGS = {
    BudgetReached: Ending.BUDGET,
    Stopped: Ending.STOPPED,
    NothingJudged: Ending.FAILING,
    TrainingCollapsed: Ending.ALARM,
}
