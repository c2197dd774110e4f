import asyncio
import sys

import pytest

from questwell.errors import ConfigError, RetrievalBusy, RetrievalError, RetrievalTimeout, RetrievalUnavailable
from questwell.retrieval.remote.wire import Answer
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


async def test_the_cache_counts_bytes_and_drops_the_least_recently_used():
    slow = Slow()
    slow.go.set()
    one = Answer(tuple(Hit(Passage("a1", "", "a", "a"), 1.0, 1) for _ in range(1))).weight
    service = Service(slow, ServiceLimits(cache_bytes=2 * one))
    for query in ["a", "b", "a", "c", "a", "b"]:
        await service.search([query], 1)
    assert [query for query, _ in slow.asked] == ["a", "b", "c", "b"]
    assert service.cached_bytes == 2 * one
    await service.search(["x" * 100_000], 1)  # larger than the cache: not kept, and not in place of everything for long
    assert service.cached_bytes == 0
    await service.aclose()


def test_the_weight_of_an_answer_covers_what_it_takes():
    passages = [Passage(f"p{n}", "T" * 50, "wörter " * 100, "d", metadata=(("k", "v" * 30),)) for n in range(20)]
    answer = Answer(tuple(Hit(passage, 1.0, n) for n, passage in enumerate(passages, 1)))
    held = sum(sys.getsizeof(text) for passage in passages for text in (passage.title, passage.text))
    held += sum(len(answer.encoded(scores=scores, whole=True)) for scores in (True, False))
    assert held <= answer.weight <= 8 * held


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


async def test_an_answer_that_comes_too_late_is_a_time_out_for_everyone_who_waits():
    slow = Slow()
    service = Service(slow, ServiceLimits(deadline_s=60, batch=1))
    first = asyncio.create_task(service.search(["a"], 1))
    await settle()
    late = asyncio.create_task(service.search(["b"], 1))
    await settle()
    await asyncio.sleep(0)
    service._queue[0].until = 0.0  # its time is over before the batch comes to it, and before its own timer fires
    slow.go.set()
    assert ids(await first) == [["a1"]]
    with pytest.raises(RetrievalTimeout, match="not searched"):
        await late
    await service.aclose()


async def test_those_who_wait_when_the_server_ends_are_told_so():
    slow = Slow()
    service = Service(slow)
    call = asyncio.create_task(service.search(["a"], 1))
    await settle()
    await service.aclose()
    with pytest.raises(RetrievalUnavailable, match="shutting down"):
        await call


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


class Filtered(Batching):
    def __init__(self):
        super().__init__()
        self.wheres = []

    async def search_where(self, queries, k, where):
        self.wheres.append((tuple(queries), where))
        return [(Hit(Passage(f"{query}-{sorted(where)}", "", query, query), 1.0, 1),) for query in queries]


async def test_a_filter_is_part_of_what_is_asked():
    filtered = Filtered()
    filtered.go.set()
    service = Service(filtered)
    one, two, none = await asyncio.gather(
        service.search(["a", "b"], 1, {"year": ["2", "1"]}),
        service.search(["a"], 1, {"year": "1"}),
        service.search(["a"], 1),
    )
    await service.search(["b"], 1, {"year": ["1", "2"]})
    assert filtered.wheres == [(("a", "b"), {"year": ("1", "2")}), (("a",), {"year": ("1",)})]
    assert (ids(one)[0], ids(two), ids(none)) == (["a-['year']"], [["a-['year']"]], [["a1"]])
    await service.aclose()
    plain = Service(Slow())
    with pytest.raises(ConfigError, match="cannot filter"):
        await plain.search(["a"], 1, {"year": "1"})
    await plain.aclose()
