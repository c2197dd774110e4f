"""A served index under load: ours, next to a straightforward one-process FastAPI server of the same index.

    python benchmarks/serving.py CORPUS.jsonl QUESTIONS.jsonl [--seconds 8] [--workers 2]

Run it on an idle machine. QUESTIONS has `question` and `decomposition` in each line. Clients send a query and wait for
its answer before the next (closed loop) over keep-alive connections of this process; the servers are processes of their
own on the same cores. Queries differ, so that no cache answers, except for the path that says so. Results go to
benchmarks/results/serving.json.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from arguments import existing_file, parser
from report import heading, write

TOP_K = 3
HEAD = "POST /retrieve HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
ROUNDS = 3
"""Number of times each path is measured, in turn with the others; the median run is reported."""


@dataclass(frozen=True)
class Measured:
    """The result of one path under one load."""

    path: str
    clients: int
    queries_a_request: int
    queries_per_s: float
    p50_ms: float
    """Median latency of a request."""
    p99_ms: float
    answered: int
    """Number of answered requests."""
    statuses: dict[str, int]
    """Number of requests by status; `failed` is a broken connection."""
    cpu_ms_per_query: float
    """User and system time of the server's processes."""


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    port: int
    pids: tuple[int, ...]


# --- servers


def fastapi_server(folder: str) -> None:
    """The server one would write first: a model, a route, the index, uvicorn, as in the protocol's original server."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    from questwell.retrieval.index.lexical import LexicalIndex

    index = LexicalIndex.open(Path(folder))
    app = FastAPI()

    class QueryRequest(BaseModel):
        queries: list[str]
        topk: int | None = None
        return_scores: bool = False

    @app.post("/retrieve")
    def retrieve(request: QueryRequest) -> dict[str, object]:
        result: list[object] = []
        for query in request.queries:
            hits = index.find(query, request.topk or TOP_K)
            documents = [
                {"id": hit.passage.id, "contents": f'"{hit.passage.title}"\n{hit.passage.text}'} for hit in hits
            ]
            scored = [{"document": one, "score": hit.score} for one, hit in zip(documents, hits, strict=True)]
            result.append(scored if request.return_scores else documents)
        return {"result": result}

    config = uvicorn.Config(app, port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)

    async def told() -> None:
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        print(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/retrieve", file=sys.stderr, flush=True)
        await task

    asyncio.run(told())


@contextlib.contextmanager
def started(command: list[str]) -> Generator[Server]:
    """A server process and what it started; ended with SIGTERM."""
    with subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            address = next((line for line in process.stderr if "/retrieve" in line), "")
            if not address:
                raise SystemExit(f"the server ended with {process.wait()}: {' '.join(command)}")
            port = int(address.split("/retrieve")[0].rsplit(":", 1)[1])
            asyncio.run(load(port, 32, 1, itertools.cycle(["warm"]).__next__, 1.5))
            yield Server(port, (process.pid, *children(process.pid)))
        finally:
            process.terminate()
            process.wait(30)


def ours(folder: Path, corpus: Path, workers: int, *more: str) -> list[str]:
    code = "from questwell.cli.app import main; main()"
    flags = ["--index", str(folder), "--workers", str(workers), "--port", "0", *more]
    return ["-c", code, "serve", str(corpus), *flags]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_s(pids: tuple[int, ...]) -> float:
    """User and system time so far in seconds."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


# --- load


async def load(
    port: int, clients: int, queries: int, next_query: Callable[[], str], seconds: float
) -> tuple[list[float], Counter[str], float]:
    """Seconds of each answered request, how requests ended, and seconds in all."""
    latencies: list[float] = []
    ended: Counter[str] = Counter()
    until = time.perf_counter() + seconds

    async def client() -> None:
        reader = writer = None
        while time.perf_counter() < until:
            asked = {"queries": [next_query() for _ in range(queries)], "topk": TOP_K, "return_scores": True}
            body = json.dumps(asked).encode()
            head = f"{HEAD}content-length: {len(body)}\r\n\r\n"
            started = time.perf_counter()
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                assert reader is not None
                writer.write(head.encode() + body)
                answer = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1]) for line in answer.lower().split(b"\r\n") if b"content-length" in line
                )
                raw = await reader.readexactly(length)
            except (OSError, asyncio.IncompleteReadError):
                ended["failed"] += 1
                writer = None
                continue
            status = answer[9:12].decode()
            ended[status] += 1
            if status == "200":
                latencies.append(time.perf_counter() - started)
                assert raw.startswith(b'{"result":[[')
            else:
                await asyncio.sleep(0.05)
        if writer is not None:
            writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return latencies, ended, time.perf_counter() - started


