"""Merges run files without common seeds or questions, such as shards, into one. Can be repeated; copies only new rows.

The caller compares what the files must share (prompts, fingerprints). Rows are copied unchanged, and the sums of the
files are added up. Only duplicates are computed again, because they depend on all files together.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from questwell.errors import StoreError
from questwell.store.counts import ALL_CALLS
from questwell.store.query import FILE_NAME
from questwell.store.records import ADAPTED
from questwell.store.sums import ALL_DUPLICATES, ALL_FAILURES

_SUMS: Mapping[str, tuple[str, ...]] = {
    "play_counts": ("plays", "calls"),
    "accepted_minutes": ("plays",),
    "gate_counts": ("proposals",),
}
"""Tables of sums over plays, with the columns to add up; the other columns are the key. All plays are copied."""
_LEDGERS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "calls": (
        "call_counts",
        ALL_CALLS,
        (
            *("calls", "prompt_known", "prompt_tokens", "completion_known", "completion_tokens", "cost_known", "cost"),
            "latency_s",
        ),
    ),
    "failures": ("failure_counts", ALL_FAILURES, ("failures",)),
}
"""Append-only tables, numbered by `id`, each with its table of sums, the query for them, and the columns to add up.

The joined file may have rows of its own too, such as those of a rescoring, so only news is added to these sums.
"""
_SCORE = ("number", "position", "attempt")
_MARK = "merged from "


def merge_into(db: sqlite3.Connection, sources: Sequence[Path]) -> None:
    """Copy new rows from the runs in the folders `sources` into `db`, within the transaction of the caller.

    The files must have the newest version, and no seed may be in two of them. They may be written at the same time,
    because each is read from one snapshot.
    """
    for table in _SUMS:
        db.execute(f"DELETE FROM {table}")
    for source in sources:
        theirs = sqlite3.connect(f"{(source / FILE_NAME).absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            theirs.execute("BEGIN")
            _copy(db, theirs, _marks(db, source))
        finally:
            theirs.close()
    db.execute("DELETE FROM duplicates")
    db.execute(f"INSERT INTO duplicates {ALL_DUPLICATES}")


def _marks(db: sqlite3.Connection, source: Path) -> tuple[str, ...]:
    """Return the names of the notes that record what was copied from `source`; the first is the one to write.

    A shard inside the merged run's folder has a relative name, so that the folder may be moved.
    """
    home = Path(db.execute("PRAGMA database_list").fetchone()[2]).resolve().parent
    full = source.resolve()
    old = f"{_MARK}{source.absolute()}"  # the name that older versions wrote
    return (f"{_MARK}{full.relative_to(home)}", old) if full.is_relative_to(home) else (f"{_MARK}{full}", old)


def _copy(db: sqlite3.Connection, theirs: sqlite3.Connection, marks: Sequence[str]) -> None:
    _copy_plays(db, theirs)
    _copy_evaluation(db, theirs)
    db.executemany("INSERT OR IGNORE INTO passages VALUES (?, ?)", theirs.execute("SELECT id, passage FROM passages"))
    adapted = "SELECT key, value FROM meta WHERE substr(key, 1, ?) = ?"
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", theirs.execute(adapted, (len(ADAPTED), ADAPTED)))
    _copy_ledgers(db, theirs, marks)
    for table, sums in _SUMS.items():
        columns = _columns(theirs, table)
        db.executemany(
            f"{_insert(table, columns)} {_adding(sums)}", theirs.execute(f"SELECT {', '.join(columns)} FROM {table}")
        )


def _copy_plays(db: sqlite3.Connection, theirs: sqlite3.Connection) -> None:
    """Copy the plays that are new or have ended since the last copy; an errored one may have been played again."""
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


def _copy_evaluation(db: sqlite3.Connection, theirs: sqlite3.Connection) -> None:
    """Copy questions, judges, attempts and judgements; errored ones are replaced if they were made again.

    Raises:
        StoreError: a judge has another number in `db`, because a shard was rescored separately.
    """
    db.executemany("INSERT OR IGNORE INTO questions VALUES (?, ?)", theirs.execute("SELECT * FROM questions"))
    for number, judge, prompts in theirs.execute("SELECT number, judge, prompts FROM scorings"):
        row = db.execute("SELECT judge, prompts FROM scorings WHERE number = ?", (number,)).fetchone()
        if row not in (None, (judge, prompts)):
            raise StoreError(
                f"the shards were rescored by different judges ({judge}, {row[0]}): join the evaluation first, then "
                "rescore the whole"
            )
        db.execute("INSERT OR IGNORE INTO scorings VALUES (?, ?, ?)", (number, judge, prompts))
    for table, key, state in (("trials", ("position", "attempt"), "stop"), ("scores", _SCORE, "label")):
        same = " AND ".join(f"{column} = ?" for column in key)
        kept = f"SELECT 1 FROM {table} WHERE {same} AND {state} <> 'errored'"
        found = theirs.execute(f"SELECT {', '.join(key)} FROM {table}")
        for place in [place for place in found if db.execute(kept, place).fetchone() is None]:
            row = theirs.execute(f"SELECT * FROM {table} WHERE {same}", place).fetchone()
            db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", row)


def _copy_ledgers(db: sqlite3.Connection, theirs: sqlite3.Connection, marks: Sequence[str]) -> None:
    """Copy the calls and failures recorded since the last copy."""
    kept = [db.execute("SELECT value FROM meta WHERE key = ?", (mark,)).fetchone() for mark in marks]
    copied: dict[str, int] = json.loads(next((row[0] for row in kept if row), "{}"))
    for table, (summed, every, sums) in _LEDGERS.items():
        columns = [column for column in _columns(theirs, table) if column != "id"]
        before = db.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0]
        last = theirs.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0]
        rows = theirs.execute(
            f"SELECT {', '.join(columns)} FROM {table} WHERE id > ? ORDER BY id", (copied.get(table, 0),)
        )
        db.executemany(_insert(table, columns), rows)
        news = every.replace(f" FROM {table} ", f" FROM {table} WHERE id > {before} ")
        db.execute(f"INSERT INTO {summed} SELECT * FROM ({news}) WHERE true {_adding(sums)}")
        copied[table] = last
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (marks[0], json.dumps(copied)))


def _adding(sums: Sequence[str]) -> str:
    return f"ON CONFLICT DO UPDATE SET {', '.join(f'{column} = {column} + excluded.{column}' for column in sums)}"


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def _insert(table: str, columns: Sequence[str], how: str = "") -> str:
    return f"INSERT {how} INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
