"""A run that is killed again and again in processes of its own, and the accounts that must hold after each SIGKILL."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from kill_worker import CONCURRENCY

from questwell.store.query import begun
from questwell.store.reader import RunReader


class Worker:
    """The process that forks invocations of one run."""

    def __init__(self, verb: str, library: Path, run: Path, size: int) -> None:
        self.run = run
        self._size = size
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("kill_worker.py")), verb, str(library), str(run)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def invoke(self, log: Path, kill_after_calls: int | None = None) -> int:
        """The exit status of one invocation; -9 when it was killed, which happens after so many calls in `log`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{self._size} {log}\n")
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


def wait_for_lines(log: Path, lines: int, most_s: float = 30.0) -> None:
    """Return as soon as `log` has so many lines, each of 65 bytes."""
    until = time.monotonic() + most_s
    while not log.exists() or log.stat().st_size < 65 * lines:
        assert time.monotonic() < until, f"{log} did not get {lines} lines"
        time.sleep(0.0005)


def digests(log: Path) -> Counter[str]:
    """Digests of the model calls that were made."""
    return Counter(log.read_text().split()) if log.exists() else Counter()


def committed(run: Path) -> Counter[str]:
    """Digests of the model calls whose answers are kept."""
    if not begun(run):
        return Counter()
    with RunReader(run) as reader:
        return Counter(row[0] for row in reader._all("SELECT digest FROM calls WHERE kind = 'llm'"))


def kill_and_resume(worker: Worker, calls: Counter[str], logs: Path, kills: int, seed: int) -> None:
    """Kill `worker`'s run so often at moments that `seed` draws, and then let it end: no kept call is made again.

    `calls` are those of the same run left alone. Most digests are of one call; those of several (some of the judge's)
    are told from a call made twice only by how often they were made and kept.
    """
    shared = {digest for digest, count in calls.items() if count > 1}
    rng = random.Random(seed)
    for number in range(kills):
        log = logs / f"{number}.log"
        before = committed(worker.run)
        left = calls.total() - before.total()
        # Somewhere in what is left of the work, so that each kill hits a run that is at work.
        kill_after = rng.randint(0, max(1, 2 * left // (kills - number + 1)))
        assert worker.invoke(log, min(kill_after, left - CONCURRENCY)) == -signal.SIGKILL
        made, kept = digests(log), committed(worker.run) - before
        assert not made.keys() & (before.keys() - shared)
        assert not kept - made
        assert (made - kept).total() <= CONCURRENCY  # at most what was in flight
    last = logs / "last.log"
    before = committed(worker.run)
    assert 0 < before.total() < calls.total()
    assert worker.invoke(last) == 0
    assert digests(last) == calls - before
