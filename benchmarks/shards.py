"""A run in shards is the run of one process, row by row; 30 SIGKILLs over parents and shards, and what they cost.

    python benchmarks/shards.py [--seeds 2000] [--shards 8] [--kills 30] [--kill-seeds 300] [--kill-shards 4]

Equality: `generate --llm mock` over a made-up corpus, in one process and in `--shards`; every table is compared row by
row, except for times. Kills: the same verb against a server on this machine that counts what it is
asked. Every third kill hits a parent, the others one of its shards; the run is restarted at once. Then it is left
alone and compared with a run that was never killed. A call counts as paid twice when the server answered it and the run
does not have it. Results go to benchmarks/results/shards.json, or to --out. Exits with 1 when anything differs.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from arguments import parser
from report import heading, write

from questwell.llm.client import Message, Request
from questwell.llm.gallery.mock import MockLLM

COLUMNS = {
    "plays": "seed_index, target, answer_type, status, reason, detail, question, answer, question_key, difficulty, "
    "seed, outcome",
    "verdicts": "seed_index, round, outcome, right, scored, skipped, difficulty",
    "passages": "id, passage",
    "calls": "seed, round, role, attempt, turn, digest, kind, model, prompt_tokens, completion_tokens, cost_usd, base, "
    "CASE WHEN json_type(response) = 'object' THEN json_remove(response, '$.latency_s') ELSE response END, request",
    "play_counts": "target, status, reason, round, final, outcome, right, scored, skipped, difficulty, plays, calls",
    "duplicates": "seed_index",
    "gate_counts": "gate, outcome, proposals",
}
"""What is compared, in this order of columns: all but times, and the wave in which a seed was drawn."""
KEYS = {"plays": 1, "verdicts": 2, "passages": 1, "calls": 6, "play_counts": 10, "duplicates": 1, "gate_counts": 2}
"""Number of first columns that are the key of a row."""
LATENCY_S = 0.05
"""How long the server takes to answer, so that calls are in flight when a process is killed."""
AT_ONCE = 4
"""Plays at the same time of one shard, which is the most calls that it has in flight."""
WORDS = ("river", "guild", "bridge", "keeper", "stone", "arch", "toll", "market", "harbour", "tower", "lamp", "ferry")


def corpus(path: Path, passages: int) -> Path:
    """Write a corpus of passages, each about something with its own name and year."""
    rng = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(passages):
            said = " ".join(rng.choices(WORDS, k=24))
            text = f"Bridge Number {number} was opened in {1000 + number} by Alma Keeper {number % 97}. The {said}."
            file.write(json.dumps({"id": f"b{number}", "title": f"Bridge Number {number}", "text": text}) + "\n")
    return path


def command(corpus: Path, out: Path, seeds: int, *more: object) -> list[str]:
    given = ("generate", "--corpus", corpus, "-n", seeds, "--steps", 2, "--out", out, *more)
    return [sys.executable, "-m", "questwell", *map(str, given)]


def play(line: list[str]) -> float:
    """Run a command, and return its duration in seconds."""
    started = time.perf_counter()
    ended = subprocess.run(line, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if ended.returncode:
        sys.exit(f"{' '.join(line)} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return round(time.perf_counter() - started, 1)


# --- row by row


def rows(run: Path, table: str) -> Iterator[tuple[object, ...]]:
    with closing(sqlite3.connect(run / "run.sqlite")) as db:
        order = ", ".join(map(str, range(1, KEYS[table] + 1)))
        yield from db.execute(f"SELECT {COLUMNS[table]} FROM {table} ORDER BY {order}")


def compare(one: Path, other: Path) -> dict[str, dict[str, int]]:
    """Rows and differing rows by table."""
    found: dict[str, dict[str, int]] = {}
    for table in COLUMNS:
        same = [a == b for a, b in itertools.zip_longest(rows(one, table), rows(other, table))]
        found[table] = {"rows": len(same), "different": same.count(False)}
    return found


def different(tables: dict[str, dict[str, int]]) -> int:
    return sum(one["different"] for one in tables.values())


def equality(work: Path, seeds: int, shards: int) -> dict[str, Any]:
    """One run and one in shards, over the same corpus."""
    books = corpus(work / "corpus.jsonl", seeds)
    play(command(books, work / "index-only", 1, "--llm", "mock"))  # the index is built once, before the time is taken
    one_s = play(command(books, work / "one", seeds, "--llm", "mock"))
    apart_s = play(command(books, work / "apart", seeds, "--llm", "mock", "--shards", shards))
    tables = compare(work / "one", work / "apart")
    return {
        "seeds": seeds,
        "shards": shards,
        "one_process_s": one_s,
        "in_shards_s": apart_s,
        "rows_compared": sum(one["rows"] for one in tables.values()),
        "different": different(tables),
        "tables": tables,
    }


# --- kills


async def serve() -> None:
    """The mock as an endpoint that counts its calls; GET returns the number."""
    asked = 0
    mock = MockLLM()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                size = next((int(v) for n, _, v in map(_part, head.split("\r\n")) if n == "content-length"), 0)
                raw = await reader.readexactly(size)
                if head.startswith("GET"):
                    body: dict[str, object] = {"asked": asked}
                else:
                    asked += 1
                    await asyncio.sleep(LATENCY_S)
                    said = [Message(one["role"], one["content"]) for one in json.loads(raw)["messages"]]
                    made = await mock.complete(Request(tuple(said)))
                    usage = {"prompt_tokens": made.prompt_tokens, "completion_tokens": made.completion_tokens}
                    message = {"role": "assistant", "content": made.text}
                    body = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
                out = json.dumps(body).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(out) + out)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _part(line: str) -> tuple[str, str, str]:
    name, colon, value = line.partition(":")
    return name.lower(), colon, value


class Server:
    """The endpoint's process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}/v1"

    def asked(self) -> int:
        """Number of calls so far."""
        with urllib.request.urlopen(f"{self.url}/count", timeout=30) as reply:
            return json.load(reply)["asked"]

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


