"""Group commit: many tasks write, one thread commits, and each task continues when its write is durable.

While one commit waits for the disk, new writes queue up and share the next commit. A run with hundreds of calls in
flight thus needs few commits, and still no answer is used before it is on disk.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass

from questwell.errors import StoreError

Write = Callable[[sqlite3.Connection], object]

_MOST_PER_COMMIT = 1000


@dataclass(frozen=True, slots=True)
class _Job:
    write: Write
    done: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop


class GroupCommit:
    """The single thread that writes to a database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take over `connection`, which must be in autocommit mode and usable from another thread."""
        self._connection = connection
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._broken: Exception | None = None
        self.commits = 0
        """Number of commits so far."""
        self._thread = threading.Thread(target=self._run, name="questwell-writer", daemon=True)
        self._thread.start()

    async def write(self, write: Write) -> None:
        """Run `write` in the writer thread, and return when its changes are on disk.

        Raises:
            StoreError: the write failed, usually because the disk is full; all later writes fail too.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._jobs.put(_Job(write, done, loop))
        await done

    def close(self) -> None:
        """Commit queued writes, then end the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        last = False
        while not last:
            jobs, last = self._take()
            if not jobs:
                continue
            error = self._commit(jobs)
            for loop in {job.loop for job in jobs}:
                mine = [job.done for job in jobs if job.loop is loop]
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_settle, mine, error)

    def _take(self) -> tuple[list[_Job], bool]:
        """Return the queued jobs, at least one, and whether the writer should end after them."""
        jobs: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == _MOST_PER_COMMIT:
                return jobs, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return jobs, False
        return jobs, True

    def _commit(self, jobs: list[_Job]) -> Exception | None:
        """Commit the jobs; return None, or the error if none of them was saved."""
        if self._broken is None:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                for job in jobs:
                    job.write(self._connection)
                self._connection.execute("COMMIT")
                self.commits += 1
            except Exception as failure:  # any error must reach the waiting tasks, or they would wait for ever
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self._broken = failure
        return self._broken


def _settle(waiting: list[asyncio.Future[None]], error: Exception | None) -> None:
    for done in waiting:
        if done.cancelled():
            continue
        if error is None:
            done.set_result(None)
        else:
            failure = StoreError(f"the run file cannot be written: {error}; free some disk space and resume")
            failure.__cause__ = error
            done.set_exception(failure)
