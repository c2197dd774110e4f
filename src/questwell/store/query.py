"""A run file opened for reading: one connection, read-only, and the one place where its errors become ours."""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeAlias

from questwell.errors import StoreError
from questwell.store import sums
from questwell.store.counts import ALL_CALLS, ALL_PLAYS
from questwell.store.migrations import COUNTED, DIGITS, PAID_FAILURES, PAID_SEARCHES, SUMMED, check
from questwell.types.ids import OLD_ID_DIGITS

FILE_NAME = "run.sqlite"

Row: TypeAlias = tuple[Any, ...]


class Query:
    """The connection to one run file. Takes no lock."""

    def __init__(self, folder: Path) -> None:
        """Open the run in `folder`.

        Raises:
            StoreError: there is no run, or it cannot be read.
        """
        self.folder = folder
        path = folder / FILE_NAME
        if not path.is_file():
            why = f"it has no {FILE_NAME}" if folder.is_dir() else "it is not a folder"
            raise StoreError(f"there is no run in {str(folder)!r}: {why if folder.exists() else 'it does not exist'}")
        with _boundary(path):
            self._connection, version = _open(path)
        self.paid_searches = version >= PAID_SEARCHES
        self.paid_failures = version >= PAID_FAILURES
        self.digits = "digits" if version >= DIGITS else str(OLD_ID_DIGITS)
        """Expression for the digits of the id of a row of `plays` or `settled`."""
        self.counted = version >= COUNTED
        """Whether the file keeps counts and indexes, so that questions about many plays are answered at once."""
        self.play_source = "play_counts" if self.counted else f"({ALL_PLAYS})"
        self.call_source = "call_counts" if self.counted else f"({ALL_CALLS})"
        summed = version >= SUMMED
        self.duplicate_source = "duplicates" if summed else f"({sums.ALL_DUPLICATES})"
        self.accepted_source = "accepted_minutes" if summed else f"({sums.ALL_ACCEPTED})"
        self.gate_source = "gate_counts" if summed else f"({sums.ALL_GATES})"
        self.failure_source = "failure_counts" if summed else f"({sums.ALL_FAILURES})"
        if version == 0:
            self.close()
            raise StoreError(
                f"the run in {str(folder)!r} was killed before it had started; start it again with --resume"
            )

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """A context in which all reads see the same moment, so that counts add up while the run goes on."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def rows(self, sql: str, *values: object) -> list[Row]:
        """The rows of a query by another read model of this layer (`pages.py`)."""
        return self._all(sql, *values)

    def version(self) -> int:
        """Changes whenever another connection has written."""
        return self._value("PRAGMA data_version")

    def _all(self, sql: str, *values: object) -> list[Row]:
        with _boundary(self.folder / FILE_NAME):
            return self._connection.execute(sql, values).fetchall()

    def _each(self, sql: str, *values: object) -> Iterator[Row]:
        """The rows one by one, for results that should not be in memory as a whole."""
        with _boundary(self.folder / FILE_NAME):
            yield from self._connection.execute(sql, values)

    def _one(self, sql: str, *values: object) -> Row | None:
        rows = self._all(sql, *values)
        return rows[0] if rows else None

    def _row(self, sql: str, *values: object) -> Row:
        return self._all(sql, *values)[0]

    def _value(self, sql: str, *values: object) -> int:
        return self._row(sql, *values)[0]


def begun(folder: Path) -> bool:
    """Whether `folder` has a run file; one that was killed while it was being made is empty, and no run yet.

    Raises:
        StoreError: the file is no run file, or cannot be read.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return False
    with _boundary(path):
        connection, version = _open(path)
        connection.close()
    return version > 0


def _open(path: Path) -> tuple[sqlite3.Connection, int]:
    """The file, opened to read, and its version."""
    uri = path.resolve().as_uri()
    try:
        return _connect(f"{uri}?mode=ro")
    except sqlite3.OperationalError:
        # In a folder that cannot be written SQLite cannot make the index of the write-ahead log. Where there is no log,
        # nobody is writing, and the file alone is all of it.
        if path.with_name(f"{path.name}-wal").exists():
            raise
        return _connect(f"{uri}?immutable=1")


def _connect(uri: str) -> tuple[sqlite3.Connection, int]:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA busy_timeout = 10000")
        sums.prepare(connection)
        return connection, check(connection)
    except (sqlite3.Error, StoreError):
        connection.close()
        raise


@contextmanager
def _boundary(path: Path) -> Generator[None]:
    """The one place that turns SQLite's errors on reading into ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"the run file {str(path)!r} cannot be read: {error}") from error
