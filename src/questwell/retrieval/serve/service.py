"""`Service`: a retriever with a bounded queue, batches, a deadline and a cache, for HTTP and MCP.

Queries that arrive while a batch is searched form the next batch, so batches grow with the load and a single query
does not wait. Equal queries in flight are searched once.
"""

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from questwell.errors import ConfigError, RetrievalBusy, RetrievalTimeout, RetrievalUnavailable
from questwell.retrieval.remote.wire import Answer
from questwell.retrieval.retriever import Filter, FilteringRetriever, Retriever
from questwell.types.corpus import Hit, Passage

_SMOOTHING = 0.1
"""Weight of the latest batch in the moving average of seconds per query, in [0, 1]."""


@runtime_checkable
class BatchRetriever(Protocol):
    """A retriever that searches many queries together faster than one by one, because it embeds them together."""

    async def search_many(self, queries: Sequence[str], k: int) -> Sequence[tuple[Hit, ...]]:
        """The hits of each query, best first, as `Retriever.search`."""
        ...


@runtime_checkable
class Documents(Protocol):
    """A retriever that can return a passage by its id."""

    def get(self, passage_id: str) -> Passage | None:
        """The passage with this id; None if there is none."""
        ...


@runtime_checkable
class Renewable(Protocol):
    """A retriever whose index another process may change."""

    def outdated(self) -> bool:
        """Whether the index has changed since it was opened."""
        ...


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """Limits of the load of one process."""

    deadline_s: float = 10.0
    """Maximum seconds from the arrival of a request to its hits."""
    queue: int = 1024
    """Maximum number of waiting queries; a request that would exceed it is refused."""
    batch: int = 32
    """Maximum number of queries searched together."""
    cache_bytes: int = 256_000_000
    """Maximum size of the cached answers in bytes; the least recently used are dropped first."""


Where = tuple[tuple[str, tuple[str, ...]], ...]
"""A filter in hashable form: each metadata key with its allowed values."""


class _Key(NamedTuple):
    snapshot: str
    query: str
    k: int
    where: Where

    @property
    def like(self) -> tuple[str, int, Where]:
        """Properties that must be equal for all queries of a batch."""
        return self.snapshot, self.k, self.where


@dataclass(slots=True, eq=False)
class _Waiting:
    key: _Key
    answer: asyncio.Future[Answer]
    until: float
    """Time on the event loop's clock at which the last waiting caller gives up."""


