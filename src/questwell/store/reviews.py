"""Reviews of a run, in a separate file `reviews.sqlite` in its folder, since the run file allows only one writer.

Entries are only added. Several people may review at once: a review is refused if its item has a newer entry, so nobody
overwrites a decision they have not seen.
"""

import json
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from questwell.errors import ReviewConflict, StoreError
from questwell.types.review import Review

_REVIEW = TypeAdapter(Review)
REVIEWS_NAME = "reviews.sqlite"
_SCHEMA = """
  CREATE TABLE IF NOT EXISTS reviews (
    id INTEGER PRIMARY KEY,
    seed TEXT NOT NULL,
    digest TEXT NOT NULL,
    decision TEXT NOT NULL,
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    aliases TEXT NOT NULL,           -- JSON
    note TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    date TEXT NOT NULL,
    supersedes INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS reviews_by_seed ON reviews (seed, id);
"""
_COLUMNS = "id, seed, digest, decision, question, answer, aliases, note, reviewer, date, supersedes"


def read_reviews(folder: Path, seed: str | None = None) -> list[Review]:
    """Return all reviews of the run in `folder`, or those of one seed, in order; empty if there are none."""
    path = folder / REVIEWS_NAME
    if not path.is_file():
        return []
    with _open(path, write=False) as db:
        rows = (
            db.execute(f"SELECT {_COLUMNS} FROM reviews ORDER BY id")
            if seed is None
            else db.execute(f"SELECT {_COLUMNS} FROM reviews WHERE seed = ? ORDER BY id", (seed,))
        )
        return [_review(row) for row in rows.fetchall()]


def add_review(folder: Path, review: Review) -> Review:
    """Store `review`, and return it with its number.

    Raises:
        ReviewConflict: this seed has a newer review than the one that `review` supersedes.
        StoreError: the file cannot be written.
    """
    with _open(folder / REVIEWS_NAME, write=True) as db:
        db.execute("BEGIN IMMEDIATE")
        try:
            (newest,) = db.execute("SELECT coalesce(max(id), 0) FROM reviews WHERE seed = ?", (review.seed,)).fetchone()
            if newest != review.supersedes:
                raise ReviewConflict(
                    f"{review.seed} was reviewed by somebody else since this page was loaded: reload it, then decide"
                )
            cursor = db.execute(
                f"INSERT INTO reviews ({_COLUMNS[4:]}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(review.seed, review.digest, review.decision, review.question, review.answer),
                    *(json.dumps(review.aliases), review.note, review.reviewer, review.date, review.supersedes),
                ),
            )
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        assert cursor.lastrowid is not None
        return replace(review, id=cursor.lastrowid)


def _review(row: Sequence[object]) -> Review:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    return _REVIEW.validate_python({**values, "aliases": json.loads(str(values["aliases"]))})


@contextmanager
def _open(path: Path, *, write: bool) -> Generator[sqlite3.Connection]:
    try:
        mode = "rwc" if write else "ro"
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=10)
        try:
            if write:
                db.executescript(_SCHEMA)
            yield db
        finally:
            db.close()
    except sqlite3.Error as error:
        raise StoreError(f"the reviews {str(path)!r} cannot be {'written' if write else 'read'}: {error}") from error
