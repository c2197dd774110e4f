"""Pages of a synthetic run of many plays: seconds per page, and memory of the server.

    python benchmarks/view.py [--plays 1000000] [--calls 2] [--sample RUN] [--keep FOLDER]

The run is made by another process, straight into the tables of the run file; --keep leaves it for the next time.
Results go to benchmarks/results/view.json.
"""

import argparse
import asyncio
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from arguments import existing_folder, parser
from report import heading, write
from starlette.testclient import TestClient

from questwell.recipes.generate.config import Config
from questwell.recipes.reports.status import status
from questwell.recipes.runs.config import resolve
from questwell.store import sums
from questwell.store.counts import ALL_CALLS, ALL_PLAYS
from questwell.store.delta import pack
from questwell.store.query import FILE_NAME
from questwell.store.records import RunInfo
from questwell.store.run import RunStore
from questwell.view.app import make_app
from questwell.view.site import Site

REASONS = ("too_easy", "unsolved", "no_repair", "no_proposal", "shortcut")
WORDS = [f"word{number}" for number in range(20_000)]
BATCH = 20_000
"""Number of plays that are written in one transaction."""
SECONDS = 0.6
"""Seconds between the ends of two plays, so that a million take a week."""


async def begin(folder: Path) -> None:
    """Make a run without plays."""
    config = resolve(Config, {"corpus": "factbook", "llm": "m@http://127.0.0.1:9/v1", "seeds": 10})
    facts = {"index snapshot": "s", "prompts": "p", "proposer model": "m", "solver model": "m", "judge model": "m"}
    with RunStore(folder) as store:
        saved = config.model_dump(mode="json")
        await store.begin(RunInfo("synthetic", "2026-11-20T00:00:00+00:00", "0", saved, facts))


def fill(folder: Path, plays: int, each: int, sample: Path) -> None:
    """Rows as a run would leave them; seeds and outcomes repeat those of a real small run."""
    db = sqlite3.connect(folder / FILE_NAME)
    sums.prepare(db)
    db.executescript("PRAGMA synchronous=OFF; PRAGMA journal_mode=WAL; PRAGMA cache_size=-200000")
    source = sqlite3.connect(sample / FILE_NAME)
    kept = source.execute("SELECT seed, outcome, status FROM plays WHERE outcome IS NOT NULL").fetchall()
    db.executemany("INSERT OR IGNORE INTO passages VALUES (?, ?)", source.execute("SELECT * FROM passages"))
    source.close()
    wanted = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '%ON plays%'"
    indexes = db.execute(wanted).fetchall()
    for name, _ in indexes:  # made once, at the end
        db.execute(f"DROP INDEX {name}")
    rng = random.Random(0)
    for first in range(0, plays, BATCH):
        _batch(db, range(first, min(first + BATCH, plays)), each, kept, rng)
    for _, sql in indexes:
        db.execute(sql)
    with db:
        every = {
            "play_counts": ALL_PLAYS,
            "call_counts": ALL_CALLS,
            "duplicates": sums.ALL_DUPLICATES,
            "accepted_minutes": sums.ALL_ACCEPTED,
            "failure_counts": sums.ALL_FAILURES,
            "gate_counts": sums.ALL_GATES,
        }
        for table, rows in every.items():
            db.execute(f"INSERT INTO {table} {rows}")
    db.close()


def _batch(
    db: sqlite3.Connection, seeds: range, each: int, kept: Sequence[tuple[bytes, bytes, str]], rng: random.Random
) -> None:
    start = datetime(2026, 11, 20, tzinfo=UTC)
    request = pack("x" * 200)
    rows: list[tuple[object, ...]] = []
    verdicts: list[tuple[object, ...]] = []
    calls: list[tuple[object, ...]] = []
    failures: list[tuple[object, ...]] = []
    for index in seeds:
        seed, outcome, was = kept[index % len(kept)]
        at = (start + timedelta(seconds=SECONDS * index)).isoformat(timespec="milliseconds")
        reason = None if was == "accepted" else rng.choice(REASONS)
        question = " ".join(["which", *rng.choices(WORDS, k=12)])
        key = question if rng.random() > 0.01 else "again"
        difficulty = None
        for number in range(rng.randint(1, 3)):
            difficulty = rng.randint(1, 5)
            verdicts.append((index, number, "too_easy" if reason else "pass", 2, 4, 0, difficulty))
        pair = (question, rng.choice(WORDS), key if was == "accepted" else None)
        rows.append((index, 0, rng.randint(2, 7), "entity", was, reason, "", *pair, at, seed, outcome, difficulty))
        if rng.random() < 0.05:
            place = (f"s{index:05d}", 0, "solver", 0, 0, "d")
            failures.append((*place, "llm", rng.choice(["LLMUnavailable", "MalformedReply"]), "slow down", at))
        for turn in range(each):
            kind, role = ("search", "solver") if turn % 2 else ("llm", rng.choice(["solver", "judge", "proposer"]))
            place = (f"s{index:05d}", 0, role, turn, 0, f"d{turn}", kind, "m")
            calls.append((*place, 400, 50, 0.0001, 0.5, at, None, "{}", request))
    with db:
        db.executemany(
            "INSERT INTO plays (seed_index, wave, target, answer_type, status, reason, detail, question, answer, "
            "question_key, finished, seed, outcome, difficulty) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        db.executemany("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?)", verdicts)
        db.executemany(
            "INSERT INTO failures (seed, round, role, attempt, turn, digest, kind, error, message, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            failures,
        )
        db.executemany(
            "INSERT INTO calls (seed, round, role, attempt, turn, digest, kind, model, prompt_tokens, "
            "completion_tokens, cost_usd, latency_s, created, base, response, request) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            calls,
        )


