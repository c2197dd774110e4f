"""Calls over several servers: least in flight, a dead one rests, one call tries it again."""

import asyncio
import random
from collections import Counter

import pytest

from questwell.errors import LLMRefused, LLMUnavailable
from questwell.http.retrying import Failure, TryFailedError
from questwell.http.spread import FIRST_REST_S, LONGEST_REST_S, Spread

DOWN = TryFailedError(Failure(LLMUnavailable, "no connection", "", retriable=True))
REFUSED = TryFailedError(Failure(LLMRefused, "no", "", retriable=False))


class Servers:
    """Servers that die and come back, under a clock of their own."""

    def __init__(self, names: str) -> None:
        self.now = 100.0
        self.dead = set[str]()
        self.asked = list[str]()
        self.spread = Spread(names, lambda: self.now)

    async def ask(self, wait: asyncio.Event | None = None) -> str:
        return await self.spread.ask(lambda name: self._answer(name, wait), lambda failure: failure.retriable)

    async def _answer(self, name: str, wait: asyncio.Event | None) -> str:
        self.asked.append(name)
        if wait is not None:
            await wait.wait()
        await asyncio.sleep(0)
        if name in self.dead:
            raise DOWN
        return name


async def test_calls_go_where_the_fewest_are_in_flight() -> None:
    servers, release = Servers("abc"), asyncio.Event()
    held = [asyncio.create_task(servers.ask(release)) for _ in range(7)]
    await asyncio.sleep(0)
    assert Counter(servers.asked) == {"a": 3, "b": 2, "c": 2}
    release.set()
    await asyncio.gather(*held)
    assert {seat.in_flight for seat in servers.spread._seats} == {0}
    servers.asked.clear()
    for _ in range(6):
        await servers.ask()
    assert Counter(servers.asked) == {"a": 2, "b": 2, "c": 2}  # one after another: each in turn


async def test_a_dead_server_loses_no_call_and_is_left_out_until_one_call_has_tried_it() -> None:
    servers = Servers("ab")
    servers.dead = {"a"}
    assert [await servers.ask() for _ in range(5)] == ["b"] * 5
    assert servers.asked.count("a") == 1
    servers.now += FIRST_REST_S
    release = asyncio.Event()
    held = [asyncio.create_task(servers.ask(release)) for _ in range(6)]
    await asyncio.sleep(0)
    assert servers.asked[-6:].count("a") == 1  # though it has the fewest in flight
    release.set()
    assert await asyncio.gather(*held) == ["b"] * 6
    servers.now += FIRST_REST_S
    assert await servers.ask() == "b"
    assert servers.asked[-1:] == ["b"]  # the second rest is twice as long
    servers.now += FIRST_REST_S
    servers.dead.clear()
    assert "a" in {await servers.ask() for _ in range(2)}
    assert Counter([await servers.ask() for _ in range(10)]) == {"a": 5, "b": 5}


async def test_rests_have_an_end_and_calls_that_fail_together_are_one_failure() -> None:
    servers, release = Servers("ab"), asyncio.Event()
    servers.dead = {"a"}
    held = [asyncio.create_task(servers.ask(release)) for _ in range(20)]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(*held)
    assert servers.spread._seats[0].rests_until == servers.now + FIRST_REST_S
    for _ in range(12):
        servers.now = servers.spread._seats[0].rests_until
        await servers.ask()
        await servers.ask()
    assert servers.spread._seats[0].rests_until - servers.now == LONGEST_REST_S


async def test_all_dead_is_told_after_each_was_asked_once() -> None:
    servers = Servers("abc")
    servers.dead = set("abc")
    for _ in range(3):
        servers.asked.clear()
        with pytest.raises(TryFailedError):
            await servers.ask()
        assert sorted(servers.asked) == ["a", "b", "c"]
    servers.dead = set("ab")
    assert await servers.ask() == "c"


async def test_a_refusal_is_no_failure_of_the_server_and_is_not_asked_elsewhere() -> None:
    asked = list[str]()

    async def refuse(name: str) -> str:
        asked.append(name)
        raise REFUSED

    spread = Spread("ab")
    with pytest.raises(TryFailedError):
        await spread.ask(refuse, lambda failure: failure.retriable)
    assert asked == ["a"]
    assert not any(seat.failures for seat in spread._seats)


async def test_random_deaths_lose_no_call_while_one_server_lives() -> None:
    rng, servers = random.Random(0), Servers("abcd")
    for _ in range(300):
        servers.dead = set(rng.sample("abcd", rng.randrange(4)))
        servers.now += rng.choice([0.0, 0.1, 1.0, 30.0])
        got = await asyncio.gather(*[servers.ask() for _ in range(rng.randrange(1, 6))])
        assert not set(got) & servers.dead
