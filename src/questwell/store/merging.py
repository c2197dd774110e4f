"""Joins run files whose seeds are apart, such as the shards of a run, into one, as often as asked: only news is copied.

What the files share (prompts, fingerprints) is for the caller to compare. Rows are copied as they are; the sums that a
file keeps next to them add up, but for duplicates, which only the whole can tell.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from questwell.store.query import FILE_NAME
from questwell.store.records import ADAPTED
from questwell.store.sums import ALL_DUPLICATES

_SUMS: Mapping[str, tuple[str, ...]] = {
    "play_counts": ("plays", "calls"),
    "call_counts": (
        *("calls", "prompt_known", "prompt_tokens", "completion_known", "completion_tokens", "cost_known", "cost"),
        "latency_s",
    ),
    "accepted_minutes": ("plays",),
    "gate_counts": ("proposals",),
    "failure_counts": ("failures",),
}
"""Tables of sums, each with the columns that add up; the others are its key."""
_LEDGERS = ("calls", "failures")
"""Tables to which rows are only added, numbered by `id`."""
_MARK = "merged from "


def merge_into(db: sqlite3.Connection, sources: Sequence[Path]) -> None:
    """Bring `db` up to date with the runs in the folders `sources`, within the transaction of the caller.

    The files must be of the newest version, and no two of them may hold the same seed. They may be written meanwhile:
    each is read as of one moment.
    """
    for table in _SUMS:
        db.execute(f"DELETE FROM {table}")
    for source in sources:
        theirs = sqlite3.connect(f"{(source / FILE_NAME).absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            theirs.execute("BEGIN")
            _copy(db, theirs, f"{_MARK}{source.absolute()}")
        finally:
            theirs.close()
    db.execute("DELETE FROM duplicates")
    db.execute(f"INSERT INTO duplicates {ALL_DUPLICATES}")


def _copy(db: sqlite3.Connection, theirs: sqlite3.Connection, mark: str) -> None:
    _copy_plays(db, theirs)
    db.executemany("INSERT OR IGNORE INTO passages VALUES (?, ?)", theirs.execute("SELECT id, passage FROM passages"))
    adapted = "SELECT key, value FROM meta WHERE substr(key, 1, ?) = ?"
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", theirs.execute(adapted, (len(ADAPTED), ADAPTED)))
    _copy_ledgers(db, theirs, mark)
    for table, sums in _SUMS.items():
        columns = _columns(theirs, table)
        added = ", ".join(f"{column} = {column} + excluded.{column}" for column in sums)
        db.executemany(
            f"{_insert(table, columns)} ON CONFLICT DO UPDATE SET {added}",
            theirs.execute(f"SELECT {', '.join(columns)} FROM {table}"),
        )


def _copy_plays(db: sqlite3.Connection, theirs: sqlite3.Connection) -> None:
    """Plays that are new here or ended since; one that errored may have been played again."""
    columns, verdicts = _columns(theirs, "plays"), _columns(theirs, "verdicts")
    news = (
        index
        for index, finished in theirs.execute("SELECT seed_index, finished FROM plays")
        if db.execute("SELECT 1 FROM plays WHERE seed_index = ? AND finished IS ?", (index, finished)).fetchone()
        is None
    )
    for index in list(news):
        play = theirs.execute(f"SELECT {', '.join(columns)} FROM plays WHERE seed_index = ?", (index,)).fetchone()
        db.execute(_insert("plays", columns, "OR REPLACE"), play)
        db.execute("DELETE FROM verdicts WHERE seed_index = ?", (index,))
        rows = theirs.execute(f"SELECT {', '.join(verdicts)} FROM verdicts WHERE seed_index = ?", (index,))
        db.executemany(_insert("verdicts", verdicts), rows)


def _copy_ledgers(db: sqlite3.Connection, theirs: sqlite3.Connection, mark: str) -> None:
    """Calls and failures since the last time."""
    kept = db.execute("SELECT value FROM meta WHERE key = ?", (mark,)).fetchone()
    copied: dict[str, int] = json.loads(kept[0]) if kept else {}
    for table in _LEDGERS:
        columns = [column for column in _columns(theirs, table) if column != "id"]
        last = theirs.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0]
        rows = theirs.execute(
            f"SELECT {', '.join(columns)} FROM {table} WHERE id > ? ORDER BY id", (copied.get(table, 0),)
        )
        db.executemany(_insert(table, columns), rows)
        copied[table] = last
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (mark, json.dumps(copied)))


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def _insert(table: str, columns: Sequence[str], how: str = "") -> str:
    return f"INSERT {how} INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