def main() -> None:
    """Make the run, ask each page three times, write the best time."""
    options = parser(__doc__)
    options.add_argument("--plays", type=int, default=1_000_000)
    options.add_argument("--calls", type=int, default=2, help="calls per play")
    options.add_argument("--sample", type=existing_folder, help="a finished run to repeat; by default one of mock")
    options.add_argument("--keep", type=Path, help="folder of the run; an existing one is used again")
    options.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.make:
        asyncio.run(begin(given.keep))
        fill(given.keep, given.plays, given.calls, given.sample)
        return
    begun = heading()
    with tempfile.TemporaryDirectory() as work:
        run = given.keep or Path(work) / "run"
        started = time.perf_counter()
        if (run / FILE_NAME).is_file():
            if (found := plays_in(run)) != given.plays:
                options.error(f"{str(run)!r} has {found} plays: give --plays {found}, or another --keep")
        else:
            make(run, given.plays, given.calls, given.sample or mock(Path(work) / "sample"))
        os.environ["QUESTWELL_HOME"] = work  # where the words are indexed
        made_s = round(time.perf_counter() - started)
        result = {**begun, "plays": given.plays, "calls": given.plays * given.calls, "made_s": made_s, **measured(run)}
    write("view", result)


def plays_in(run: Path) -> int:
    """Number of plays in a run that is kept."""
    with closing(sqlite3.connect(run / FILE_NAME)) as db:
        return db.execute("SELECT count(*) FROM plays").fetchone()[0]


def mock(folder: Path) -> Path:
    """A small run played by the script of `--llm mock`."""
    given = ["--corpus", "factbook", "--llm", "mock", "--seeds", "40", "-o", str(folder)]
    subprocess.run([str(Path(sys.executable).with_name("questwell")), "generate", *given], check=True)
    return folder


def make(run: Path, plays: int, each: int, sample: Path) -> None:
    """Have another process make the run, so that its memory is not counted."""
    making = run.with_name(f"{run.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    given = ["--plays", str(plays), "--calls", str(each), "--sample", str(sample), "--keep", str(making), "--make"]
    subprocess.run([sys.executable, __file__, *given], check=True)
    making.rename(run)


def measured(run: Path) -> dict[str, object]:
    """Seconds and memory of `status` and of each page."""
    before, started = time.process_time(), time.perf_counter()
    drawn = status(run).funnel.drawn
    read = {"cpu_s": round(time.process_time() - before, 3), "wall_s": round(time.perf_counter() - started, 3)}
    far = drawn * 9 // 10
    middle = f"s{drawn // 2:05d}"
    at = f"/r/{run.name}"
    addresses = [
        *("/", f"{at}/", f"{at}/items", f"{at}/items?after={far}", f"{at}/items?before={far}"),
        *(f"{at}/items?state=accepted", f"{at}/items?state=rejected&difficulty=4"),
        *(f"{at}/items?state=shortcut&target=3&after={far}", f"{at}/items?state=shortcut&target=99"),
        *(f"{at}/items?state=duplicate", f"{at}/items?difficulty=5", f"{at}/items?target=6&difficulty=9"),
        *(f"{at}/items?review=unreviewed&state=accepted", f"{at}/items/{middle}"),
        *(
            f"{at}/items/{middle}?state=accepted",
            f"{at}/items/{middle}/calls",
            f"{at}/cost",
            f"{at}/gates",
            f"{at}/coverage",
        ),
    ]
    pages = TestClient(make_app(Site([run], "me")), base_url="http://localhost")
    times = {address.replace(at, "r/run").strip("/") or "home": best(pages, address) for address in addresses}
    started = time.perf_counter()
    while "being indexed" in pages.get(f"{at}/items?q=word7").text:
        time.sleep(0.2)
    indexed_s = round(time.perf_counter() - started, 1)
    times["r/run/items?q=word7+word8"] = best(pages, f"{at}/items?q=word7+word8")
    for more in ("q=which&state=duplicate", "q=which&state=shortcut&target=99", "q=wor&after=900000"):
        times[f"r/run/items?{more}"] = best(pages, f"{at}/items?{more}")
    return {
        "file_mb": (run / FILE_NAME).stat().st_size // 1_000_000,
        "status": read,
        "page_s": times,
        "words_indexed_s": indexed_s,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def best(pages: TestClient, address: str) -> float:
    """Seconds of one page: the best of three times."""
    return min(timed(pages, address) for _ in range(3))


def timed(pages: TestClient, address: str) -> float:
    """Seconds of one page."""
    started = time.perf_counter()
    answer = pages.get(address)
    assert answer.status_code == 200, (address, answer.text)
    return round(time.perf_counter() - started, 4)


if __name__ == "__main__":
    main()
