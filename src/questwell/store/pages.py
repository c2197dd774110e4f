"""Returns plays page by page, filtered, in runs of any size.

A page starts at a key, never at an offset. A query uses the index of the most selective column; the same index contains
the other columns, so that even a filter that matches almost nothing reads no rows.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from questwell.store.reader import RunReader
from questwell.store.records import Play, PlayStatus
from questwell.types.game import Reason

_DIFFICULTY = """(SELECT difficulty FROM verdicts WHERE verdicts.seed_index = plays.seed_index
  ORDER BY round DESC LIMIT 1)"""


@dataclass(frozen=True, slots=True)
class PlayFilter:
    """A filter of plays; None in a field means any."""

    state: PlayStatus | Reason | None = None
    target: int | None = None
    difficulty: int | None = None
    """Difficulty of the last round."""
    among: Sequence[int] | None = None
    """Seeds to include."""
    without: Sequence[int] = ()
    """Seeds to leave out."""


def page(run: RunReader, wanted: PlayFilter, *, after: int = -1, size: int = 50) -> list[Play]:
    """Return the first `size` plays that match `wanted` after the seed `after`, in order."""
    return [run.play(index) for index in indices(run, wanted, after=after, size=size)]


def each_by_interest(run: RunReader) -> Iterator[Play]:
    """Yield all plays: accepted first, then those with a question, unfinished ones last; otherwise in order.

    They are read in parts; call it within a snapshot if the run may be written.
    """
    for status in (PlayStatus.ACCEPTED, PlayStatus.REJECTED, PlayStatus.PENDING):
        for asked in ("NOT NULL", "NULL"):
            yield from run.each_play(only=f"status = '{status}' AND question IS {asked}")


def difficulties(run: RunReader, indices: Sequence[int]) -> dict[int, int]:
    """Return the difficulty (in search steps) of the last round by seed, for the solved ones of `indices`."""
    rows = run.rows(
        f"SELECT seed_index, {_DIFFICULTY} FROM plays WHERE seed_index IN (SELECT value FROM json_each(?))",
        json.dumps(list(indices)),
    )
    return {index: difficulty for index, difficulty in rows if difficulty is not None}


def indices(run: RunReader, wanted: PlayFilter, *, after: int = -1, before: int | None = None, size: int) -> list[int]:
    """Return the first `size` seeds that match `wanted` after `after`, or the last ones before `before`, in order.

    Rejected plays come from two lists: plays stored as rejected, and duplicates of accepted questions.
    """
    backwards = before is not None
    edge = f"seed_index {'<' if backwards else '>'} ?"
    parts = [wanted]
    if wanted.state is PlayStatus.REJECTED:
        parts.append(replace(wanted, state=Reason.DUPLICATE))
    found: list[int] = []
    for part in parts:
        where, values = _where(part, run)
        rows = run.rows(
            f"SELECT seed_index FROM plays WHERE {' AND '.join((*where, edge))} "
            f"ORDER BY seed_index {'DESC' if backwards else ''} LIMIT ?",
            *(*values, before if backwards else after, size),
        )
        found += [index for (index,) in rows]
    found.sort()
    return found[-size:] if backwards else found[:size]


def _where(wanted: PlayFilter, run: RunReader) -> tuple[list[str], list[object]]:
    """Return SQL conditions and their values. A `+` before a column disables its index, so only the first is used."""
    duplicate = f"seed_index IN (SELECT seed_index FROM {run.duplicate_source})"
    tests: list[tuple[str, str, object]] = []
    plain: list[str] = []
    if wanted.among is not None:
        tests.append(("seed_index", "IN (SELECT value FROM json_each(?))", json.dumps(list(wanted.among))))
    match wanted.state:
        case Reason.DUPLICATE:
            tests = tests or [("seed_index", f"IN (SELECT seed_index FROM {run.duplicate_source})", None)]
            plain = [f"+{duplicate}"] if wanted.among is not None else []
        case Reason():
            tests.append(("reason", "= ?", wanted.state.value))
        case PlayStatus():
            tests.append(("status", "= ?", wanted.state.value))
            plain = [f"+seed_index NOT IN (SELECT seed_index FROM {run.duplicate_source})"]
        case None:
            pass
    if wanted.target is not None:
        tests.append(("target", "= ?", wanted.target))
    if wanted.difficulty is not None:
        tests.append(("difficulty" if run.counted else _DIFFICULTY, "= ?", wanted.difficulty))
    if wanted.without:
        tests.append(("seed_index", "NOT IN (SELECT value FROM json_each(?))", json.dumps(list(wanted.without))))
    where = [f"{'+' if number else ''}{column} {test}" for number, (column, test, _) in enumerate(tests)]
    return [*where, *plain], [value for _, _, value in tests if value is not None]


def accepted_by_time(run: RunReader, length: int = 16) -> list[tuple[str, int]]:
    """Return (first `length` characters of the minute, number of accepted plays) in order, duplicates included."""
    return run.rows(
        f"SELECT substr(minute, 1, ?), sum(plays) FROM {run.accepted_source} WHERE plays > 0 GROUP BY 1 ORDER BY 1",
        length,
    )


def latest_failures(run: RunReader, size: int = 20) -> list[tuple[str, str, str, str]]:
    """Return (time, seed, error class, message) of the newest failed calls, newest first."""
    return run.rows("SELECT created, seed, error, message FROM failures ORDER BY id DESC LIMIT ?", size)
