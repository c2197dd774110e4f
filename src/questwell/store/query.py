"""A run file opened for reading: one connection, read-only, and the one place where its errors become ours."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeAlias

from questwell.errors import StoreError
from questwell.store.counts import ALL_CALLS, ALL_PLAYS
from questwell.store.migrations import COUNTED, PAID_SEARCHES, READABLE, check

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
            raise StoreError(f"there is no run in {str(folder)!r}: it has no {FILE_NAME}; questwell generate makes one")
        with _boundary(path):
            self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
            self._connection.execute("PRAGMA busy_timeout = 10000")
            version = check(self._connection)
        self.paid_searches = version >= PAID_SEARCHES
        self.counted = version >= COUNTED
        """Whether the file keeps counts and indexes, so that questions about many plays are answered at once."""
        self.play_source = "play_counts" if self.counted else f"({ALL_PLAYS})"
        self.call_source = "call_counts" if self.counted else f"({ALL_CALLS})"
        if version < READABLE:
            self.close()
            raise StoreError(
                f"the run in {str(folder)!r} was written by an older Questwell; "
                f"questwell generate --resume --out {folder} brings it up to date"
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
        """Within it, everything read is of one moment, so that counts add up while the run goes on."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def rows(self, sql: str, *values: object) -> list[Row]:
        """What a query of another read model of this layer finds (`pages.py`)."""
        return self._all(sql, *values)

    def version(self) -> int:
        """Changes whenever another connection has written."""
        return self._value("PRAGMA data_version")

    def _all(self, sql: str, *values: object) -> list[Row]:
        with _boundary(self.folder / FILE_NAME):
            return self._connection.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: object) -> Row | None:
        rows = self._all(sql, *values)
        return rows[0] if rows else None

    def _row(self, sql: str, *values: object) -> Row:
        return self._all(sql, *values)[0]

    def _value(self, sql: str, *values: object) -> int:
        return self._row(sql, *values)[0]


@contextmanager
def _boundary(path: Path) -> Generator[None]:
    """The one place where what SQLite raises on reading becomes ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"the run file {str(path)!r} cannot be read: {error}") from error
