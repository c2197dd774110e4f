"""Reading a run file, also while another process writes it."""

import json
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeAlias, cast

from pydantic import TypeAdapter

from questwell.errors import StoreError
from questwell.store.delta import unpack
from questwell.store.migrations import PAID_SEARCHES, READABLE, check
from questwell.store.passage_refs import Json, names, unfold
from questwell.store.records import (
    Asked,
    CallKey,
    CallKind,
    Play,
    PlayStatus,
    RoleUsage,
    RoundCalls,
    RoundRow,
    RunInfo,
    Score,
    Scoring,
    SearchUsage,
    Trial,
    WaveSeed,
)
from questwell.types.dataset import Usage
from questwell.types.evaluation import Question
from questwell.types.game import Accepted, AnswerType, Judgement, Label, Outcome, Place, Reason, Rejected, Seed
from questwell.types.trajectory import Role, StopReason, Trajectory

FILE_NAME = "run.sqlite"

_Row: TypeAlias = tuple[Any, ...]

_SEED = TypeAdapter(Seed)
_ACCEPTED = TypeAdapter(Accepted)
_REJECTED = TypeAdapter(Rejected)
_INFO = TypeAdapter(RunInfo)
_QUESTION = TypeAdapter(Question)
_TRAJECTORY = TypeAdapter(Trajectory)

# A sum over a column that is NULL anywhere is not known.
_USAGE = """count(*),
  CASE WHEN count(prompt_tokens) = count(*) THEN coalesce(sum(prompt_tokens), 0) END,
  CASE WHEN count(completion_tokens) = count(*) THEN coalesce(sum(completion_tokens), 0) END,
  CASE WHEN count(cost_usd) = count(*) THEN coalesce(sum(cost_usd), 0.0) END"""
_SEARCHES = "count(*), CASE WHEN count(cost_usd) = count(*) THEN coalesce(sum(cost_usd), 0.0) END"