@contextmanager
def server() -> Generator[Server]:
    found = Server()
    try:
        yield found
    finally:
        found.close()


def kills(work: Path, number: int, seeds: int, shards: int) -> dict[str, Any]:
    """Compare a run in shards that is killed many times with one that is left alone."""
    rng = random.Random(number)
    books = corpus(work / "kills.jsonl", seeds)
    killed = {"parents": 0, "shards": 0}
    bound = 0
    with server() as endpoint:
        more = ("--llm", f"mock@{endpoint.url}", "--style", "free", "--concurrency", AT_ONCE * shards)
        more = (*more, "--price-in", 1, "--price-out", 1)
        play(command(books, work / "whole", seeds, *more))
        total, before = calls(work / "whole"), endpoint.asked()
        line = command(books, work / "killed", seeds, *more, "--shards", shards, "--resume")
        started = time.perf_counter()
        parent = begin(line)
        for at in range(number):
            goal = before + round(total * (at + rng.random()) / (number + 1))
            while endpoint.asked() < goal and parent.poll() is None:
                time.sleep(0.02)
            if at % 3 == 2:
                parent.kill()
                parent.wait()
                killed["parents"] += 1
                bound += AT_ONCE * shards
                parent = begin(line)  # at once: the new parent waits for shards that are finishing their calls
                continue
            victim = rng.choice(until_children(parent.pid))
            os.kill(victim, signal.SIGKILL)
            killed["shards"] += 1
            bound += AT_ONCE
        ended = parent.wait()
        asked = endpoint.asked() - before
    tables = compare(work / "whole", work / "killed")
    kept = calls(work / "killed")
    return {
        "seeds": seeds,
        "shards": shards,
        "killed": killed,
        "seconds": round(time.perf_counter() - started, 1),
        "exit_code": ended,
        "calls_kept": kept,
        "calls_asked": asked,
        "paid_twice": asked - kept,
        "at_most_in_flight": bound,
        "accepted": accepted(work / "whole"),
        "same_accepted_set": accepted_set(work / "whole") == accepted_set(work / "killed"),
        "rows_compared": sum(one["rows"] for one in tables.values()),
        "different": different(tables),
        "tables": tables,
    }


def begin(line: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def until_children(pid: int) -> list[int]:
    """The processes of the shards of a parent, as soon as there are any."""
    while True:
        found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        if playing := [child for child in found if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]:
            return playing
        time.sleep(0.05)


def calls(run: Path) -> int:
    with closing(sqlite3.connect(run / "run.sqlite")) as db:
        return db.execute("SELECT count(*) FROM calls WHERE kind = 'llm'").fetchone()[0]


def accepted_set(run: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(run / "run.sqlite")) as db:
        return db.execute("SELECT seed_index, question, answer FROM settled WHERE status = 'accepted'").fetchall()


def accepted(run: Path) -> int:
    return len(accepted_set(run))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=2000)
    options.add_argument("--shards", type=int, default=8)
    options.add_argument("--kills", type=int, default=30)
    options.add_argument("--kill-seeds", type=int, default=300)
    options.add_argument("--kill-shards", type=int, default=4)
    options.add_argument("--out", type=Path, help="file for the results")
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.serve:
        asyncio.run(serve())
        return
    report = heading()
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "equality": equality(Path(folder), asked.seeds, asked.shards),
            "kills": kills(Path(folder), asked.kills, asked.kill_seeds, asked.kill_shards),
        }
    report |= found
    print(json.dumps(found, indent=2))
    write("shards", report, asked.out)
    killed = found["kills"]
    whole = killed["exit_code"] == 0 and killed["same_accepted_set"] and not killed["different"]
    fair = 0 <= killed["paid_twice"] <= killed["at_most_in_flight"]
    sys.exit(0 if whole and fair and not found["equality"]["different"] else 1)


if __name__ == "__main__":
    main()