def measure(
    path: str, server: Server, clients: int, queries: int, next_query: Callable[[], str], seconds: float
) -> Measured:
    before = cpu_s(server.pids)
    latencies, ended, took = asyncio.run(load(server.port, clients, queries, next_query, seconds))
    used = cpu_s(server.pids) - before
    points = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else [0.0] * 99
    answered = max(len(latencies) * queries, 1)
    found = Measured(
        path=path,
        clients=clients,
        queries_a_request=queries,
        queries_per_s=round(len(latencies) * queries / took, 1),
        p50_ms=round(points[49] * 1e3, 2),
        p99_ms=round(points[98] * 1e3, 2),
        answered=len(latencies),
        statuses=dict(ended),
        cpu_ms_per_query=round(used / answered * 1e3, 4),
    )
    print(f"{path:28} {clients:4} clients  {found.queries_per_s:9,.0f} queries/s  p50 {found.p50_ms:8.2f} ms  "
          f"p99 {found.p99_ms:8.2f} ms  {found.cpu_ms_per_query:.3f} CPU ms  {found.statuses}")  # fmt: skip
    return found


def different(questions: list[str], seed: int) -> Iterator[str]:
    """Endless queries that hardly ever repeat: a question with the last words of another."""
    rng = random.Random(seed)
    while True:
        one, other = rng.choice(questions), rng.choice(questions).split()
        yield f"{one} {' '.join(other[-3:])} {rng.choice(questions).split()[-1]}"


def median_of(runs: list[Measured]) -> Measured:
    return sorted(runs, key=lambda run: run.queries_per_s)[len(runs) // 2]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("corpus", type=existing_file)
    options.add_argument("questions", type=existing_file)
    options.add_argument("--seconds", type=float, default=8.0, help="of load on each path")
    options.add_argument("--workers", type=int, default=2, help="processes of our larger server")
    asked = options.parse_args()
    report = heading()
    rows = [json.loads(line) for line in asked.questions.read_text(encoding="utf-8").splitlines()]
    questions: list[str] = [step["question"] for row in rows for step in [row, *row["decomposition"]]]
    fresh = different(questions, 1).__next__
    repeated = itertools.chain.from_iterable(itertools.repeat(query, 4) for query in different(questions, 2)).__next__
    measured: list[Measured] = []

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "index"
        from questwell.retrieval.corpora.corpus import CorpusSpec
        from questwell.retrieval.index.indexing import open_or_build

        passages = len(open_or_build(CorpusSpec(str(asked.corpus)), folder=folder))
        corpus, workers, seconds = asked.corpus, asked.workers, asked.seconds
        plain = [__file__, "--fastapi", str(folder)]
        with (
            started(ours(folder, corpus, workers)) as many,
            started(ours(folder, corpus, 1)) as one,
            started(plain) as fastapi,
        ):
            paths = {
                f"questwell, {workers} processes": many,
                "questwell, 1 process": one,
                "FastAPI, 1 process": fastapi,
            }
            for clients, queries in ((64, 1), (256, 1), (64, 16)):
                runs: dict[str, list[Measured]] = {path: [] for path in paths}
                for _ in range(ROUNDS):
                    for path, server in paths.items():
                        runs[path].append(measure(path, server, clients, queries, fresh, seconds / ROUNDS))
                measured += [median_of(found) for found in runs.values()]
            measured.append(
                measure(f"questwell, {workers} processes, each query 4 times", many, 64, 1, repeated, seconds / 2)
            )
        with started(ours(folder, corpus, 1, "--queue", "16", "--batch", "8")) as small:
            overload = measure("overload: queue of 16", small, 256, 1, fresh, seconds / 2)
            after = measure("after the overload", small, 8, 1, fresh, seconds / 4)

    ratios = {
        f"{a.clients} clients, {a.queries_a_request} queries per request": {
            "queries_per_s": round(a.queries_per_s / b.queries_per_s, 2),
            "p99": round(a.p99_ms / b.p99_ms, 2),
            "cpu_ms_per_query": round(a.cpu_ms_per_query / b.cpu_ms_per_query, 2),
        }
        for a, b in zip(measured[0:9:3], measured[2:9:3], strict=True)
    }
    write("serving", {
        **report, "passages": passages, "top_k": TOP_K, "rounds": ROUNDS, "load_after": os.getloadavg()[0],
        "measured": [asdict(found) for found in measured], "ratios_to_fastapi": ratios,
        "overload": asdict(overload), "after_overload": asdict(after),
    })  # fmt: skip
    print(json.dumps(ratios, indent=1))


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--fastapi":
        fastapi_server(sys.argv[2])
    else:
        main()
