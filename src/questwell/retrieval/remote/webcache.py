"""Caches replies of web searches on disk for some days, so that a query is paid for once, even across runs."""

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from questwell.errors import RetrievalError

_SCHEMA = """
PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;
CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, fetched REAL NOT NULL, reply TEXT NOT NULL)
  STRICT, WITHOUT ROWID;
"""
_BUSY_S = 10.0


class WebCache:
    """A cache of replies by request. Several processes may share a file; use an object from one thread at a time."""

    def __init__(self, path: Path, days: float, now: Callable[[], float] = time.time) -> None:
        """Open the cache at `path`; replies older than `days` are deleted.

        Raises:
            RetrievalError: the cache file cannot be used.
        """
        self._path = path
        self._oldest_s = days * 86_400
        self._now = now
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            self._file.executescript(_SCHEMA)
            self._file.execute("DELETE FROM replies WHERE fetched < ?", (now() - self._oldest_s,))
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def get(self, asked: object) -> object | None:
        """The cached reply to `asked`; None if there is none that is new enough."""
        try:
            row = self._file.execute(
                "SELECT reply FROM replies WHERE key = ? AND fetched >= ?", (_key(asked), self._now() - self._oldest_s)
            ).fetchone()
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        return None if row is None else json.loads(row[0])

    def put(self, asked: object, reply: object) -> None:
        """Cache the reply to `asked`."""
        try:
            self._file.execute(
                "INSERT OR REPLACE INTO replies VALUES (?, ?, ?)", (_key(asked), self._now(), json.dumps(reply))
            )
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Close the cache file."""
        self._file.close()

    def _unusable(self, error: Exception) -> RetrievalError:
        return RetrievalError(f"the cache of web replies {str(self._path)!r} cannot be used ({error}): delete it")


def _key(asked: object) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
