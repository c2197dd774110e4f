import asyncio

import pytest

from questwell.errors import RetrievalBusy, RetrievalError, RetrievalTimeout, RetrievalUnavailable
from questwell.retrieval.serve.service import Service, ServiceLimits
from questwell.types.corpus import Hit, Passage


class Slow:
    """Finds the query itself; every search waits for `go`."""

    def __init__(self):
        self.name = "slow@1"
        self.go = asyncio.Event()
        self.asked = []
        self.closed = False

    async def search(self, query, k):
        self.asked.append((query, k))
        await self.go.wait()
        if query == "broken":
            raise RetrievalUnavailable("broken")
        return tuple(Hit(Passage(f"{query}{n}", "", query, query), 1.0, n) for n in range(1, k + 1))

    async def aclose(self):
        self.closed = True


class Batching(Slow):
    def __init__(self):
        super().__init__()
        self.batches = []

    async def search_many(self, queries, k):
        self.batches.append((tuple(queries), k))
        return [await self.search(query, k) for query in queries]


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


def ids(answers):
    return [[hit.passage.id for hit in answer.hits] for answer in answers]


async def test_each_query_gets_its_answer_in_order():
    slow = Slow()
    slow.go.set()
    service = Service(slow)
    assert ids(await service.search(["b", "a", "b"], 2)) == [["b1", "b2"], ["a1", "a2"], ["b1", "b2"]]
    assert slow.asked == [("b", 2), ("a", 2)]
    assert await service.search([], 3) == []
    await service.aclose()
    assert slow.closed


async def test_what_waits_during_a_batch_is_the_next_one():
    slow = Batching()
    service = Service(slow, ServiceLimits(batch=3))
    calls = [asyncio.create_task(service.search([query], 1)) for query in "abcdef"]
    calls.append(asyncio.create_task(service.search(["a"], 2)))
    await settle()
    slow.go.set()
    answers = await asyncio.gather(*calls)
    assert [ids(answer)[0] for answer in answers] == [["a1"], ["b1"], ["c1"], ["d1"], ["e1"], ["f1"], ["a1", "a2"]]
    assert [batch for batch, _ in slow.batches] == [("a", "b", "c"), ("d", "e", "f"), ("a",)]
    await service.aclose()


async def test_queries_that_want_more_hits_are_a_batch_of_their_own():
    slow = Batching()
    slow.go.set()
    service = Service(slow)
    found = await asyncio.gather(service.search(["a"], 1), service.search(["b"], 2), service.search(["c"], 1))
    assert [ids(answers) for answers in found] == [[["a1"]], [["b1", "b2"]], [["c1"]]]
    await service.aclose()


async def test_equal_queries_in_flight_are_searched_once_and_later_ones_not_at_all():
    slow = Slow()
    service = Service(slow)
    calls = [asyncio.create_task(service.search(["a"], 1)) for _ in range(5)]
    await settle()
    slow.go.set()
    assert all(ids(answer) == [["a1"]] for answer in await asyncio.gather(*calls))
    await service.search(["a"], 1)
    assert slow.asked == [("a", 1)]
    await service.search(["a"], 2)
    slow.name = "slow@2"  # another snapshot: what was cached does not count
    await service.search(["a"], 1)
    assert slow.asked == [("a", 1), ("a", 2), ("a", 1)]
    await service.aclose()


async def test_the_cache_drops_the_least_recently_used():
    slow = Slow()
    slow.go.set()
    service = Service(slow, ServiceLimits(cache=2))
    for query in ["a", "b", "a", "c", "a", "b"]:
        await service.search([query], 1)
    assert [query for query, _ in slow.asked] == ["a", "b", "c", "b"]
    await service.aclose()


async def test_a_full_queue_refuses_and_recovers():
    slow = Slow()
    service = Service(slow, ServiceLimits(queue=4, batch=2))
    first = asyncio.create_task(service.search(["a", "b"], 1))
    await settle()
    queued = asyncio.create_task(service.search(["c", "d", "e", "f"], 1))
    await settle()
    assert service.waiting == 4
    with pytest.raises(RetrievalBusy) as busy:
        await service.search(["g"], 1)
    assert busy.value.retry_after_s >= 1
    assert service.refused == 1
    assert service.waiting == 4
    slow.go.set()
    await first
    await queued
    assert ids(await service.search(["g"], 1)) == [["g1"]]
    await service.aclose()


async def test_a_request_longer_than_the_queue_passes_when_nothing_waits():
    slow = Slow()
    slow.go.set()
    service = Service(slow, ServiceLimits(queue=2))
    assert len(await service.search([str(n) for n in range(10)], 1)) == 10
    await service.aclose()


async def test_the_deadline_is_a_typed_time_out_and_late_queries_are_dropped():
    slow = Slow()
    service = Service(slow, ServiceLimits(deadline_s=0.05, batch=1))
    calls = [asyncio.create_task(service.search([query], 1)) for query in "abc"]
    with pytest.raises(RetrievalTimeout):
        await calls[0]
    await asyncio.gather(*calls, return_exceptions=True)
    slow.go.set()
    assert ids(await service.search(["d"], 1)) == [["d1"]]
    assert [query for query, _ in slow.asked] == ["a", "d"]
    await service.aclose()


async def test_one_waiter_that_leaves_does_not_take_the_others_along():
    slow = Slow()
    service = Service(slow)
    leaves, stays = (asyncio.create_task(service.search(["a"], 1)) for _ in range(2))
    await settle()
    leaves.cancel()
    await settle()
    slow.go.set()
    assert ids(await stays) == [["a1"]]
    await service.aclose()


@pytest.mark.parametrize("kind", [Slow, Batching])
async def test_a_failure_reaches_who_asked_and_is_not_cached(kind):
    slow = kind()
    slow.go.set()
    service = Service(slow, ServiceLimits(batch=1))
    for _ in range(2):
        with pytest.raises(RetrievalUnavailable):
            await service.search(["broken"], 1)
    assert len(slow.asked) == 2
    assert ids(await service.search(["a"], 1)) == [["a1"]]
    await service.aclose()


async def test_of_many_queries_only_the_broken_one_fails_its_request():
    slow = Slow()
    slow.go.set()
    service = Service(slow)
    good, bad = await asyncio.gather(
        service.search(["a"], 1), service.search(["broken", "b"], 1), return_exceptions=True
    )
    assert ids(good) == [["a1"]]
    assert isinstance(bad, RetrievalError)
    await service.aclose()
