import asyncio
import gc

import pytest

from questwell.errors import BudgetReached, StoreError
from questwell.recipes.runs.budget import Budget, SpendingLimits, Stopped
from questwell.recipes.runs.ending import Ending, Report
from questwell.recipes.runs.workers import Patience, Workers
from questwell.types.usage import Usage

ERRORED = frozenset({3, 4, 8})


def workers(at_once: int = 2, max_errors: int = 5, limit: int | None = None) -> tuple[Workers, Budget]:
    budget = Budget(SpendingLimits(), Usage())
    return Workers(budget, Patience(at_once, max_errors, limit), "plays", "questwell resume run"), budget


async def work(piece: int) -> str | None:
    await asyncio.sleep(0)
    return f"piece {piece} failed" if piece in ERRORED else None


async def done(loop: Workers, pieces: range, budget: Budget) -> Report:
    async with loop.running(lambda: None):
        await loop.run(pieces, work)
    return loop.ending(left=loop.done < len(pieces))


async def test_all_is_done_some_at_a_time() -> None:
    loop, _ = workers(at_once=3)
    now, most, seen = 0, 0, list[int]()

    async def counted(piece: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        seen.append(piece)
        now -= 1

    await loop.run(range(10), counted)
    assert (sorted(seen), most, loop.done, loop.errored) == (list(range(10)), 3, 10, 0)
    assert loop.ending(left=False) == Report(Ending.COMPLETE)


async def test_cycles_are_looked_for_seldom_while_it_runs() -> None:
    loop, _ = workers()
    before = gc.get_threshold()
    async with loop.running(lambda: None):
        assert gc.get_threshold()[0] > before[0]
    assert gc.get_threshold() == before


async def test_errors_are_told_apart_from_a_down_endpoint() -> None:
    loop, budget = workers()
    ended = await done(loop, range(10), budget)
    assert (ended.ending, ended.go_on) == (Ending.ERRORED, "questwell resume run")
    assert ended.message == "3 plays errored; the last one: piece 8 failed"

    loop, budget = workers(at_once=1, max_errors=2)
    ended = await done(loop, range(10), budget)
    assert (ended.ending, loop.done) == (Ending.FAILING, 5)  # the second in a row is piece 4
    assert ended.message == "2 plays in a row errored; the last one: piece 4 failed"


async def test_a_limit_is_one_only_where_something_is_left() -> None:
    loop, budget = workers(limit=3)
    assert (await done(loop, range(3), budget)).ending is Ending.COMPLETE
    loop, budget = workers(limit=3)
    ended = await done(loop, range(4, 8), budget)
    assert (ended.ending, loop.done, ended.message) == (
        Ending.LIMIT,
        3,
        "the limit of plays for this invocation is reached",
    )


@pytest.mark.parametrize(
    ("halt", "ending"), [(BudgetReached("no money"), Ending.BUDGET), (Stopped("stopped as you asked"), Ending.STOPPED)]
)
async def test_a_halt_lets_what_is_in_flight_end(halt: Exception, ending: Ending) -> None:
    loop, _ = workers(at_once=2)
    ended: list[int] = []

    async def halting(piece: int) -> None:
        await asyncio.sleep(0.001 if piece else 0)
        if not piece:
            raise halt
        ended.append(piece)

    await loop.run(range(9), halting)
    assert ended == [1]
    assert loop.ending(left=True) == Report(ending, str(halt), "questwell resume run")


async def test_what_no_resume_can_mend_is_raised_and_a_stop_is_a_stop() -> None:
    loop, _ = workers()

    async def broken(piece: int) -> None:
        raise StoreError("the disk is full")

    await loop.run(range(3), broken)
    with pytest.raises(StoreError, match="the disk is full"):
        loop.ending(left=True)
    loop, budget = workers()
    budget.stop()
    ended = await done(loop, range(3), budget)
    assert (ended.ending, loop.done) == (Ending.STOPPED, 0)
