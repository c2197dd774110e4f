"""Read-only connection to a run file; SQLite's read errors are converted to ours here."""

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
    """Read-only connection to one run file. Takes no lock."""

    def __init__(self, folder: Path) -> None:
        """Open the run in `folder`.

        Raises:
            StoreError: there is no run in `folder`, or it cannot be read.
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
        """SQL expression for the number of digits of the id of a row of `plays` or `settled`."""
        self.counted = version >= COUNTED
        """Whether the file keeps counts and indexes, so that queries over many plays are fast."""
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
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Make all reads within the context see the same state, so that counts add up while the run is written."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def rows(self, sql: str, *values: object) -> list[Row]:
        """Return the rows of a query; for the other read models of this layer, such as `pages.py`."""
        return self._all(sql, *values)

    def version(self) -> int:
        """Return a number that changes whenever another connection has written to the file."""
        return self._value("PRAGMA data_version")

    def _all(self, sql: str, *values: object) -> list[Row]:
        with _boundary(self.folder / FILE_NAME):
            return self._connection.execute(sql, values).fetchall()

    def _each(self, sql: str, *values: object) -> Iterator[Row]:
        """Yield the rows one by one, for results that may not fit into memory."""
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
    """Return whether `folder` has a run file; an empty file, left by a run killed at its start, does not count.

    Raises:
        StoreError: the file is not a run file, or cannot be read.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return False
    with _boundary(path):
        connection, version = _open(path)
        connection.close()
    return version > 0


def _open(path: Path) -> tuple[sqlite3.Connection, int]:
    """Open the file for reading; return the connection and the file's version."""
    uri = path.resolve().as_uri()
    try:
        return _connect(f"{uri}?mode=ro")
    except sqlite3.OperationalError:
        # In a read-only folder SQLite cannot create the index of the write-ahead log. If there is no log, nobody is
        # writing, and the file alone is complete.
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
    """Convert SQLite's read errors into StoreError."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"the run file {str(path)!r} cannot be read: {error}") from error