class Service:
    """Answers queries with a retriever. Belongs to one event loop; `aclose` closes the retriever too."""

    def __init__(self, retriever: Retriever, limits: ServiceLimits | None = None) -> None:
        self.retriever = retriever
        self.limits = limits or ServiceLimits()
        self.refused = 0
        """Number of requests refused because the queue was full."""
        self.searched = 0
        """Number of queries that were sent to the retriever."""
        self.from_cache = 0
        """Number of queries answered from the cache."""
        self.cached_bytes = 0
        self._cache: OrderedDict[_Key, Answer] = OrderedDict()
        self._queue: deque[_Waiting] = deque()
        self._in_flight: dict[_Key, _Waiting] = {}
        self._work = asyncio.Event()
        self._closing: list[Retriever] = []
        self._query_s = 0.0
        self._batches: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Number of queries in the queue."""
        return len(self._queue)

    async def search(self, queries: Sequence[str], k: int, where: Filter | None = None) -> list[Answer]:
        """The answer to each query, restricted to passages with the metadata `where`.

        Raises:
            ConfigError: there is a filter, but the retriever cannot filter.
            RetrievalBusy: the queue is full; none of the queries was searched.
            RetrievalTimeout: the deadline has passed.
            RetrievalError: the retriever failed.
        """
        snapshot = self.retriever.name
        until = asyncio.get_running_loop().time() + self.limits.deadline_s
        if where and not isinstance(self.retriever, FilteringRetriever):
            raise ConfigError(f"{snapshot} cannot filter by metadata: leave out where")
        among = _key_of(where or {})
        keys = [_Key(snapshot, query, k, among) for query in queries]
        known = {key: answer for key in keys if (answer := self._cached(key)) is not None}
        self.from_cache += len(known)
        pending = self._enqueue([key for key in dict.fromkeys(keys) if key not in known], until)
        if pending:
            await asyncio.wait([waiting.answer for waiting in pending], timeout=self.limits.deadline_s)
            if not all(waiting.answer.done() for waiting in pending):
                raise RetrievalTimeout(f"no hits within {self.limits.deadline_s:g} s; {len(self._queue)} are waiting")
            known |= {waiting.key: waiting.answer.result() for waiting in pending}
        return [known[key] for key in keys]

    async def renew(self, opening: Callable[[], Retriever]) -> bool:
        """Open the retriever again if its index has changed. Searches that have begun end on the old retriever.

        Raises:
            RetrievalError: the new index cannot be opened; the old one stays in use.
        """
        old = self.retriever
        if not isinstance(old, Renewable) or not await asyncio.to_thread(old.outdated):
            return False
        self.retriever = await asyncio.to_thread(opening)
        for older in self._closing:  # replaced by an earlier change, so no search uses it any more
            await older.aclose()
        self._closing = [old]
        return True

    async def aclose(self) -> None:
        """Stop searching and close the retriever. Waiting callers get `RetrievalUnavailable`."""
        if self._batches is not None:
            self._batches.cancel()
            await asyncio.gather(self._batches, return_exceptions=True)
        for waiting in self._in_flight.values():
            _fail(waiting, RetrievalUnavailable("the server is shutting down"))
        for retriever in (*self._closing, self.retriever):
            await retriever.aclose()

    def _cached(self, key: _Key) -> Answer | None:
        answer = self._cache.get(key)
        if answer is not None:
            self._cache.move_to_end(key)
        return answer

    def _enqueue(self, keys: list[_Key], until: float) -> list[_Waiting]:
        fresh = [key for key in keys if key not in self._in_flight]
        if fresh and self._queue and len(self._queue) + len(fresh) > self.limits.queue:
            self.refused += 1
            after_s = max(1, math.ceil(len(self._queue) * self._query_s))
            raise RetrievalBusy(f"{len(self._queue)} queries are waiting already; try again in {after_s} s", after_s)
        loop = asyncio.get_running_loop()
        for key in fresh:
            self._in_flight[key] = _Waiting(key, loop.create_future(), until)
            self._queue.append(self._in_flight[key])
        if fresh:
            self._work.set()
            if self._batches is None:
                self._batches = loop.create_task(self._search_batches())
        for key in keys:
            self._in_flight[key].until = max(self._in_flight[key].until, until)
        return [self._in_flight[key] for key in keys]

    async def _search_batches(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while batch := self._next_batch():
                started = time.perf_counter()
                await self._search_batch(batch)
                each = (time.perf_counter() - started) / len(batch)
                self._query_s += _SMOOTHING * (each - self._query_s)
                await asyncio.sleep(0)  # let answers go out and requests come in between two batches

    def _next_batch(self) -> list[_Waiting]:
        """The first query in the queue and all compatible ones; queries that nobody waits for any more are dropped."""
        batch: list[_Waiting] = []
        now = asyncio.get_running_loop().time()
        while self._queue and len(batch) < self.limits.batch:
            if self._queue[0].until <= now:
                late = self._queue.popleft()
                del self._in_flight[late.key]
                _fail(late, RetrievalTimeout(f"not searched within {self.limits.deadline_s:g} s"))
            elif batch and self._queue[0].key.like != batch[0].key.like:
                break
            else:
                batch.append(self._queue.popleft())
        return batch

    async def _search_batch(self, batch: list[_Waiting]) -> None:
        found = await self._found([waiting.key.query for waiting in batch], batch[0].key)
        self.searched += len(batch)
        for waiting, hits in zip(batch, found, strict=True):
            del self._in_flight[waiting.key]
            if waiting.answer.done():
                continue
            if isinstance(hits, BaseException):
                _fail(waiting, hits)
            else:
                answer = Answer(hits)
                waiting.answer.set_result(answer)
                self._keep(waiting.key, answer)

    async def _found(self, queries: list[str], key: _Key) -> Sequence[tuple[Hit, ...] | BaseException]:
        retriever = self.retriever
        if key.where and isinstance(retriever, FilteringRetriever):
            together = retriever.search_where(queries, key.k, dict(key.where))
        elif isinstance(retriever, BatchRetriever):
            together = retriever.search_many(queries, key.k)
        else:
            each = (retriever.search(query, key.k) for query in queries)
            return await asyncio.gather(*each, return_exceptions=True)
        try:
            return await together
        except Exception as error:  # any error goes to the callers, and the next batch is searched
            return [error] * len(queries)

    def _keep(self, key: _Key, answer: Answer) -> None:
        self._cache[key] = answer
        self.cached_bytes += answer.weight
        while self.cached_bytes > self.limits.cache_bytes:
            _, dropped = self._cache.popitem(last=False)
            self.cached_bytes -= dropped.weight


def _key_of(where: Filter) -> Where:
    values = {key: (value,) if isinstance(value, str) else tuple(sorted(value)) for key, value in where.items()}
    return tuple(sorted(values.items()))


def _fail(waiting: _Waiting, error: BaseException) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
        waiting.answer.exception()  # mark it as seen, for nobody may be waiting any more
