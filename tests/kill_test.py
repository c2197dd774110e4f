"""SIGKILL at any moment: the run goes on where it was, pays nothing twice, and ends as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
from kill_worker import CONCURRENCY

from questwell.store.reader import FILE_NAME, RunReader
from questwell.store.records import PlayStatus

SEEDS = 100
KILLS = 50


class Worker:
    """The process that forks invocations of one run."""

    def __init__(self, library: Path, run: Path) -> None:
        self.run = run
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("kill_worker.py")), str(library), str(run)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def invoke(self, log: Path, kill_after_calls: int | None = None) -> int:
        """The exit status of one invocation; -9 when it was killed, which happens after so many calls in `log`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{SEEDS} {log}\n")
        self._process.stdin.flush()
        child = int(self._process.stdout.readline())
        if kill_after_calls is not None:
            wait_for_lines(log, kill_after_calls)
            os.kill(child, signal.SIGKILL)
        return int(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture
def workers(library: Path, tmp_path: Path) -> Generator[tuple[Worker, Worker]]:
    """Of a run that is left alone, and of one that is killed."""
    pair = Worker(library, tmp_path / "whole"), Worker(library, tmp_path / "killed")
    yield pair
    for worker in pair:
        worker.close()


def wait_for_lines(log: Path, lines: int, most_s: float = 30.0) -> None:
    """Return as soon as `log` has so many lines, each of 65 bytes."""
    until = time.monotonic() + most_s
    while not log.exists() or log.stat().st_size < 65 * lines:
        assert time.monotonic() < until, f"{log} did not get {lines} lines"
        time.sleep(0.0005)


def digests(log: Path) -> Counter[str]:
    return Counter(log.read_text().split()) if log.exists() else Counter()


def committed(run: Path) -> Counter[str]:
    """Digests of the model calls whose answers are kept."""
    if not (run / FILE_NAME).exists():
        return Counter()
    with RunReader(run) as reader:
        return Counter(row[0] for row in reader._all("SELECT digest FROM calls WHERE kind = 'llm'"))


def ledger(run: Path) -> list[tuple[object, ...]]:
    """All calls but for what depends on the clock."""
    with RunReader(run) as reader:
        return sorted(
            reader._all(
                "SELECT seed, round, role, attempt, turn, digest, kind, model, prompt_tokens, completion_tokens, "
                "cost_usd, base, request, response FROM calls"
            )
        )


def outcomes(run: Path) -> list[tuple[object, ...]]:
    with RunReader(run) as reader:
        assert not reader.unplayed()
        return [(play, reader.outcome(play.index)) for play in reader.plays()]


@pytest.mark.timeout(300)
def test_fifty_kills_change_nothing(workers: tuple[Worker, Worker], tmp_path: Path) -> None:
    whole, killed = workers
    assert whole.invoke(tmp_path / "whole.log") == 0
    calls = committed(whole.run)
    assert digests(tmp_path / "whole.log") == calls
    # Each model request of this game is unlike any other, but for some of the judge; so a digest tells a call.
    shared = {digest for digest, count in calls.items() if count > 1}

    rng = random.Random(20180)
    for number in range(KILLS):
        log = tmp_path / f"{number}.log"
        before = committed(killed.run)
        left = calls.total() - before.total()
        # Somewhere in what is left of the work, so that all fifty kills hit a run that is at work.
        kill_after = rng.randint(0, max(1, 2 * left // (KILLS - number + 1)))
        assert killed.invoke(log, min(kill_after, left - CONCURRENCY)) == -signal.SIGKILL
        made, kept = digests(log), committed(killed.run) - before
        assert not made.keys() & (before.keys() - shared)
        assert not kept - made
        assert (made - kept).total() <= CONCURRENCY  # at most what was in flight

    last = tmp_path / "last.log"
    before = committed(killed.run)
    assert 0 < before.total() < calls.total()
    assert killed.invoke(last) == 0
    assert digests(last) == calls - before
    assert ledger(killed.run) == ledger(whole.run)
    assert outcomes(killed.run) == outcomes(whole.run)
    with RunReader(killed.run) as reader:
        assert any(play.status is PlayStatus.ACCEPTED for play in reader.plays())


@pytest.mark.timeout(60)
def test_a_finished_run_replays_without_a_call(workers: tuple[Worker, Worker], tmp_path: Path) -> None:
    whole, _ = workers
    assert whole.invoke(tmp_path / "first.log") == 0
    assert whole.invoke(tmp_path / "second.log") == 0
    assert not digests(tmp_path / "second.log")