class RunReader:
    """What a run folder holds. Opens the file read-only; takes no lock."""

    def __init__(self, folder: Path) -> None:
        """Open the run in `folder`.

        Raises:
            StoreError: there is no run, or it cannot be read.
        """
        self.folder = folder
        path = folder / FILE_NAME
        if not path.is_file():
            raise StoreError(f"there is no run in {str(folder)!r}: it has no {FILE_NAME}; questwell generate makes one")
        with _boundary(path):
            self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
            self._connection.execute("PRAGMA busy_timeout = 10000")
            version = check(self._connection)
        self._paid_searches = version >= PAID_SEARCHES
        if version < READABLE:
            self.close()
            raise StoreError(
                f"the run in {str(folder)!r} was written by an older Questwell; "
                f"questwell generate --resume --out {folder} brings it up to date"
            )

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Within it, everything read is of one moment, so that counts add up while the run goes on."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def info(self) -> RunInfo | None:
        """What the run is; None before its config was saved."""
        row = self._one("SELECT value FROM meta WHERE key = 'run'")
        return _INFO.validate_json(row[0]) if row else None

    def plays(self) -> list[Play]:
        """All drawn seeds, in order."""
        return [
            Play(
                index=row[0],
                wave=row[1],
                target=row[2],
                answer_type=AnswerType(row[3]),
                status=PlayStatus(row[4]),
                reason=Reason(row[5]) if row[5] else None,
                detail=row[6],
                question=row[7],
                answer=row[8],
                question_key=row[9],
            )
            for row in self._all(
                "SELECT seed_index, wave, target, answer_type, status, reason, detail, question, answer, question_key "
                "FROM settled ORDER BY seed_index"
            )
        ]

    def rounds(self) -> list[RoundRow]:
        """All verdicts, by seed and round."""
        return [
            RoundRow(row[0], row[1], Outcome(row[2]), *row[3:])
            for row in self._all(
                "SELECT seed_index, round, outcome, right, scored, skipped, difficulty FROM verdicts "
                "ORDER BY seed_index, round"
            )
        ]

    def unplayed(self) -> list[WaveSeed]:
        """Seeds that were drawn but not played to an outcome that counts (pending or errored), in order."""
        rows = self._all(
            "SELECT seed, wave FROM plays WHERE status = 'pending' OR reason = 'errored' ORDER BY seed_index"
        )
        return [WaveSeed(_SEED.validate_python(self._unfolded(row[0])), row[1]) for row in rows]

    def drawn(self) -> int:
        """Seeds drawn so far, a count: indices run from 0."""
        return self._value("SELECT count(*) FROM plays")

    def seed(self, index: int) -> Seed:
        """The seed of a play."""
        row = self._one("SELECT seed FROM plays WHERE seed_index = ?", index)
        if row is None:
            raise StoreError(f"the run has no seed {index}")
        return _SEED.validate_python(self._unfolded(row[0]))

    def outcome(self, index: int) -> Accepted | Rejected | None:
        """How a play went, in full; None while it is pending. A duplicate still reads as accepted here."""
        row = self._one("SELECT status, outcome FROM plays WHERE seed_index = ?", index)
        if row is None:
            raise StoreError(f"the run has no seed {index}")
        if row[1] is None:
            return None
        tree = self._unfolded(row[1])
        adapter = _ACCEPTED if row[0] == PlayStatus.ACCEPTED else _REJECTED
        return adapter.validate_python(tree)

    def answers(self, seed: str) -> dict[CallKey, Json]:
        """All kept answers of one seed's play: what a replay is served from."""
        rows = self._all("SELECT round, role, attempt, turn, digest, response FROM calls WHERE seed = ?", seed)
        found = [
            (CallKey(Place(seed, row[0], Role(row[1]), row[2]), row[3], row[4]), cast(Json, json.loads(row[5])))
            for row in rows
        ]
        passages = self._passages({name for _, tree in found for name in names(tree)})
        return {key: unfold(tree, passages.__getitem__) for key, tree in found}

    def request(self, place: Place, digest: str) -> str:
        """The exact request of a call, as JSON text."""
        row = self._one(
            "SELECT request, base FROM calls WHERE seed = ? AND round = ? AND role = ? AND attempt = ? AND digest = ? "
            "ORDER BY id LIMIT 1",  # the first of equal requests: its base is older than itself, so this ends
            *(place.seed, place.round, place.role, place.attempt, digest),
        )
        if row is None:
            raise StoreError(f"the run has no call {digest} at {place!r}")
        return unpack(row[0], "" if row[1] is None else self.request(place, row[1]))

    def usage(self) -> Usage:
        """Model calls of the whole run, resumes included; the cost is that of its searches too."""
        calls = Usage(*self._row(f"SELECT {_USAGE} FROM calls WHERE kind = 'llm'"))
        return _with_searches(calls, self.searches().cost_usd)

    def searches(self) -> SearchUsage:
        """Answered searches of the whole run, resumes included."""
        count, cost_usd = self._row(f"SELECT {_SEARCHES} FROM calls WHERE kind = 'search'")
        return SearchUsage(count, cost_usd if self._paid_searches else 0.0)

    def usage_by_role(self) -> list[RoleUsage]:
        """Model calls by role and model."""
        rows = self._all(
            f"SELECT role, model, {_USAGE} FROM calls WHERE kind = 'llm' GROUP BY role, model ORDER BY role, model"
        )
        return [RoleUsage(row[0], row[1], Usage(*row[2:])) for row in rows]

    def solver_usage_by_seed(self) -> dict[str, Usage]:
        """Model calls of solvers by seed id: what attempts took, judges left out."""
        rows = self._all(f"SELECT seed, {_USAGE} FROM calls WHERE kind = 'llm' AND role = 'solver' GROUP BY seed")
        return {row[0]: Usage(*row[1:]) for row in rows}

    def usage_by_seed(self) -> dict[str, Usage]:
        """Model calls by seed id; the cost is that of its searches too."""
        rows = self._all(f"SELECT seed, {_USAGE} FROM calls WHERE kind = 'llm' GROUP BY seed")
        searches = self._all(f"SELECT seed, {_SEARCHES} FROM calls WHERE kind = 'search' GROUP BY seed")
        costs = {row[0]: row[2] if self._paid_searches else 0.0 for row in searches}
        return {row[0]: _with_searches(Usage(*row[1:]), costs.get(row[0], 0.0)) for row in rows}

    def attempt_calls(self) -> list[RoundCalls]:
        """What the attempts of each round took."""
        rows = self._all(
            "SELECT CAST(substr(seed, 2) AS INTEGER), round, count(*) FROM calls "
            "WHERE kind = 'llm' AND role IN ('solver', 'judge') AND attempt < 100 GROUP BY seed, round"  # no gates
        )
        return [RoundCalls(*row) for row in rows]

    def questions(self) -> list[Asked]:
        """The questions of an evaluation, in order."""
        rows = self._all("SELECT position, question FROM questions ORDER BY position")
        return [Asked(row[0], _QUESTION.validate_json(row[1])) for row in rows]

    def trials(self) -> list[Trial]:
        """Attempts at the questions, by question and attempt."""
        rows = self._all(
            "SELECT position, attempt, stop, answer, searches, turns FROM trials ORDER BY position, attempt"
        )
        return [Trial(row[0], row[1], StopReason(row[2]), *row[3:]) for row in rows]

    def trajectory(self, position: int, attempt: int) -> Trajectory:
        """An attempt at a question, in full."""
        row = self._one("SELECT trajectory FROM trials WHERE position = ? AND attempt = ?", position, attempt)
        if row is None:
            raise StoreError(f"the run has no attempt {attempt} at question {position}")
        return _TRAJECTORY.validate_python(self._unfolded(row[0]))

    def scorings(self) -> list[Scoring]:
        """Who judged the answers, in order."""
        return [Scoring(*row) for row in self._all("SELECT number, judge, prompts FROM scorings ORDER BY number")]

    def scores(self, scoring: int) -> list[Score]:
        """What a scoring says, by question and attempt."""
        rows = self._all(
            "SELECT position, attempt, label, method, reason FROM scores WHERE number = ? ORDER BY position, attempt",
            scoring,
        )
        return [Score(scoring, row[0], row[1], Judgement(Label(row[2]), row[3], row[4])) for row in rows]

    def calls(self, kind: CallKind) -> int:
        """Answered calls of a kind, a count."""
        return self._value("SELECT count(*) FROM calls WHERE kind = ?", kind)

    def failures(self) -> dict[str, int]:
        """Failed calls by class of error, counts."""
        return dict(self._all("SELECT error, count(*) FROM failures GROUP BY error ORDER BY error"))

    def latest_error(self) -> str | None:
        """Why the play that errored last did so; None when none has."""
        row = self._one("SELECT detail FROM plays WHERE reason = 'errored' ORDER BY finished DESC LIMIT 1")
        return row[0] if row else None

    def _unfolded(self, packed: bytes) -> Json:
        tree = cast(Json, json.loads(unpack(packed)))
        return unfold(tree, self._passages(set(names(tree))).__getitem__)

    def _passages(self, wanted: set[str]) -> dict[str, Json]:
        rows = self._all(
            "SELECT id, passage FROM passages WHERE id IN (SELECT value FROM json_each(?))", json.dumps(sorted(wanted))
        )
        return {row[0]: json.loads(row[1]) for row in rows}

    def _all(self, sql: str, *values: object) -> list[_Row]:
        with _boundary(self.folder / FILE_NAME):
            return self._connection.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: object) -> _Row | None:
        rows = self._all(sql, *values)
        return rows[0] if rows else None

    def _row(self, sql: str, *values: object) -> _Row:
        return self._all(sql, *values)[0]

    def _value(self, sql: str, *values: object) -> int:
        return self._row(sql, *values)[0]


def _with_searches(usage: Usage, cost_usd: float | None) -> Usage:
    if usage.cost_usd is None or cost_usd is None:
        return replace(usage, cost_usd=None)
    return replace(usage, cost_usd=usage.cost_usd + cost_usd)


@contextmanager
def _boundary(path: Path) -> Generator[None]:
    """The one place where what SQLite raises on reading becomes ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"the run file {str(path)!r} cannot be read: {error}") from error
