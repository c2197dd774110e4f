"""The run file, opened for writing: records calls when they are answered and plays when they end, durably."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, assert_never, cast

from pydantic import TypeAdapter

from questwell.errors import StoreError
from questwell.store.counts import count_call, count_play, recount_calls
from questwell.store.delta import pack
from questwell.store.lock import RunLock
from questwell.store.merging import merge_into
from questwell.store.migrations import migrate
from questwell.store.passage_refs import Json, fold
from questwell.store.reader import FILE_NAME, RunReader
from questwell.store.records import (
    ADAPTED,
    Asked,
    Call,
    Ended,
    Failure,
    Learnt,
    News,
    PlayStatus,
    RunInfo,
    Score,
    Scoring,
    WaveSeed,
)
from questwell.store.sums import count_failure, sum_play
from questwell.store.writer import GroupCommit
from questwell.text.adapters import adapter
from questwell.text.unicode import without_surrogates
from questwell.types.evaluation import Question
from questwell.types.game import Accepted, Rejected, Seed
from questwell.types.trajectory import Trajectory

_OUTCOME: TypeAdapter[Accepted | Rejected] = TypeAdapter(Accepted | Rejected)
_META = "INSERT OR REPLACE INTO meta VALUES (?, ?)"


class RunStore:
    """Writes one run. Each `await` returns once the data is on disk.

    After a kill at any moment, the run contains everything whose `await` had returned, and perhaps a little more.
    """

    def __init__(self, folder: Path, lock: RunLock | None = None) -> None:
        """Open the run in `folder` for writing; create the folder and the file if they are missing.

        Args:
            folder: folder of the run.
            lock: lock of the folder if the caller already holds it; it is not released when the store is closed.

        Raises:
            RunLocked: another process is writing the run.
            StoreError: the file cannot be used.
        """
        self.folder = folder
        path = folder / FILE_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the run folder {str(folder)!r} cannot be made: {error}") from error
        self._own_lock = RunLock(folder / "run.lock") if lock is None else None
        try:
            self._connection = _open(path)
            self.read = RunReader(folder)
        except StoreError:
            self._release()
            raise
        self._writer = GroupCommit(self._connection)

    def close(self) -> None:
        """Write queued data, merge the write-ahead log into the file, and release the lock."""
        self._writer.close()
        self.read.close()
        self._connection.close()
        self._release()

    def _release(self) -> None:
        if self._own_lock is not None:
            self._own_lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def commits(self) -> int:
        """Number of transactions committed since the run was opened."""
        return self._writer.commits

    async def begin(self, info: RunInfo, questions: Sequence[Asked] = ()) -> None:
        """Save the description of the run, and the questions of an evaluation, in one step.

        A later call replaces the description (a resume may raise its limits); questions already stored are kept.
        """
        value = adapter(RunInfo).dump_json(info).decode()
        rows = [(asked.position, adapter(Question).dump_json(asked.question).decode()) for asked in questions]

        def write(db: sqlite3.Connection) -> None:
            db.execute(_META, ("run", value))
            db.executemany("INSERT OR IGNORE INTO questions VALUES (?, ?)", rows)

        await self._writer.write(write)

    async def record(self, call: Call) -> None:
        """Store an answered call."""
        await self._writer.write(lambda db: _insert_call(db, call))

    async def record_failure(self, failure: Failure) -> None:
        """Store a failed call; a replay never uses it."""
        await self._writer.write(lambda db: _insert_failure(db, failure))

    async def adapted(self, place: str, changes: Sequence[str]) -> None:
        """Store how requests are changed for an endpoint; part of the fingerprint, but not compared on a resume."""
        await self._writer.write(lambda db: _keep_learnt(db, Learnt(place, tuple(changes))))

    async def price(self, prompt_usd: float, completion_usd: float) -> None:
        """Set the cost of model calls whose cost is unknown, from prices in US dollars per million tokens."""

        def write(db: sqlite3.Connection) -> None:
            priced = db.execute(
                "UPDATE calls SET cost_usd = (prompt_tokens * ? + completion_tokens * ?) / 1e6 "
                "WHERE cost_usd IS NULL AND kind = 'llm'",
                (prompt_usd, completion_usd),
            )
            if priced.rowcount:
                recount_calls(db)
            db.execute(
                "UPDATE failures SET cost_usd = (prompt_tokens * ? + completion_tokens * ?) / 1e6 "
                "WHERE cost_usd IS NULL AND kind = 'llm'",
                (prompt_usd, completion_usd),
            )

        await self._writer.write(write)

    async def add_seeds(self, seeds: Sequence[WaveSeed]) -> list[WaveSeed]:
        """Store drawn seeds atomically; return them as stored, with ids as long as those of earlier seeds."""
        kept: list[WaveSeed] = []
        if seeds and (digits := self.read.id_digits()) is not None:
            kept = [replace(one, seed=replace(one.seed, digits=digits)) for one in seeds]
        await self._writer.write(lambda db: _insert_seeds(db, kept or seeds))
        return kept or list(seeds)

    async def record_trial(self, position: int, attempt: int, trajectory: Trajectory) -> None:
        """Store an attempt at a question; it replaces an errored one."""
        await self._writer.write(lambda db: _insert_trial(db, position, attempt, trajectory))

    async def begin_scoring(self, scoring: Scoring) -> None:
        """Store the judge of a scoring."""
        row = (scoring.number, scoring.judge, scoring.prompts)
        await self._writer.write(lambda db: db.execute("INSERT OR IGNORE INTO scorings VALUES (?, ?, ?)", row))

    async def score(self, score: Score) -> None:
        """Store a judgement; it replaces an earlier one of the same answer."""
        said = score.judgement
        row = (score.scoring, score.position, score.attempt, said.label, said.method, without_surrogates(said.reason))
        await self._writer.write(lambda db: db.execute("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?)", row))

    async def merge(self, sources: Sequence[Path]) -> None:
        """Merge the runs in the folders `sources` into this one; see `merging.py`.

        Raises:
            StoreError: one of them cannot be read.
        """
        for source in sources:
            RunReader(source).close()
        await self._writer.write(lambda db: merge_into(db, sources))

    async def finish(self, outcome: Accepted | Rejected, question_key: str | None) -> None:
        """Store the outcome of a play; accepted plays with equal `question_key` are duplicates."""
        await self._writer.write(lambda db: _update_play(db, Ended(outcome, question_key)))

    async def receive(self, news: Sequence[News], note: str, value: str) -> None:
        """Store records of another process together with a note, atomically."""
        await self._writer.write(lambda db: _receive(db, news, note, value))

    async def note(self, name: str, value: str) -> None:
        """Store a note about the run, replacing an earlier one of the same name; `RunReader.notes` reads it."""
        await self._writer.write(lambda db: db.execute(_META, (name, value)))

    async def forget(self, start: str) -> None:
        """Delete the notes whose names start with `start`."""
        where = "DELETE FROM meta WHERE substr(key, 1, ?) = ?"
        await self._writer.write(lambda db: db.execute(where, (len(start), start)))


def _open(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # WAL lets readers work while the writer does; FULL makes a commit survive a power cut, not only a kill.
        connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
        migrate(connection)
    except sqlite3.Error as error:
        raise StoreError(f"the run file {str(path)!r} cannot be opened: {error}") from error
    return connection


def _insert_call(db: sqlite3.Connection, call: Call) -> None:
    place = call.key.place
    base = call.base
    created = _now()
    added = db.execute(
        "INSERT OR IGNORE INTO calls (seed, round, role, attempt, turn, digest, kind, model, prompt_tokens, "
        "completion_tokens, cost_usd, latency_s, created, base, response, request) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(place.seed, place.round, place.role, place.attempt, call.key.turn, call.key.digest),
            *(call.kind, call.model, call.prompt_tokens, call.completion_tokens, call.cost_usd, call.latency_s),
            *(
                created,
                base.digest if base else None,
                _folded(db, call.response),
                pack(call.request, base.request if base else ""),
            ),
        ),
    )
    if added.rowcount:
        tokens = (call.prompt_tokens, call.completion_tokens)
        count_call(db, (call.kind, place.role, call.model, place.round), created, tokens, call.cost_usd, call.latency_s)


def _insert_failure(db: sqlite3.Connection, failure: Failure) -> None:
    place = failure.key.place
    db.execute(
        "INSERT INTO failures (seed, round, role, attempt, turn, digest, kind, error, message, created, "
        "prompt_tokens, completion_tokens, cost_usd) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(place.seed, place.round, place.role, place.attempt, failure.key.turn, failure.key.digest),
            *(failure.kind, failure.error, without_surrogates(failure.message), _now()),
            *(failure.prompt_tokens, failure.completion_tokens, failure.cost_usd),
        ),
    )
    count_failure(db, failure.error)


def _insert_seeds(db: sqlite3.Connection, seeds: Sequence[WaveSeed]) -> None:
    for drawn in seeds:
        seed = drawn.seed
        tree = _folded(db, adapter(Seed).dump_python(seed, mode="json"))
        db.execute(
            "INSERT INTO plays (seed_index, wave, target, answer_type, status, seed, digits) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (seed.index, drawn.wave, seed.target, seed.answer_type, PlayStatus.PENDING, pack(tree), seed.digits),
        )


def _receive(db: sqlite3.Connection, news: Sequence[News], note: str, value: str) -> None:
    for one in news:
        match one:
            case Call():
                _insert_call(db, one)
            case Failure():
                _insert_failure(db, one)
            case Learnt():
                _keep_learnt(db, one)
            case Ended():
                _update_play(db, one)
            case _:
                assert_never(one)
    db.execute(_META, (note, value))


def _keep_learnt(db: sqlite3.Connection, learnt: Learnt) -> None:
    db.execute(_META, (f"{ADAPTED}{learnt.place}", json.dumps(list(learnt.changes))))


def _update_play(db: sqlite3.Connection, ended: Ended) -> None:
    outcome, question_key = ended.outcome, ended.question_key
    index = outcome.seed.index
    rejected = outcome if isinstance(outcome, Rejected) else None
    last = outcome.rounds[-1].proposal if outcome.rounds else None
    _count(db, index, -1)  # an errored play is played again
    db.execute(
        "UPDATE plays SET status = ?, reason = ?, detail = ?, question = ?, answer = ?, question_key = ?, "
        "finished = ?, outcome = ?, difficulty = ? WHERE seed_index = ?",
        (
            PlayStatus.REJECTED if rejected else PlayStatus.ACCEPTED,
            rejected.reason if rejected else None,
            without_surrogates(rejected.detail) if rejected else "",
            last.question if last else None,
            last.answer if last else None,
            question_key,
            _now(),
            pack(_folded(db, cast(Json, _OUTCOME.dump_python(outcome, mode="json")))),
            outcome.rounds[-1].verdict.difficulty if outcome.rounds else None,
            index,
        ),
    )
    db.execute("DELETE FROM verdicts WHERE seed_index = ?", (index,))
    db.executemany(
        "INSERT INTO verdicts (seed_index, round, outcome, right, scored, skipped, difficulty) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                index,
                r.index,
                r.verdict.outcome,
                r.verdict.right,
                r.verdict.scored,
                r.verdict.skipped,
                r.verdict.difficulty,
            )
            for r in outcome.rounds
        ],
    )
    _count(db, index, 1)


def _count(db: sqlite3.Connection, index: int, sign: int) -> None:
    count_play(db, index, sign)
    sum_play(db, index, sign)


def _insert_trial(db: sqlite3.Connection, position: int, attempt: int, trajectory: Trajectory) -> None:
    tree = _folded(db, cast(Json, adapter(Trajectory).dump_python(trajectory, mode="json")))
    answer = None if trajectory.answer is None else without_surrogates(trajectory.answer)
    db.execute(
        "INSERT OR REPLACE INTO trials VALUES (?, ?, ?, ?, ?, ?, ?)",
        (position, attempt, trajectory.stop, answer, trajectory.searches, len(trajectory.turns), pack(tree)),
    )


def _folded(db: sqlite3.Connection, tree: Json) -> str:
    """Store the passages of `tree` once each; return `tree` as JSON text that refers to them."""

    def keep(passage_id: str, passage: Json) -> None:
        db.execute("INSERT OR IGNORE INTO passages VALUES (?, ?)", (passage_id, json.dumps(passage)))

    return json.dumps(fold(tree, keep), separators=(",", ":"))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
