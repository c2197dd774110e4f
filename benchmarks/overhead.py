"""What a model call costs on our side of the wire: throughput, CPU, memory against an endpoint of fixed latency.

    python benchmarks/overhead.py [--calls 3072] [--in-flight 256 --in-flight 1000] [--latency 1] [--path recorded]

Run it on an idle machine. The endpoint and each row have their own processes. Each path in `PATHS` is one way to make
the same chat call; the extra cost of a path over the one before it is the cost of its layer. Results go to
benchmarks/results/overhead.json.

A run begins and ends with fewer calls in flight than it may have, and our client spreads its first calls over a second.
So a share of the ideal rate is given twice: of the whole run, and of its calls after each worker's first.
"""

import asyncio
import itertools
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import aiohttp
import httpx2
from arguments import parser
from fixed_endpoint import MODEL, content_length, endpoint
from report import heading, write

from questwell.agents.session import Session
from questwell.http.retrying import giving_up_with
from questwell.llm.client import Message, Request
from questwell.llm.limiter import Limiter
from questwell.llm.openai import OpenAIClient
from questwell.llm.prices import FREE
from questwell.recipes.runs.budget import Budget, SpendingLimits
from questwell.recipes.runs.collecting import collecting_seldom
from questwell.recipes.runs.recorder import Recorder
from questwell.store.run import RunStore
from questwell.types.corpus import Hit
from questwell.types.game import Place
from questwell.types.trajectory import Role
from questwell.types.usage import Usage

REQUEST = Request(messages=(Message("user", "lorem ipsum dolor sit " * 200),), max_tokens=64)
"""A request of about 1,000 tokens, as a solver's turn with a few passages."""

CALLS_PER_PLAY = 13
"""On the recorded path seeds change as often as in a real run of the staged agents (13 calls per seed)."""

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Measured:
    """The result of one path at one latency."""

    path: str
    latency_s: float
    in_flight: int
    calls: int
    calls_per_s: float
    share_of_ideal: float | None
    """Share of the ideal rate, in_flight / latency_s, over the whole run; None without latency."""
    steady_share_of_ideal: float | None
    """The same without each worker's first call: latency_s over the mean time from one answer of a worker to its
    next."""
    cpu_ms_per_call: float
    """User and system time of this process alone."""
    peak_memory_mb: int
    """Peak memory of this process, imports included."""


# --- paths


@asynccontextmanager
async def raw_socket(address: tuple[str, int], in_flight: int) -> AsyncGenerator[Call]:
    """The lower bound: asyncio streams and JSON, without any checks."""
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    message = {"role": "user", "content": REQUEST.messages[0].content}

    async def call() -> object:
        reader, writer = idle.pop() if idle else await asyncio.open_connection(*address)
        body = json.dumps({"model": MODEL, "messages": [message], "max_tokens": 64, "temperature": 0.0}).encode()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        reply = json.loads(await reader.readexactly(content_length(head)))
        idle.append((reader, writer))
        return reply["choices"][0]["message"]["content"]

    yield call
    for _, writer in idle:
        writer.close()


@asynccontextmanager
async def bare_httpx2(address: tuple[str, int], in_flight: int) -> AsyncGenerator[Call]:
    """The HTTP library as it comes: one client, one pool, JSON."""
    url = f"http://{address[0]}:{address[1]}/v1/chat/completions"
    message = {"role": "user", "content": REQUEST.messages[0].content}
    limits = httpx2.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with httpx2.AsyncClient(limits=limits, timeout=60.0) as client:

        async def call() -> object:
            body = {"model": MODEL, "messages": [message], "max_tokens": 64, "temperature": 0.0}
            return (await client.post(url, json=body)).json()["choices"][0]["message"]["content"]

        yield call


@asynccontextmanager
async def pooled_httpx2(address: tuple[str, int], in_flight: int) -> AsyncGenerator[Call]:
    """The HTTP library in pools of 8 connections, which it looks through faster: what our client used before."""
    url = f"http://{address[0]}:{address[1]}/v1/chat/completions"
    message = {"role": "user", "content": REQUEST.messages[0].content}
    pools: list[httpx2.AsyncClient] = []
    idle: list[httpx2.AsyncClient] = []

    async def call() -> object:
        if not idle:
            pools.append(httpx2.AsyncClient(limits=httpx2.Limits(max_connections=8), timeout=60.0))
            idle.extend(pools[-1:] * 8)
        client = idle.pop()
        body = {"model": MODEL, "messages": [message], "max_tokens": 64, "temperature": 0.0}
        try:
            return (await client.post(url, json=body)).json()["choices"][0]["message"]["content"]
        finally:
            idle.append(client)

    yield call
    for client in pools:
        await client.aclose()


@asynccontextmanager
async def bare_aiohttp(address: tuple[str, int], in_flight: int) -> AsyncGenerator[Call]:
    """The HTTP library that our client uses, as it comes."""
    url = f"http://{address[0]}:{address[1]}/v1/chat/completions"
    message = {"role": "user", "content": REQUEST.messages[0].content}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def call() -> object:
            body = {"model": MODEL, "messages": [message], "max_tokens": 64, "temperature": 0.0}
            async with session.post(url, json=body) as response:
                return (await response.json())["choices"][0]["message"]["content"]

        yield call


