"""Makes `/metrics` in Prometheus' text format, summed over all reader processes by its client (extra `serve`).

The processes share a folder of memory-mapped counters, so any process can answer for all of them.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Generator, MutableMapping
from typing import TYPE_CHECKING, Any

from questwell.retrieval.extras import optional
from questwell.retrieval.serve.gate import App, Message, Receive, Send
from questwell.retrieval.serve.service import Service

if TYPE_CHECKING:
    from questwell.retrieval.serve.connections import Guard

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ROUTES = ("/retrieve", "/open", "/find", "/mcp", "/healthz", "/metrics")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

MEANINGS = {
    "questwell_requests": "Requests answered",
    "questwell_request_seconds": "Seconds from a request to its reply",
    "questwell_queries_searched": "Queries that were sent to the retriever",
    "questwell_queries_cached": "Queries answered from the cache",
    "questwell_connections_refused": "Connections refused, or closed to make room",
    "questwell_queries_waiting": "Queries in the queues",
    "questwell_connections": "Open connections",
    "questwell_cache_bytes": "Size of the cached answers in bytes",
}
"""The meaning of each metric, by name."""


@contextlib.contextmanager
def shared() -> Generator[None]:
    """Create a folder in which the processes that are started inside the block share their counters."""
    if FOLDER_VARIABLE in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="questwell-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER_VARIABLE]


def _named(name: str) -> tuple[str, str]:
    return name, MEANINGS[name]


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        optional("prometheus_client", "serve")
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = CollectorRegistry()
        more: dict[str, Any] = {"registry": self._registry}
        now: dict[str, Any] = {**more, "multiprocess_mode": "livesum"}
        self._requests = Counter(*_named("questwell_requests"), ["route", "status"], **more)
        self._seconds = Histogram(*_named("questwell_request_seconds"), ["route"], buckets=_BUCKETS, **more)
        self._searched = Counter(*_named("questwell_queries_searched"), **more)
        self._from_cache = Counter(*_named("questwell_queries_cached"), **more)
        self._refused = Counter(*_named("questwell_connections_refused"), **more)
        self._waiting = Gauge(*_named("questwell_queries_waiting"), **now)
        self._open = Gauge(*_named("questwell_connections"), **now)
        self._cache = Gauge(*_named("questwell_cache_bytes"), **now)
        self._told = [0, 0, 0]

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def note(self, service: Service, guard: "Guard | None") -> None:
        """Record the current state of the process."""
        totals = [service.searched, service.from_cache, guard.refused if guard else 0]
        for counter, total, told in zip(
            (self._searched, self._from_cache, self._refused), totals, self._told, strict=True
        ):
            counter.inc(total - told)
        self._told = totals
        self._waiting.set(service.waiting)
        self._open.set(guard.open if guard else 0)
        self._cache.set(service.cached_bytes)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = self._registry
        if FOLDER_VARIABLE in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry)


class Measured:
    """An ASGI application that counts the requests to another."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, seen)
        finally:
            path = scope["path"]
            route = path if path in ROUTES else "/docs" if path.startswith("/docs/") else "other"
            self._metrics.request(route, status, time.perf_counter() - started)
