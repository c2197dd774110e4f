"""Pages of a synthetic run of many plays: seconds a page, and memory of the server."""

import argparse
import random
import resource
import sqlite3
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from report import heading, write
from starlette.testclient import TestClient

from questwell.recipes.generate.config import Config
from questwell.recipes.reports.status import status
from questwell.recipes.runs.config import resolve
from questwell.store.counts import ALL_CALLS, ALL_PLAYS
from questwell.store.delta import pack
from questwell.store.query import FILE_NAME
from questwell.store.records import RunInfo
from questwell.store.run import RunStore
from questwell.view.app import make_app
from questwell.view.site import Site

REASONS = ("too_easy", "unsolved", "no_repair", "no_proposal", "shortcut")
WORDS = [f"word{number}" for number in range(20_000)]


async def begin(folder: Path) -> None:
    """A run without plays."""
    config = resolve(Config, {"corpus": "factbook", "llm": "m@http://127.0.0.1:9/v1", "seeds": 10})
    facts = {"index snapshot": "s", "prompts": "p", "proposer model": "m", "solver model": "m", "judge model": "m"}
    with RunStore(folder) as store:
        saved = config.model_dump(mode="json")
        await store.begin(RunInfo("synthetic", "2026-11-20T00:00:00+00:00", "0", saved, facts))


def fill(folder: Path, plays: int, each: int, sample: Path) -> None:
    """Rows as a run would leave them; seeds and outcomes are those of a real small run, over and over."""
    rng = random.Random(0)
    db = sqlite3.connect(folder / FILE_NAME)
    db.executescript("PRAGMA synchronous=OFF; PRAGMA journal_mode=WAL")
    source = sqlite3.connect(sample / FILE_NAME)
    kept = source.execute("SELECT seed, outcome, status FROM plays WHERE outcome IS NOT NULL").fetchall()
    db.executemany("INSERT OR IGNORE INTO passages VALUES (?, ?)", source.execute("SELECT * FROM passages"))
    source.close()
    start = datetime(2026, 11, 20, tzinfo=UTC)
    request = pack("x" * 500)
    for first in range(0, plays, 20_000):
        rows: list[tuple[object, ...]] = []
        verdicts: list[tuple[object, ...]] = []
        calls: list[tuple[object, ...]] = []
        for index in range(first, min(first + 20_000, plays)):
            seed, outcome, was = kept[index % len(kept)]
            at = (start + timedelta(seconds=0.6 * index)).isoformat(timespec="milliseconds")
            reason = None if was == "accepted" else rng.choice(REASONS)
            question = " ".join(rng.choices(WORDS, k=12))
            key = question if rng.random() > 0.01 else "again"
            for number in range(rng.randint(1, 3)):
                verdicts.append((index, number, "too_easy" if reason else "pass", 2, 4, 0, rng.randint(1, 5)))
            pair = (question, rng.choice(WORDS), key if was == "accepted" else None)
            rows.append((index, 0, rng.randint(2, 7), "entity", was, reason, "", *pair, at, seed, outcome))
            for turn in range(each):
                kind, role = ("search", "solver") if turn % 2 else ("llm", rng.choice(["solver", "judge", "proposer"]))
                place = (f"s{index:05d}", 0, role, turn, 0, f"d{turn}", kind, "m")
                calls.append((*place, 400, 50, 0.0001, 0.5, at, None, "{}", request))
        with db:
            db.executemany(
                "INSERT INTO plays (seed_index, wave, target, answer_type, status, reason, detail, question, answer, "
                "question_key, finished, seed, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            db.executemany("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?)", verdicts)
            db.executemany(
                "INSERT INTO calls (seed, round, role, attempt, turn, digest, kind, model, prompt_tokens, "
                "completion_tokens, cost_usd, latency_s, created, base, response, request) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                calls,
            )
    with db:
        db.execute(f"INSERT INTO play_counts {ALL_PLAYS}")
        db.execute(f"INSERT INTO call_counts {ALL_CALLS}")
        db.execute(
            "UPDATE plays SET difficulty = (SELECT difficulty FROM verdicts WHERE verdicts.seed_index = "
            "plays.seed_index ORDER BY round DESC LIMIT 1)"
        )
    db.close()


def main() -> None:
    """Make the run, ask each page three times, write the best time."""
    import asyncio

    parser = argparse.ArgumentParser()
    parser.add_argument("--plays", type=int, default=100_000)
    parser.add_argument("--calls", type=int, default=6, help="Calls of a play.")
    parser.add_argument("--sample", type=Path, required=True, help="A finished run whose outcomes are repeated.")
    given = parser.parse_args()
    begun = heading()
    with tempfile.TemporaryDirectory() as work:
        run = Path(work) / "run"
        asyncio.run(begin(run))
        fill(run, given.plays, given.calls, given.sample)
        before, started = time.process_time(), time.perf_counter()
        status(run)
        read = {"cpu_s": round(time.process_time() - before, 3), "wall_s": round(time.perf_counter() - started, 3)}
        far = given.plays * 9 // 10
        middle = f"s{given.plays // 2:05d}"
        addresses = [
            *("/", "/r/run/", "/r/run/items", f"/r/run/items?after={far}", f"/r/run/items?before={far}"),
            *("/r/run/items?state=accepted", f"/r/run/items?state=shortcut&target=3&after={far}"),
            *("/r/run/items?state=duplicate", "/r/run/items?difficulty=5", f"/r/run/items/{middle}"),
            *(f"/r/run/items/{middle}?state=accepted", f"/r/run/items/{middle}/calls", "/r/run/cost", "/r/run/gates"),
        ]
        pages = TestClient(make_app(Site([run], "me")), base_url="http://localhost")
        times = {address.strip("/") or "home": min(timed(pages, address) for _ in range(3)) for address in addresses}
        started = time.perf_counter()
        while "being indexed" in pages.get("/r/run/items?q=word7").text:
            time.sleep(0.2)
        indexed_s = round(time.perf_counter() - started, 1)
        times["r/run/items?q=word7+word8"] = min(timed(pages, "/r/run/items?q=word7+word8") for _ in range(3))
        size = (run / FILE_NAME).stat().st_size
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    result = {
        **begun,
        "plays": given.plays,
        "calls": given.plays * given.calls,
        "file_mb": size // 1_000_000,
        "status": read,
        "page_s": times,
        "words_indexed_s": indexed_s,
        "peak_memory_mb_with_making_the_run": memory,
    }
    write("view", result)


def timed(pages: TestClient, address: str) -> float:
    """Seconds of one page."""
    started = time.perf_counter()
    answer = pages.get(address)
    assert answer.status_code == 200, (address, answer.text)
    return round(time.perf_counter() - started, 4)


if __name__ == "__main__":
    main()
