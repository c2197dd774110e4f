"""Counts that the run file keeps next to its rows, so that a run of a million plays can be shown quickly.

`play_counts` holds plays by how each of their rounds went, `call_counts` calls by minute, role and model. Both are sums
of the rows themselves: the same SELECT fills them in a migration, counts a play when it ends, and replaces them when a
file of an older version is read.
"""

import sqlite3

_CALLS = """(SELECT count(*) FROM calls
    WHERE calls.seed IN (printf('s%05d', plays.seed_index), printf('s%08d', plays.seed_index)) AND
    calls.round = verdicts.round AND kind = 'llm' AND role IN ('solver', 'judge') AND attempt < 100)"""

_ENDING = """coalesce(
    (SELECT min(round) FROM verdicts AS own WHERE own.seed_index = plays.seed_index AND outcome = 'pass'),
    (SELECT max(round) FROM verdicts AS own WHERE own.seed_index = plays.seed_index), -1)"""
"""The round of a play that counts: the first one that passed, else the last one."""

COUNT_PLAYS = f"""
  SELECT coalesce(plays.target, -1) AS target, plays.status AS status, coalesce(plays.reason, '') AS reason,
    coalesce(verdicts.round, -1) AS round, coalesce(verdicts.round, -1) = {_ENDING} AS final,
    coalesce(verdicts.outcome, '') AS outcome, coalesce(right, 0) AS right, coalesce(scored, 0) AS scored,
    coalesce(skipped, 0) AS skipped, coalesce(verdicts.difficulty, -1) AS difficulty,
    count(*) AS plays, sum(CASE WHEN verdicts.round IS NULL THEN 0 ELSE {_CALLS} END) AS calls
  FROM plays LEFT JOIN verdicts ON verdicts.seed_index = plays.seed_index AND verdicts.round <= {_ENDING}
  WHERE plays.status <> 'pending'"""
"""Add `AND plays.seed_index = ?` for one play; then `GROUP BY`."""
_GROUPED = " GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"
ALL_PLAYS = COUNT_PLAYS + _GROUPED

ALL_CALLS = """
  SELECT kind, role, model, round, substr(created, 1, 16) AS minute, count(*) AS calls,
    count(prompt_tokens) AS prompt_known, coalesce(sum(prompt_tokens), 0) AS prompt_tokens,
    count(completion_tokens) AS completion_known, coalesce(sum(completion_tokens), 0) AS completion_tokens,
    count(cost_usd) AS cost_known, coalesce(sum(CAST(round(cost_usd * 1e12) AS INTEGER)), 0) AS cost,
    sum(latency_s) AS latency_s
  FROM calls GROUP BY 1, 2, 3, 4, 5"""
"""`cost` is in 1e-12 US dollars: whole numbers add up to the same whatever their order."""

TABLES = f"""
    CREATE TABLE play_counts (         -- plays that ended, by how a round of theirs went
      target INTEGER NOT NULL,         -- -1: any
      status TEXT NOT NULL,            -- as in plays: duplicates still count as accepted
      reason TEXT NOT NULL,            -- empty: none
      round INTEGER NOT NULL,          -- -1: a play without any
      final INTEGER NOT NULL,          -- 1: the last round of these plays
      outcome TEXT NOT NULL,
      right INTEGER NOT NULL,
      scored INTEGER NOT NULL,
      skipped INTEGER NOT NULL,
      difficulty INTEGER NOT NULL,     -- -1: never solved
      plays INTEGER NOT NULL,
      calls INTEGER NOT NULL,          -- model calls of the round's attempts
      PRIMARY KEY (target, status, reason, round, final, outcome, right, scored, skipped, difficulty)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO play_counts {ALL_PLAYS};
    CREATE TABLE call_counts (         -- answered calls by the minute in which they were answered
      kind TEXT NOT NULL,
      role TEXT NOT NULL,
      model TEXT NOT NULL,
      round INTEGER NOT NULL,
      minute TEXT NOT NULL,
      calls INTEGER NOT NULL,
      prompt_known INTEGER NOT NULL,   -- calls whose prompt tokens are known
      prompt_tokens INTEGER NOT NULL,
      completion_known INTEGER NOT NULL,
      completion_tokens INTEGER NOT NULL,
      cost_known INTEGER NOT NULL,
      cost INTEGER NOT NULL,           -- in 1e-12 US dollars
      latency_s REAL NOT NULL,
      PRIMARY KEY (kind, role, model, round, minute)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO call_counts {ALL_CALLS};
    ALTER TABLE plays ADD COLUMN difficulty INTEGER;  -- of the last round
    UPDATE plays SET difficulty = (SELECT difficulty FROM verdicts WHERE verdicts.seed_index = plays.seed_index
      ORDER BY round DESC LIMIT 1) WHERE status <> 'pending';
    CREATE INDEX plays_by_status ON plays (status);
    CREATE INDEX plays_by_reason ON plays (reason) WHERE reason IS NOT NULL;
    CREATE INDEX plays_by_target ON plays (target);
    CREATE INDEX plays_by_difficulty ON plays (difficulty) WHERE difficulty IS NOT NULL;
    CREATE INDEX plays_by_end ON plays (finished, status) WHERE finished IS NOT NULL;
    """
"""Create and fill the tables of counts."""

_ADD_PLAY = f"""
  INSERT INTO play_counts SELECT target, status, reason, round, final, outcome, right, scored, skipped, difficulty,
    ?1 * plays, ?1 * calls FROM ({COUNT_PLAYS} AND plays.seed_index = ?2{_GROUPED}) WHERE true
  ON CONFLICT DO UPDATE SET plays = plays + excluded.plays, calls = calls + excluded.calls"""
_ADD_CALL = """
  INSERT INTO call_counts VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET calls = calls + 1, prompt_known = prompt_known + excluded.prompt_known,
    prompt_tokens = prompt_tokens + excluded.prompt_tokens,
    completion_known = completion_known + excluded.completion_known,
    completion_tokens = completion_tokens + excluded.completion_tokens,
    cost_known = cost_known + excluded.cost_known, cost = cost + excluded.cost,
    latency_s = latency_s + excluded.latency_s"""


def count_play(db: sqlite3.Connection, index: int, sign: int) -> None:
    """Add the play of a seed to the counts (`sign` 1), or subtract it before its rows change (-1)."""
    db.execute(_ADD_PLAY, (sign, index))


def count_call(
    db: sqlite3.Connection,
    group: tuple[str, str, str, int],
    created: str,
    tokens: tuple[int | None, int | None],
    cost_usd: float | None,
    latency_s: float,
) -> None:
    """Add an answered call to the counts; `group` is its kind, role, model and round."""
    sums = [part for number in tokens for part in (number is not None, number or 0)]
    cost = 0 if cost_usd is None else round(cost_usd * 1e12)
    db.execute(_ADD_CALL, (*group, created[:16], *sums, cost_usd is not None, cost, latency_s))


def recount_calls(db: sqlite3.Connection) -> None:
    """Count all calls again after their rows changed."""
    db.execute("DELETE FROM call_counts")
    db.execute(f"INSERT INTO call_counts {ALL_CALLS}")
