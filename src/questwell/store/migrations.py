"""The schema of a run file, as migrations from one version to the next.

A migration is never edited after a release: a change is a new migration. The file's version is SQLite's `user_version`.
"""

import sqlite3

from questwell.errors import StoreError
from questwell.store import counts, sums

APPLICATION_ID = 0x51574C31  # "QWL1": marks an SQLite file as a run file

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (
      key TEXT PRIMARY KEY,
      value TEXT NOT NULL              -- JSON
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE passages (            -- each passage once, however often it was found
      id TEXT PRIMARY KEY,
      passage TEXT NOT NULL            -- JSON
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE calls (               -- what was asked and answered, and what it took
      id INTEGER PRIMARY KEY,
      seed TEXT NOT NULL,
      round INTEGER NOT NULL,
      role TEXT NOT NULL,
      attempt INTEGER NOT NULL,
      turn INTEGER NOT NULL,           -- ordinal of the call at this place, from 0
      digest TEXT NOT NULL,            -- of the exact request
      kind TEXT NOT NULL,              -- llm | search
      model TEXT NOT NULL,
      prompt_tokens INTEGER,           -- NULL: not known, which is not 0
      completion_tokens INTEGER,
      cost_usd REAL,
      latency_s REAL NOT NULL,
      created TEXT NOT NULL,
      base TEXT,                       -- digest of the request at this place that `request` is packed against
      response TEXT NOT NULL,          -- JSON, passages folded
      request BLOB NOT NULL,           -- JSON, packed
      UNIQUE (seed, round, role, attempt, turn, digest)
    ) STRICT;

    CREATE TABLE failures (            -- calls that gave no answer: a record, never an answer
      id INTEGER PRIMARY KEY,
      seed TEXT NOT NULL,
      round INTEGER NOT NULL,
      role TEXT NOT NULL,
      attempt INTEGER NOT NULL,
      turn INTEGER NOT NULL,
      digest TEXT NOT NULL,
      kind TEXT NOT NULL,
      error TEXT NOT NULL,             -- class
      message TEXT NOT NULL,
      created TEXT NOT NULL
    ) STRICT;

    CREATE TABLE plays (               -- one row a seed, from the moment it is drawn
      seed_index INTEGER PRIMARY KEY,
      wave INTEGER NOT NULL,
      target INTEGER,
      answer_type TEXT NOT NULL,
      status TEXT NOT NULL,            -- pending | accepted | rejected
      reason TEXT,                     -- of a rejection
      detail TEXT NOT NULL DEFAULT '',
      question TEXT,                   -- of the last round
      answer TEXT,
      question_key TEXT,               -- two questions with one key are the same question
      finished TEXT,
      seed BLOB NOT NULL,              -- JSON, passages folded, packed
      outcome BLOB                     -- the same
    ) STRICT;
    CREATE INDEX plays_by_question ON plays (question_key, seed_index) WHERE status = 'accepted';

    CREATE TABLE verdicts (            -- one row a round, so that tables need not unpack outcomes
      seed_index INTEGER NOT NULL,
      round INTEGER NOT NULL,
      outcome TEXT NOT NULL,
      right INTEGER NOT NULL,
      scored INTEGER NOT NULL,
      skipped INTEGER NOT NULL,
      difficulty INTEGER,
      PRIMARY KEY (seed_index, round)
    ) STRICT, WITHOUT ROWID;

    -- What counts. An accepted question that an earlier seed got accepted too is a duplicate: decided by the order of
    -- seeds, so it cannot depend on which play ended first.
    CREATE VIEW settled AS
      SELECT seed_index, wave, target, answer_type,
        CASE WHEN earlier IS NULL THEN status ELSE 'rejected' END AS status,
        CASE WHEN earlier IS NULL THEN reason ELSE 'duplicate' END AS reason,
        CASE WHEN earlier IS NULL THEN detail
          ELSE printf('the same question was accepted from seed s%05d', earlier) END AS detail,
        question, answer, question_key, earlier, finished
      FROM (
        SELECT *, CASE WHEN status = 'accepted' THEN (
          SELECT min(first.seed_index) FROM plays AS first WHERE first.status = 'accepted'
            AND first.question_key = plays.question_key AND first.seed_index < plays.seed_index) END AS earlier
        FROM plays);
    """,
    """
    CREATE TABLE questions (           -- of an evaluation; its calls are kept under q00042
      position INTEGER PRIMARY KEY,    -- in the benchmarks as they were loaded, so a larger sample only adds rows
      question TEXT NOT NULL           -- JSON
    ) STRICT;
    CREATE TABLE trials (              -- one row an attempt at a question of an evaluation
      position INTEGER NOT NULL,
      attempt INTEGER NOT NULL,
      stop TEXT NOT NULL,              -- why the rollout ended; errored ones are tried again by a resume
      answer TEXT,
      searches INTEGER NOT NULL,
      turns INTEGER NOT NULL,
      trajectory BLOB NOT NULL,        -- JSON, passages folded, packed
      PRIMARY KEY (position, attempt)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE scorings (            -- a judge of the answers; the first is the one that the evaluation began with
      number INTEGER PRIMARY KEY,
      judge TEXT NOT NULL,
      prompts TEXT NOT NULL            -- hash
    ) STRICT;
    CREATE TABLE scores (              -- one row an answer and scoring
      number INTEGER NOT NULL,
      position INTEGER NOT NULL,
      attempt INTEGER NOT NULL,
      label TEXT NOT NULL,             -- right | wrong | unscored | errored
      method TEXT NOT NULL,
      reason TEXT NOT NULL,
      PRIMARY KEY (number, position, attempt)
    ) STRICT, WITHOUT ROWID;
    """,
    "UPDATE calls SET cost_usd = 0.0 WHERE kind = 'search' AND cost_usd IS NULL;",  # local, so free
    counts.TABLES,
    sums.TABLES,
    """
    ALTER TABLE failures ADD COLUMN prompt_tokens INTEGER NOT NULL DEFAULT 0;  -- of replies paid for and rejected;
    ALTER TABLE failures ADD COLUMN completion_tokens INTEGER NOT NULL DEFAULT 0;  -- older files never counted any
    ALTER TABLE failures ADD COLUMN cost_usd REAL DEFAULT 0.0;  -- NULL: not known, which is not 0
    CREATE INDEX failures_by_seed ON failures (seed);
    """,
    """
    ALTER TABLE plays ADD COLUMN digits INTEGER NOT NULL DEFAULT 5;  -- of the seed's id; older files have five
    DROP VIEW settled;
    CREATE VIEW settled AS
      SELECT seed_index, wave, target, answer_type,
        CASE WHEN earlier IS NULL THEN status ELSE 'rejected' END AS status,
        CASE WHEN earlier IS NULL THEN reason ELSE 'duplicate' END AS reason,
        CASE WHEN earlier IS NULL THEN detail
          ELSE printf('the same question was accepted from seed s%0*d',
            (SELECT digits FROM plays AS first WHERE first.seed_index = earlier), earlier) END AS detail,
        question, answer, question_key, earlier, finished, digits
      FROM (
        SELECT *, CASE WHEN status = 'accepted' THEN (
          SELECT min(first.seed_index) FROM plays AS first WHERE first.status = 'accepted'
            AND first.question_key = plays.question_key AND first.seed_index < plays.seed_index) END AS earlier
        FROM plays);
    """,
)
PAID_SEARCHES = 3
"""First version in which a search has a cost; before, all searches ran in the process for free."""
COUNTED = 4
"""First version whose file keeps counts (`counts.py`); for older files they are computed on request."""
SUMMED = 5
"""First version whose file also keeps the tables of `sums.py`."""
PAID_FAILURES = 6
"""First version in which a failed call has tokens and a cost; before, they were not recorded."""
DIGITS = 7
"""First version in which a play records the number of digits of its id; before, all ids had five."""


def migrate(connection: sqlite3.Connection) -> None:
    """Migrate the file behind `connection` to the newest version; each migration is one transaction."""
    version = check(connection)
    sums.prepare(connection)
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(
            f"BEGIN;{script};PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={number};COMMIT;"
        )


def check(connection: sqlite3.Connection) -> int:
    """Return the version of the file behind `connection`; 0 for a new file.

    Raises:
        StoreError: the file is not a run file, or a newer Questwell wrote it.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if application != APPLICATION_ID and (version or application or _has_tables(connection)):
        raise StoreError("the file is an SQLite file, but not a Questwell run; name another folder")
    if version > len(MIGRATIONS):
        raise StoreError(
            f"the run was written by a newer Questwell (file version {version}, this one knows "
            f"{len(MIGRATIONS)}); upgrade questwell"
        )
    return version


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
