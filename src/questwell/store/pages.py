"""Plays a page at a time: under a filter, after or before a seed, whatever the size of the run.

A page starts at a key, never at an offset. Of the columns that have an index the most telling one is used and the
others are checked row by row; duplicates are told apart for the rows shown only.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from questwell.store.reader import RunReader
from questwell.store.records import Play, PlayStatus
from questwell.types.game import Reason

_EARLIER = """EXISTS (SELECT 1 FROM plays AS first WHERE first.status = 'accepted'
  AND first.question_key = plays.question_key AND first.seed_index < plays.seed_index)"""
_DUPLICATES = """seed_index IN (SELECT seed_index FROM (
  SELECT seed_index, question_key, lag(question_key) OVER (ORDER BY question_key, seed_index) AS before
  FROM plays INDEXED BY plays_by_question WHERE status = 'accepted' AND question_key IS NOT NULL)
  WHERE before = question_key)"""
_DIFFICULTY = """(SELECT difficulty FROM verdicts WHERE verdicts.seed_index = plays.seed_index
  ORDER BY round DESC LIMIT 1)"""


@dataclass(frozen=True, slots=True)
class PlayFilter:
    """Which plays; None is any."""

    state: PlayStatus | Reason | None = None
    target: int | None = None
    difficulty: int | None = None
    """Of the last round."""
    among: Sequence[int] | None = None
    """Only these seeds."""
    without: Sequence[int] = ()
    """None of these."""


def page(run: RunReader, wanted: PlayFilter, *, after: int = -1, size: int = 50) -> list[Play]:
    """The first `size` plays of `wanted` after the seed `after`, in order."""
    return _found(run, wanted, "seed_index > ?", after, "seed_index", size)


def page_before(run: RunReader, wanted: PlayFilter, before: int, *, size: int = 50) -> list[Play]:
    """The last `size` plays of `wanted` before the seed `before`, in order."""
    return _found(run, wanted, "seed_index < ?", before, "seed_index DESC", size)[::-1]


def difficulties(run: RunReader, indices: Sequence[int]) -> dict[int, int]:
    """The difficulty of the last round, by seed, where it was solved."""
    rows = run.rows(
        f"SELECT seed_index, {_DIFFICULTY} FROM plays WHERE seed_index IN (SELECT value FROM json_each(?))",
        json.dumps(list(indices)),
    )
    return {index: difficulty for index, difficulty in rows if difficulty is not None}


def _found(run: RunReader, wanted: PlayFilter, edge: str, at: int, order: str, size: int) -> list[Play]:
    where, values = _where(wanted, run)
    if wanted.among is not None:
        where, edge = ["seed_index IN (SELECT value FROM json_each(?))", *where], edge
        values = [json.dumps(list(wanted.among)), *values]
    if wanted.without:
        where = [*where, "seed_index NOT IN (SELECT value FROM json_each(?))"]
        values = [*values, json.dumps(list(wanted.without))]
    rows = run.rows(
        f"SELECT seed_index FROM plays WHERE {' AND '.join((*where, edge))} ORDER BY {order} LIMIT ?",
        *(*values, at, size),
    )
    return [run.play(index) for (index,) in rows]


def _where(wanted: PlayFilter, run: RunReader) -> tuple[list[str], list[object]]:
    """Conditions and their values. A `+` before a column keeps its index from being used: only the first one is."""
    conditions: list[tuple[str, str, list[object]]] = []
    if wanted.difficulty is not None:
        column = "difficulty" if run.counted else _DIFFICULTY
        conditions.append((column, "= ?", [wanted.difficulty]))
    match wanted.state:
        case Reason.DUPLICATE:
            return _also([_DUPLICATES], [], conditions, wanted.target)
        case Reason():
            conditions.insert(0, ("reason", "= ?", [wanted.state.value]))
        case PlayStatus.ACCEPTED:
            conditions.append(("status", f"= ? AND NOT {_EARLIER}", [wanted.state.value]))
        case PlayStatus.REJECTED:
            conditions.append(("status", f"<> 'pending' AND (status = ? OR {_EARLIER})", [wanted.state.value]))
        case PlayStatus():
            conditions.append(("status", "= ?", [wanted.state.value]))
        case None:
            pass
    return _also([], [], conditions, wanted.target)


def _also(
    where: list[str], values: list[object], conditions: Sequence[tuple[str, str, list[object]]], target: int | None
) -> tuple[list[str], list[object]]:
    every = [*conditions, *([("target", "= ?", [target])] if target is not None else [])]
    for column, test, own in every:
        where.append(f"{'+' if where else ''}{column} {test}")
        values += own
    return where, values


def duplicate_indices(run: RunReader) -> list[int]:
    """Seeds whose accepted question an earlier seed has too, in order."""
    return [row[0] for row in run.rows(f"SELECT seed_index FROM plays WHERE {_DUPLICATES} ORDER BY seed_index")]


def accepted_by_minute(run: RunReader) -> list[tuple[str, int]]:
    """(minute, accepted plays that ended in it), in order; duplicates count too."""
    return run.rows(
        "SELECT substr(finished, 1, 16), count(*) FROM plays WHERE finished IS NOT NULL AND status = 'accepted' "
        "GROUP BY 1 ORDER BY 1"
    )


def latest_failures(run: RunReader, size: int = 20) -> list[tuple[str, str, str, str]]:
    """(when, seed, class of error, message) of the newest failed calls, newest first."""
    return run.rows("SELECT created, seed, error, message FROM failures ORDER BY id DESC LIMIT ?", size)
