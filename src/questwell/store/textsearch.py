"""Text search over the questions, answers and details of a run. The index is in the cache folder; the run is only read.

The index contains words and seed numbers, no text (FTS5, contentless). While a run goes on, newly ended plays are added
to it.
"""

import json
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from questwell.errors import StoreError
from questwell.store.reader import RunReader
from questwell.text.scripts import CJK

_BATCH = 5_000
_SCHEMA = """
  CREATE TABLE IF NOT EXISTS indexed (seed_index INTEGER PRIMARY KEY) STRICT;
  CREATE TABLE IF NOT EXISTS state (finished TEXT NOT NULL) STRICT;
  CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (text, content='', prefix='2 3 4',
    tokenize='unicode61 remove_diacritics 2');
"""
_WIDE = re.compile(f"([{CJK}])")
"""Characters of scripts without spaces: each is a separate word, and a sequence of them is a phrase."""


class TextIndex:
    """Word index of one run."""

    def __init__(self, path: Path) -> None:
        """Open the index at `path`, or create it.

        Raises:
            StoreError: the index cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _open(path)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"the search index {str(path)!r} cannot be written: {error}") from error

    def close(self) -> None:
        """Close the index."""
        self._db.close()

    def follow(self, run: RunReader, stop: Callable[[], bool] = lambda: False) -> int:
        """Index the plays that ended since the last call, and return their number; errored ones may be played again."""
        added = 0
        try:
            while not stop():
                (since,) = self._db.execute("SELECT coalesce(max(finished), '') FROM state").fetchone()
                rows = run.rows(
                    "SELECT seed_index, finished, question, answer, detail, reason FROM plays WHERE finished >= ? "
                    "ORDER BY finished LIMIT ?",
                    *(since, _BATCH),
                )
                fresh = self._add(rows)
                added += fresh
                if len(rows) < _BATCH or not fresh:
                    break
        except sqlite3.Error as error:
            raise StoreError(f"the search index cannot be written: {error}") from error
        return added

    def find(self, text: str, *, after: int = -1, before: int | None = None, limit: int = 500) -> list[int]:
        """Return the first `limit` seeds after `after`, or the last before `before`, with all words of `text`.

        Seeds are in order. The last word may be a prefix if no play contains it as a whole word.
        """
        backwards = before is not None
        edge = f"rowid {'<' if backwards else '>'} ? ORDER BY rowid {'DESC' if backwards else ''} LIMIT ?"
        found = self._match(text, edge, before if backwards else after, limit)
        return found[::-1] if backwards else found

    def holding(self, text: str, seeds: Sequence[int]) -> set[int]:
        """Return those of `seeds` that contain all words of `text`, matched as in `find`."""
        if not seeds:
            return set()
        edge = "rowid BETWEEN ? AND ? AND +rowid IN (SELECT value FROM json_each(?))"
        return set(self._match(text, edge, min(seeds), max(seeds), json.dumps(list(seeds))))

    def _match(self, text: str, where: str, *values: object) -> list[int]:
        words = _words(text)
        if not words:
            return []
        sql = "SELECT rowid FROM words WHERE words MATCH ? AND "
        try:
            query = " AND ".join(f'"{word}"' for word in words)
            if len(words[-1]) > 1 and not self._db.execute(f"{sql} rowid >= 0 LIMIT 1", (f'"{words[-1]}"',)).fetchone():
                query += "*"
            return [row[0] for row in self._db.execute(sql + where, (query, *values))]
        except sqlite3.Error as error:
            raise StoreError(f"the search index cannot be read: {error}") from error

    def _add(self, rows: list[tuple[int, str, str | None, str | None, str, str | None]]) -> int:
        added = 0
        with self._db:
            for index, _, question, answer, detail, reason in rows:
                if reason == "errored":
                    continue
                if self._db.execute("INSERT OR IGNORE INTO indexed VALUES (?)", (index,)).rowcount:
                    text = " ".join(filter(None, (question, answer, detail)))
                    self._db.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (index, _WIDE.sub(r" \1 ", text)))
                    added += 1
            if rows:
                self._db.execute("DELETE FROM state")
                self._db.execute("INSERT INTO state VALUES (?)", (rows[-1][1],))
        return added


def _open(path: Path) -> sqlite3.Connection:
    """Open the index; an unreadable one is created again, because its contents come from the run."""
    for again in (True, False):
        db = sqlite3.connect(path, check_same_thread=False, timeout=10)
        try:
            db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; {_SCHEMA}")
            return db
        except sqlite3.DatabaseError:
            db.close()
            if not again:
                raise
            with suppress(OSError):
                path.unlink()
    raise AssertionError("unreachable: the second try returns or raises")


def _words(text: str) -> list[str]:
    """Return the words for an FTS5 query, each as a quoted phrase so that none is read as an operator."""
    words = [_WIDE.sub(r" \1 ", word.replace('"', " ")).strip() for word in text.split()]
    return [word for word in words if re.search(r"\w", word)]
