"""The step loop without a trainer: what is made, what is saved, how it ends, and what a resume plays again."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

import pytest

from questwell.errors import BudgetReached, LLMUnavailable, NothingJudged, StoreError, TrainingCollapsed
from questwell.http.retrying import Failure, Server, TryFailedError, retrying, sent
from questwell.llm.endpoint import EndpointOptions
from questwell.recipes.runs.budget import Budget, SpendingLimits, Stopped
from questwell.recipes.runs.ending import Ending, Report
from questwell.recipes.runs.steps import Pace, Steps
from questwell.types.usage import Usage

GO_ON = "questwell resume run"
ASKED = "stopped as you asked"
Hook = Callable[[int], Awaitable[str | None] | str | None]


class Run:
    """A run whose state is the list of the steps that it has learnt from, and its checkpoints."""

    def __init__(self, steps: int = 7, save_every: int = 3) -> None:
        self.learnt: list[int] = []
        self.checkpoints: list[list[int]] = []
        self.played: list[int] = []
        self.looked = 0
        self.steps, self.save_every = steps, save_every
        self.seconds = 0
        self.eval_every = 0
        self.evaluated: list[int] = []

    async def go(
        self, limit: int | None = None, playing: Hook = lambda number: None, learning: Hook = lambda number: None
    ) -> Report:
        """An invocation; the hooks are called in each step's two halves, and `learning` may name a collapse."""
        budget = Budget(SpendingLimits(minutes=1), Usage(), now=lambda: self.seconds)
        self.learnt = list(self.checkpoints[-1]) if self.checkpoints else []
        self.loop = loop = Steps(
            len(self.learnt), Pace(self.steps, self.save_every, limit, self.eval_every), budget, GO_ON
        )

        async def step(number: int) -> str:
            assert number == len(self.learnt) + 1 == loop.done + 1
            self.played.append(number)
            await _done(playing(number))
            loop.learn()
            self.learnt.append(number)
            return await _done(learning(number)) or ""

        async def first() -> None:
            self.looked += 1

        def save() -> None:
            assert loop.done == len(self.learnt)
            self.checkpoints.append(list(self.learnt))

        async def evaluate(done: int) -> None:
            assert done == 0 or len(self.checkpoints[-1]) == done == loop.saved
            self.evaluated.append(done)

        return await loop.run(step, save, first, evaluate)


async def _done(found: Awaitable[str | None] | str | None) -> str | None:
    return await found if isinstance(found, Awaitable) else found


def halting(at: int, halt: Exception) -> Hook:
    def hook(number: int) -> None:
        if number == at:
            raise halt

    return hook


async def test_steps_are_evaluated_once_their_checkpoint_is_saved() -> None:
    run = Run()
    run.eval_every = 2
    await run.go(limit=5)
    assert run.evaluated == [0, 2, 4]
    assert [len(saved) for saved in run.checkpoints] == [2, 3, 4, 5]
    await run.go()
    assert run.evaluated == [0, 2, 4, 6, 7]
    assert Pace(7, 3, None, 2).evaluations == 5
    assert Pace(7, 3).evaluations == 0


async def test_all_steps_are_made_and_every_third_and_the_last_are_saved() -> None:
    run = Run()
    assert await run.go() == Report(Ending.COMPLETE)
    assert run.learnt == [1, 2, 3, 4, 5, 6, 7]
    assert [len(saved) for saved in run.checkpoints] == [3, 6, 7]
    assert (run.looked, run.loop.saved) == (1, 7)
    assert await run.go() == Report(Ending.COMPLETE)
    assert (len(run.played), len(run.checkpoints)) == (7, 3)  # nothing is left, so nothing is saved again


async def test_a_limit_is_of_this_invocation_and_what_it_made_is_saved() -> None:
    run = Run()
    for made in (2, 4, 6):
        ended = await run.go(limit=2)
        assert ended == Report(Ending.LIMIT, "the limit of steps for this invocation is reached", GO_ON)
        assert len(run.checkpoints[-1]) == made
    assert await run.go(limit=1) == Report(Ending.COMPLETE)  # the limit is reached by the last step of all
    assert run.played == [1, 2, 3, 4, 5, 6, 7]
    assert run.looked == 1  # before the first step, not before each invocation's


@pytest.mark.parametrize(
    ("halt", "ending"),
    [
        (BudgetReached("no money"), Ending.BUDGET),
        (Stopped(ASKED), Ending.STOPPED),
        (NothingJudged("nothing"), Ending.FAILING),
    ],
)
async def test_a_halt_while_a_step_is_played_saves_the_steps_before_it(halt: Exception, ending: Ending) -> None:
    run = Run()
    assert await run.go(playing=halting(5, halt)) == Report(ending, str(halt), GO_ON)
    assert run.checkpoints[-1] == [1, 2, 3, 4]
    assert (await run.go()).ending is Ending.COMPLETE
    assert run.played == [1, 2, 3, 4, 5, 5, 6, 7]


