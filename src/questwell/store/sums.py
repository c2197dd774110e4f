"""Sums over all plays, updated as plays end: duplicates, accepted plays by minute, gates, failures.

Together with `counts.py` they are enough to show a run of a million plays without reading its plays. As there, one
SELECT per table fills it in a migration and replaces it when a file of an older version is read.
"""

import json
import sqlite3

from questwell.store.delta import unpack
from questwell.store.passage_refs import Json

ALL_DUPLICATES = """
  SELECT seed_index FROM (
    SELECT seed_index, question_key, lag(question_key) OVER (ORDER BY question_key, seed_index) AS before
    FROM plays INDEXED BY plays_by_question WHERE status = 'accepted' AND question_key IS NOT NULL)
  WHERE before = question_key"""
ALL_ACCEPTED = """
  SELECT substr(finished, 1, 16) AS minute, count(*) AS plays FROM plays
  WHERE finished IS NOT NULL AND status = 'accepted' GROUP BY 1"""
ALL_GATES = """
  SELECT json_extract(value, '$[0]') AS gate, json_extract(value, '$[1]') AS outcome, count(*) AS proposals
  FROM plays, json_each(gates_of(outcome)) WHERE plays.outcome IS NOT NULL GROUP BY 1, 2"""
ALL_FAILURES = "SELECT error, count(*) AS failures FROM failures GROUP BY error"

TABLES = f"""
    CREATE TABLE duplicates (          -- accepted plays whose question an earlier seed has too
      seed_index INTEGER PRIMARY KEY
    ) STRICT;
    INSERT INTO duplicates {ALL_DUPLICATES};
    CREATE TABLE accepted_minutes (    -- accepted plays, duplicates included, by the minute in which they ended
      minute TEXT PRIMARY KEY,
      plays INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO accepted_minutes {ALL_ACCEPTED};
    CREATE TABLE gate_counts (         -- proposals by gate and what it found
      gate TEXT NOT NULL,
      outcome TEXT NOT NULL,
      proposals INTEGER NOT NULL,
      PRIMARY KEY (gate, outcome)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO gate_counts {ALL_GATES};
    CREATE TABLE failure_counts (
      error TEXT PRIMARY KEY,
      failures INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO failure_counts {ALL_FAILURES};
    -- Each index holds all that the list filters by, in the order of seeds: a rare filter never reads the rows.
    DROP INDEX plays_by_status;
    DROP INDEX plays_by_reason;
    DROP INDEX plays_by_target;
    DROP INDEX plays_by_difficulty;
    CREATE INDEX plays_by_status ON plays (status, seed_index, target, difficulty);
    CREATE INDEX plays_by_reason ON plays (reason, seed_index, target, difficulty) WHERE reason IS NOT NULL;
    CREATE INDEX plays_by_target ON plays (target, seed_index, difficulty);
    CREATE INDEX plays_by_difficulty ON plays (difficulty, seed_index) WHERE difficulty IS NOT NULL;
    """
"""Create and fill the tables of sums."""


def prepare(db: sqlite3.Connection) -> None:
    """Register the SQL function `gates_of` in `db`: the gate results of a packed outcome as JSON."""
    db.create_function("gates_of", 1, _gates_of, deterministic=True)


def sum_play(db: sqlite3.Connection, index: int, sign: int) -> None:
    """Add the play of a seed to the sums (`sign` 1), or subtract it before its row changes (-1)."""
    db.execute(
        "INSERT INTO accepted_minutes SELECT substr(finished, 1, 16), ?1 FROM plays "
        "WHERE seed_index = ?2 AND finished IS NOT NULL AND status = 'accepted' "
        "ON CONFLICT DO UPDATE SET plays = plays + excluded.plays",
        (sign, index),
    )
    db.execute(
        f"INSERT INTO gate_counts SELECT gate, outcome, ?1 * proposals FROM ({_one(ALL_GATES)}) WHERE true "
        "ON CONFLICT DO UPDATE SET proposals = proposals + excluded.proposals",
        (sign, index),
    )
    row = db.execute(
        "SELECT question_key FROM plays WHERE seed_index = ? AND status = 'accepted' AND question_key IS NOT NULL",
        (index,),
    ).fetchone()
    if row is None:
        return
    (other,) = db.execute(
        "SELECT min(seed_index) FROM plays WHERE status = 'accepted' AND question_key = ? AND seed_index <> ?",
        (row[0], index),
    ).fetchone()
    if other is None:
        return
    later = max(index, other)  # of the two, and every other play of the key is later than `other` already
    if sign > 0:
        db.execute("INSERT OR IGNORE INTO duplicates VALUES (?)", (later,))
    else:
        db.execute("DELETE FROM duplicates WHERE seed_index = ?", (later,))


def count_failure(db: sqlite3.Connection, error: str) -> None:
    """Add a failed call to the counts."""
    db.execute("INSERT INTO failure_counts VALUES (?, 1) ON CONFLICT DO UPDATE SET failures = failures + 1", (error,))


def _one(every: str) -> str:
    return every.replace(" GROUP BY", " AND plays.seed_index = ?2 GROUP BY")


def _gates_of(packed: bytes | None) -> str:
    text = unpack(packed) if packed is not None else ""
    if '"gates":[{' not in text:
        return "[]"
    tree: dict[str, Json] = json.loads(text)
    found: list[tuple[Json, Json]] = []
    rounds = tree["rounds"]
    assert isinstance(rounds, list)
    for played in rounds:
        assert isinstance(played, dict)
        gates = played["gates"]
        assert isinstance(gates, list)
        found += [(one["gate"], one["outcome"]) for one in gates if isinstance(one, dict)]
    return json.dumps(found)