@asynccontextmanager
async def our_client(address: tuple[str, int], in_flight: int) -> AsyncGenerator[Call]:
    """`OpenAIClient`: aiohttp, limiter, retries, checked replies."""
    base_url = f"http://{address[0]}:{address[1]}/v1"
    client = OpenAIClient(MODEL, base_url, limiter=Limiter(in_flight), pricing=FREE)
    try:
        yield lambda: client.complete(REQUEST)
    finally:
        await client.aclose()


@asynccontextmanager
async def recorded(address: tuple[str, int], in_flight: int) -> AsyncGenerator[Call]:
    """`RecordedSession` over `OpenAIClient`: no answer is used before it is in a run file, fsynced.

    Each call repeats its request, which packs better than a real dialogue; digest, JSON and packing work all the same.
    """
    base_url = f"http://{address[0]}:{address[1]}/v1"
    client = OpenAIClient(MODEL, base_url, limiter=Limiter(in_flight), pricing=FREE)
    seeds = itertools.count()
    idle: list[tuple[Session, int]] = []
    with tempfile.TemporaryDirectory() as folder, RunStore(Path(folder)) as store:
        budget = Budget(SpendingLimits(), Usage())
        recorder = Recorder(store, dict.fromkeys(Role, client), _NoBooks(), budget)

        async def call() -> object:
            session, left = idle.pop() if idle else _play(recorder, f"s{next(seeds):05d}")
            completion = await session.complete(REQUEST)
            if left > 1:
                idle.append((session, left - 1))
            return completion

        with giving_up_with(budget.retries), collecting_seldom():  # as in the workers of a run
            yield call
        await client.aclose()


def _play(recorder: Recorder, seed: str) -> tuple[Session, int]:
    return recorder.sessions(seed)(Place(seed, 0, Role.SOLVER)), CALLS_PER_PLAY


class _NoBooks:
    """A retriever that is never called."""

    name = "none"

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        return ()

    async def aclose(self) -> None: ...


PATHS: dict[str, Callable[[tuple[str, int], int], AbstractAsyncContextManager[Call]]] = {
    "raw_socket": raw_socket,
    "bare_httpx2": bare_httpx2,
    "pooled_httpx2": pooled_httpx2,
    "bare_aiohttp": bare_aiohttp,
    "openai_client": our_client,
    "recorded": recorded,
}


# --- measuring


@dataclass(frozen=True)
class Timed:
    """What `measure` returns."""

    wall_s: float
    cpu_s: float
    cycles_s: list[float]
    """Times in seconds from one answer of a worker to its next."""


async def measure(call: Call, in_flight: int, total: int) -> Timed:
    """Make `total` calls, with `in_flight` of them at the same time, and measure them."""
    remaining = iter(range(total))
    cycles_s: list[float] = []

    async def worker() -> None:
        answered: float | None = None
        for _ in remaining:
            await call()
            before, answered = answered, time.perf_counter()
            if before is not None:
                cycles_s.append(answered - before)

    started, before = time.perf_counter(), os.times()
    await asyncio.gather(*[worker() for _ in range(in_flight)])
    wall_s, after = time.perf_counter() - started, os.times()
    return Timed(wall_s, after.user + after.system - before.user - before.system, cycles_s)


async def run(path: str, latency_s: float, in_flight: int, total: int) -> Measured:
    with endpoint(latency_s) as address:
        async with PATHS[path](address, in_flight) as call:
            await call()
            timed = await measure(call, in_flight, total)
    rate = total / timed.wall_s
    return Measured(
        path=path,
        latency_s=latency_s,
        in_flight=in_flight,
        calls=total,
        calls_per_s=round(rate, 1),
        share_of_ideal=round(rate * latency_s / in_flight, 3) if latency_s else None,
        steady_share_of_ideal=round(latency_s / mean(timed.cycles_s), 3) if latency_s and timed.cycles_s else None,
        cpu_ms_per_call=round(timed.cpu_s / total * 1000, 3),
        peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


def run_alone(path: str, latency_s: float, in_flight: int, total: int) -> Measured:
    """As `run`, in this process; a top-level function, so that another process can be told to call it."""
    return asyncio.run(run(path, latency_s, in_flight, total))


# --- the command


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--calls", type=int, default=3072, help="calls per row (default: 3072)")
    options.add_argument("--in-flight", type=int, action="append", help="may be repeated (default: 256)")
    options.add_argument("--latency", type=float, action="append", help="seconds; may be repeated (default: 0 and 1)")
    options.add_argument("--path", choices=PATHS, action="append", help="may be repeated (default: all)")
    asked = options.parse_args()
    report = heading()
    rows: list[dict[str, object]] = []
    fresh = multiprocessing.get_context("spawn")
    settings = itertools.product(asked.latency or [0.0, 1.0], asked.in_flight or [256], asked.path or PATHS)
    for latency_s, in_flight, path in settings:
        with ProcessPoolExecutor(1, fresh) as alone:  # so that the memory is that of one row
            measured = alone.submit(run_alone, path, latency_s, in_flight, asked.calls).result()
        rows.append(asdict(measured))
        print(json.dumps(rows[-1]), flush=True)
    report["results"] = rows
    write("overhead", report)


if __name__ == "__main__":
    main()
