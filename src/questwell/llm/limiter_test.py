import asyncio
import random
import selectors

import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.llm.limiter import Aimd, Limiter


class FakeTimeLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer instead of waiting for it."""

    def __init__(self):
        self._now = 0.0
        super().__init__(selectors.DefaultSelector())
        select = self._selector.select

        def jump(timeout=None):
            self._now += timeout or 0.0
            return select(0)

        self._selector.select = jump

    def time(self):
        return self._now


def run(coroutine):
    with asyncio.Runner(loop_factory=FakeTimeLoop) as runner:
        return runner.run(coroutine)


def now():
    return asyncio.get_running_loop().time()


# --- the rule


def test_starts_at_the_maximum_and_needs_one():
    assert Aimd(7).limit == 7
    with pytest.raises(ValueError, match="0"):
        Aimd(0)


def test_a_burst_of_failures_halves_once():
    aimd = Aimd(64)
    for _ in range(64):
        aimd.overloaded(0)
    assert aimd.limit == 32
    aimd.overloaded(aimd.generation)
    assert aimd.limit == 16


def test_late_successes_of_an_older_generation_do_not_grow_the_limit():
    aimd = Aimd(64)
    aimd.overloaded(0)
    aimd.succeeded(0)
    assert aimd.limit == 32


def test_grows_by_about_one_for_each_limits_worth_of_successes():
    aimd = Aimd(64)
    aimd.overloaded(0)
    for _ in range(32):
        aimd.succeeded(aimd.generation)
    assert aimd.limit == pytest.approx(33, abs=0.05)


@given(st.integers(1, 300), st.lists(st.booleans(), max_size=300))
def test_limit_stays_between_one_and_the_maximum(maximum, outcomes):
    aimd = Aimd(maximum)
    for good in outcomes:
        aimd.succeeded(aimd.generation) if good else aimd.overloaded(aimd.generation)
        assert 1 <= aimd.limit <= maximum


# --- the queue


async def hold(limiter, log, name, seconds=1.0, overload=False, pause_s=None):
    async with limiter.slot() as slot:
        log.append((name, now()))
        await asyncio.sleep(seconds)
        if overload:
            slot.overloaded(pause_s)
        else:
            slot.succeeded()


def test_never_exceeds_its_limit_and_recovers():
    async def main():
        limiter = Limiter(16)
        rng = random.Random(3)
        capacity = 5
        most, lowest = 0, 16.0

        async def call():
            nonlocal most, lowest
            async with limiter.slot() as slot:
                most = max(most, limiter.in_flight)
                crowded = limiter.in_flight > capacity
                await asyncio.sleep(rng.random())
                slot.overloaded() if crowded else slot.succeeded()
                lowest = min(lowest, limiter.aimd.limit)

        await asyncio.gather(*[call() for _ in range(300)])
        assert most == 16
        assert lowest <= capacity
        capacity = 99
        await asyncio.gather(*[call() for _ in range(600)])
        assert limiter.aimd.limit == 16
        assert limiter.in_flight == 0

    run(main())


def test_grants_nothing_after_a_halving_until_enough_calls_have_ended():
    async def main():
        limiter, log = Limiter(4), []
        seconds = [1, 2, 3, 4]  # the first ends overloaded: limit 2, so two more must end before one may start
        held = [hold(limiter, log, f"held{n}", n, overload=n == 1) for n in seconds]
        await asyncio.gather(*held, hold(limiter, log, "next"), hold(limiter, log, "after"))
        assert dict(log)["next"] == 3
        assert dict(log)["after"] == 4

    run(main())


def test_first_come_first_served():
    async def main():
        limiter, log = Limiter(2), []
        await asyncio.gather(*[hold(limiter, log, n) for n in range(9)])
        assert [name for name, _ in log] == list(range(9))

    run(main())


def test_a_newcomer_does_not_overtake_those_who_wait():
    async def main():
        limiter, log = Limiter(1), []
        tasks = [asyncio.create_task(hold(limiter, log, n)) for n in range(2)]
        await asyncio.sleep(1.0)  # 0 has ended in this very tick, 1 was granted its slot
        await asyncio.gather(*tasks, hold(limiter, log, "new"))
        assert [name for name, _ in log] == [0, 1, "new"]

    run(main())


def test_room_made_by_a_success_goes_to_who_waits_at_once():
    async def main():
        limiter, log = Limiter(2), []
        async with limiter.slot() as slot:
            slot.overloaded()
        async with limiter.slot() as slot:
            waiting = asyncio.create_task(hold(limiter, log, "waiting"))
            await asyncio.sleep(1.0)
            slot.succeeded()
            newcomer = asyncio.create_task(hold(limiter, log, "newcomer"))
            await asyncio.sleep(0.5)
            assert log == [("waiting", 1.0)]
        await asyncio.gather(waiting, newcomer)
        assert log == [("waiting", 1.0), ("newcomer", 1.5)]

    run(main())


def test_pause_holds_everybody_back_and_the_longest_wins():
    async def main():
        limiter, log = Limiter(4), []
        await hold(limiter, log, "limited", 1.0, overload=True, pause_s=10.0)
        limiter.pause(3.0)
        await asyncio.gather(*[hold(limiter, log, n) for n in range(3)])
        assert [when for _, when in log[1:]] == [11.0, 11.0, 12.0]

    run(main())


@pytest.mark.parametrize(("most", "last"), [(31, 0.0), (256, 255 * 0.003), (4000, 3999 / 4000)])
def test_the_first_calls_of_many_do_not_begin_together(most, last):
    """One after another within a second; the later ones at once."""

    async def main():
        limiter, begun = Limiter(most), []

        async def call():
            async with limiter.slot():
                begun.append(now())
                await asyncio.sleep(5.0)

        await asyncio.gather(*[call() for _ in range(most)])
        assert begun == sorted(begun)
        assert begun[-1] == pytest.approx(last)
        assert len({round(when, 6) for when in begun}) == (1 if last == 0 else most)
        begun.clear()
        await asyncio.gather(*[call() for _ in range(most)])
        assert len(set(begun)) == 1

    run(main())


def test_cancelled_waiters_leave_no_hole():
    async def main():
        limiter, log = Limiter(1), []
        async with limiter.slot():
            waiting = [asyncio.create_task(hold(limiter, log, n)) for n in range(3)]
            await asyncio.sleep(0.5)
            waiting[0].cancel()
        waiting[1].cancel()  # in the tick in which it was granted its slot
        await asyncio.wait_for(waiting[2], 5)
        assert [name for name, _ in log] == [2]
        assert limiter.in_flight == 0

    run(main())


def test_an_error_in_the_block_gives_the_slot_back():
    async def main():
        limiter = Limiter(1)
        with pytest.raises(KeyError):
            async with limiter.slot():
                raise KeyError
        assert limiter.in_flight == 0
        assert limiter.aimd.limit == 1

    run(main())


def test_a_new_maximum_holds_for_what_begins_after_it():
    async def main():
        limiter, log = Limiter(4), []
        first = [asyncio.create_task(hold(limiter, log, n)) for n in range(6)]
        await asyncio.sleep(0.5)
        assert (limiter.in_flight, limiter.waiting) == (4, 2)
        limiter.resize(1)
        assert limiter.in_flight == 4  # they are paid for, so they end
        await asyncio.sleep(0.6)
        assert (limiter.in_flight, limiter.waiting) == (1, 1)
        limiter.resize(5)
        await asyncio.sleep(0)
        assert (limiter.aimd.limit, limiter.in_flight, limiter.waiting) == (5, 2, 0)
        await asyncio.gather(*first)

    run(main())


def test_a_new_maximum_does_not_forget_that_the_endpoint_was_overloaded():
    async def main():
        limiter = Limiter(8)
        async with limiter.slot() as slot:
            slot.overloaded()
        limiter.resize(6)
        assert limiter.aimd.limit == 4
        limiter.resize(3)
        assert limiter.aimd.limit == 3
        limiter.resize(9)
        assert limiter.aimd.limit == 9

    run(main())