@pytest.mark.parametrize(
    ("halt", "ending"),
    [
        (BudgetReached("no money"), Ending.BUDGET),
        (Stopped(ASKED), Ending.STOPPED),
        (TrainingCollapsed("not finite"), Ending.ALARM),
    ],
)
async def test_a_halt_while_a_step_is_learnt_from_saves_nothing(halt: Exception, ending: Ending) -> None:
    run = Run()
    assert await run.go(learning=halting(5, halt)) == Report(ending, str(halt), GO_ON)
    assert run.checkpoints == [[1, 2, 3]]
    assert (await run.go()).ending is Ending.COMPLETE
    assert run.played == [1, 2, 3, 4, 5, 4, 5, 6, 7]
    assert run.learnt == [1, 2, 3, 4, 5, 6, 7]


async def test_a_collapse_is_not_saved_even_where_a_checkpoint_is_due() -> None:
    run = Run()
    ended = await run.go(learning=lambda number: "collapsing" if number == 6 else "")
    assert ended == Report(Ending.ALARM, "collapsing", GO_ON)
    assert (run.loop.done, run.loop.saved, run.checkpoints) == (6, 3, [[1, 2, 3]])


async def test_the_budget_is_asked_before_each_step_but_not_after_the_last() -> None:
    for after, ending in {3: Ending.COMPLETE, 2: Ending.BUDGET}.items():
        run = Run(steps=3)

        def spend(number: int, run: Run = run, after: int = after) -> None:
            run.seconds = 60 * (number >= after)

        assert (await run.go(learning=spend)).ending is ending
        assert len(run.checkpoints[-1]) == after


async def test_what_no_resume_can_mend_is_raised() -> None:
    run = Run()
    with pytest.raises(StoreError, match="the disk is full"):
        await run.go(playing=halting(5, StoreError("the disk is full")))
    assert run.checkpoints == [[1, 2, 3]]


async def test_a_signal_ends_the_run_after_the_step() -> None:
    run = Run()

    async def signalled() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.01)

    ended = await run.go(playing=lambda number: signalled() if number == 2 else None)
    assert ended == Report(Ending.STOPPED, ASKED, GO_ON)
    assert run.checkpoints == [[1, 2]]


@pytest.mark.parametrize("half", ["playing", "learning"])
async def test_a_call_that_waits_to_be_made_again_ends_at_once_and_its_step_is_played_again(half: str) -> None:
    """Without that call the step would not be what it is to be: an attempt of it would count as errored."""
    run = Run()

    async def down() -> None:
        async def attempt() -> None:
            asyncio.get_running_loop().call_later(0.02, os.kill, os.getpid(), signal.SIGTERM)
            raise TryFailedError(Failure(LLMUnavailable, "no answer", "start it", retriable=True))

        patience = EndpointOptions(max_retries=5, backoff_s=30.0)
        with pytest.raises(LLMUnavailable):
            await retrying(attempt, Server("m", None), patience, lambda: False)

    def hook(number: int) -> Awaitable[None] | None:
        return down() if number == 5 else None

    ended = await asyncio.wait_for(run.go(**{half: hook}), timeout=5)  # type: ignore[arg-type]
    assert ended == Report(Ending.STOPPED, ASKED, GO_ON)
    assert run.checkpoints[-1] == ([1, 2, 3, 4] if half == "playing" else [1, 2, 3])


@pytest.mark.parametrize("half", ["playing", "learning"])
@pytest.mark.parametrize("is_sent", [True, False])
async def test_a_stop_waits_for_what_was_sent_and_not_for_what_was_not(half: str, is_sent: bool) -> None:
    """A call that is queued or has no connection yet may never go out; one that went out is paid for."""
    run, answered = Run(), asyncio.Event()

    async def calls() -> None:
        async def attempt() -> None:
            loop = asyncio.get_running_loop()
            loop.call_later(0.02, os.kill, os.getpid(), signal.SIGTERM)
            if is_sent:
                sent()
                loop.call_later(0.2, answered.set)
            await answered.wait()

        unsent = Failure(LLMUnavailable, "not sent", "resume", retriable=False)
        with nullcontext() if is_sent else pytest.raises(LLMUnavailable, match="not sent"):
            await retrying(attempt, Server("m", None), EndpointOptions(), lambda: False, unsent)

    def hook(number: int) -> Awaitable[None] | None:
        return calls() if number == 5 else None

    ended = await asyncio.wait_for(run.go(**{half: hook}), timeout=30)  # type: ignore[arg-type]
    assert ended == Report(Ending.STOPPED, ASKED, GO_ON)
    left = [1, 2, 3] if half == "learning" else [1, 2, 3, 4]
    assert run.checkpoints[-1] == ([1, 2, 3, 4, 5] if is_sent else left)
