"""Reads a run file, also while another process writes it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from questwell.errors import StoreError
from questwell.store.delta import unpack
from questwell.store.passage_refs import Json, names, unfold
from questwell.store.query import FILE_NAME as FILE_NAME  # re-exported: the name of the file that is read
from questwell.store.query import Row
from questwell.store.records import (
    ADAPTED,
    AboutCount,
    Asked,
    CallKey,
    GateCount,
    KindCount,
    Play,
    PlayCount,
    PlayStatus,
    RoundRow,
    RunInfo,
    Score,
    Scoring,
    Trial,
    WaveSeed,
)
from questwell.store.run_info import read_info
from questwell.store.spending import SpendingReader
from questwell.text.adapters import adapter
from questwell.types.corpus import Passage
from questwell.types.evaluation import Question
from questwell.types.game import (
    Accepted,
    AnswerType,
    Judgement,
    Label,
    Outcome,
    Place,
    QuestionKind,
    Reason,
    Rejected,
    Seed,
)
from questwell.types.gates import Gate, GateOutcome
from questwell.types.trajectory import Role, StopReason, Trajectory

_AT_ONCE = 500
"""Maximum number of passages or plays per query; SQLite accepts at least 999 values."""
_UNPLAYED = "(status = 'pending' OR reason = 'errored')"


class RunReader(SpendingReader):
    """The contents of a run folder. Opens the file read-only; takes no lock."""

    def info(self) -> RunInfo | None:
        """Return the description of the run; None before its config was saved."""
        row = self._one("SELECT value FROM meta WHERE key = 'run'")
        if row is None:
            return None
        info = read_info(row[0], self.folder)
        learnt = {f"{ADAPTED}{place}": "; ".join(changes) for place, changes in self.adapted().items()}
        return replace(info, fingerprint={**info.fingerprint, **learnt})

    def adapted(self) -> dict[str, tuple[str, ...]]:
        """Return how requests are changed for endpoints, by model and address."""
        rows = self._all("SELECT key, value FROM meta WHERE substr(key, 1, ?) = ?", len(ADAPTED), ADAPTED)
        return {key.removeprefix(ADAPTED): tuple(json.loads(value)) for key, value in rows}

    def notes(self, start: str) -> dict[str, str]:
        """Return the notes whose names start with `start`, by name."""
        return dict(self._all("SELECT key, value FROM meta WHERE substr(key, 1, ?) = ?", len(start), start))

    def plays(self) -> list[Play]:
        """Return the plays of all drawn seeds, in order."""
        return self._plays("ORDER BY seed_index")

    def each_play(self, first: int = 0, only: str = "true") -> Iterator[Play]:
        """Yield the plays of all drawn seeds from number `first` on, in order, loaded in batches.

        `only` is a condition in SQL that they must meet.
        """
        where = f"WHERE seed_index >= ? AND {only} ORDER BY seed_index LIMIT ?"
        while found := self._plays(where, first, _AT_ONCE):
            yield from found
            first = found[-1].index + 1

    def _plays(self, where: str, *values: object) -> list[Play]:
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
                digits=row[10],
            )
            for row in self._all(
                "SELECT seed_index, wave, target, answer_type, status, reason, detail, question, answer, question_key, "
                f"{self.digits} FROM settled {where}",
                *values,
            )
        ]

    def rounds(self) -> list[RoundRow]:
        """Return all verdicts, ordered by seed and round."""
        return [
            RoundRow(row[0], row[1], Outcome(row[2]), *row[3:])
            for row in self._all(
                "SELECT seed_index, round, outcome, right, scored, skipped, difficulty FROM verdicts "
                "ORDER BY seed_index, round"
            )
        ]

    def unplayed(self) -> list[WaveSeed]:
        """Return the seeds that are drawn but still to be played (pending or errored), in order."""
        return list(self.each_unplayed())

    def each_unplayed(self) -> Iterator[WaveSeed]:
        """Yield the seeds of `unplayed`, loaded in batches. One that errors meanwhile does not come again."""
        first = 0
        sql = f"SELECT seed, {self.digits}, wave, seed_index FROM plays WHERE {_UNPLAYED} AND seed_index >= ? "
        while rows := self._all(f"{sql} ORDER BY seed_index LIMIT ?", first, _AT_ONCE):
            yield from (WaveSeed(self._seed(packed, digits), wave) for packed, digits, wave, _ in rows)
            first = rows[-1][-1] + 1

    def left(self) -> int:
        """Return the number of `unplayed` seeds."""
        return self._value(f"SELECT count(*) FROM plays WHERE {_UNPLAYED}")

    def errored(self) -> int:
        """Return the number of plays that errored and were not played again since."""
        return self._value("SELECT count(*) FROM plays WHERE reason = 'errored'")

    def drawn(self) -> int:
        """Return the number of seeds drawn so far; indices start at 0."""
        return self._value("SELECT count(*) FROM plays")

    def id_digits(self) -> int | None:
        """Return the number of digits of the last seed's id; None before the first seed."""
        row = self._one(f"SELECT {self.digits} FROM plays ORDER BY seed_index DESC LIMIT 1")
        return row[0] if row else None

    def latest_wave(self) -> int:
        """Return the number of the latest wave of seeds, from 0; -1 before the first."""
        # waves are drawn in seed order; max(wave) would read every row
        row = self._one("SELECT wave FROM plays ORDER BY seed_index DESC LIMIT 1")
        return -1 if row is None else row[0]

    def first_of_wave(self, wave: int) -> int:
        """Return the index of the first seed of `wave`, or of a later wave if it is empty."""
        # waves are drawn in seed order: search from the end, where the newest wave is
        row = self._one("SELECT seed_index FROM plays WHERE wave < ? ORDER BY seed_index DESC LIMIT 1", wave)
        return 0 if row is None else row[0] + 1

    def accepted(self) -> int:
        """Return the number of accepted plays, without duplicates."""
        return self._value("SELECT count(*) FROM plays WHERE status = 'accepted'") - self.duplicates()

    def accepted_by_difficulty(self) -> dict[int, int]:
        """Return the number of accepted plays by difficulty (in search steps), without duplicates."""
        return dict(
            self._all(
                "SELECT difficulty, count(*) FROM plays WHERE status = 'accepted' AND difficulty IS NOT NULL "
                f"AND seed_index NOT IN (SELECT seed_index FROM {self.duplicate_source}) GROUP BY difficulty"
            )
        )

    def drawn_by_target(self) -> dict[int, int]:
        """Return the number of drawn seeds by target; seeds without a target are left out."""
        return dict(self._all("SELECT target, count(*) FROM plays WHERE target IS NOT NULL GROUP BY target"))

    def question_keys(self) -> Iterator[str]:
        """Yield the keys of the accepted questions."""
        sql = "SELECT question_key FROM plays WHERE status = 'accepted' AND question_key IS NOT NULL"
        return (row[0] for row in self._each(sql))

    def seed(self, index: int) -> Seed:
        """Return the seed with this index; raises StoreError if there is none."""
        row = self._one(f"SELECT seed, {self.digits} FROM plays WHERE seed_index = ?", index)
        if row is None:
            raise StoreError(f"the run has no seed {index}")
        return self._seed(*row)

    def _seed(self, packed: bytes, digits: int) -> Seed:
        return replace(adapter(Seed).validate_python(self._unfolded(packed)), digits=digits)

    def kind_counts(self, first: int = 0) -> list[KindCount]:
        """Count seeds from `first` on, and items, by requested kind of question; seeds without a kind are left out."""
        counts = self._counts_by("kind", first)
        return [KindCount(kind, *counts[kind.value]) for kind in QuestionKind if kind.value in counts]

    def about_counts(self) -> list[AboutCount]:
        """Count seeds and items by the topic or cluster that they were drawn for; others are left out."""
        return [AboutCount(about, *counts) for about, counts in self._counts_by("about").items()]

    def _counts_by(self, field: str, first: int = 0) -> dict[str, tuple[int, int]]:
        """Count seeds and items by the value of a seed's field, in order of first occurrence, without empty values."""
        found: dict[str, tuple[int, int]] = {}
        sql = (
            "SELECT plays.seed, settled.status FROM plays JOIN settled USING (seed_index) WHERE plays.seed_index >= ? "
            "ORDER BY plays.seed_index"
        )
        for packed, status in self._each(sql, first):
            if value := cast("dict[str, str | None]", json.loads(unpack(packed))).get(field):
                seeds, items = found.get(value, (0, 0))
                found[value] = seeds + 1, items + (status == PlayStatus.ACCEPTED)
        return found

    def outcome(self, index: int) -> Accepted | Rejected | None:
        """Return the full outcome of a play; None while it is pending. Duplicates still count as accepted here."""
        row = self._one(f"SELECT status, outcome, {self.digits} FROM plays WHERE seed_index = ?", index)
        if row is None:
            raise StoreError(f"the run has no seed {index}")
        if row[1] is None:
            return None
        tree = self._unfolded(row[1])
        kind: type[Accepted | Rejected] = Accepted if row[0] == PlayStatus.ACCEPTED else Rejected
        outcome = adapter(kind).validate_python(tree)
        return replace(outcome, seed=replace(outcome.seed, digits=row[2]))

    def evidence(self, index: int) -> tuple[Passage, ...]:
        """Return the evidence passages of the last proposal of a play, without loading its trajectory."""
        row = self._one("SELECT outcome FROM plays WHERE seed_index = ?", index)
        if row is None or row[0] is None:
            return ()
        rounds = cast("dict[str, list[dict[str, dict[str, Json]]]]", json.loads(unpack(row[0])))["rounds"]
        if not rounds:
            return ()
        return adapter(tuple[Passage, ...]).validate_python(
            self.unfolded(json.dumps(rounds[-1]["proposal"]["evidence"]))
        )

    def answers(self, seed: str) -> dict[CallKey, Json]:
        """Return all recorded answers of one seed's play by call key, from which a replay is answered."""
        rows = self._all("SELECT round, role, attempt, turn, digest, response FROM calls WHERE seed = ?", seed)
        found = [
            (CallKey(Place(seed, row[0], Role(row[1]), row[2]), row[3], row[4]), cast(Json, json.loads(row[5])))
            for row in rows
        ]
        passages = self._passages({name for _, tree in found for name in names(tree)})
        return {key: unfold(tree, passages.__getitem__) for key, tree in found}

    def request(self, place: Place, digest: str) -> str:
        """Return the exact request of a call, as JSON text."""
        row = self._one(
            "SELECT request, base FROM calls WHERE seed = ? AND round = ? AND role = ? AND attempt = ? AND digest = ? "
            "ORDER BY id LIMIT 1",  # the first of equal requests: its base is older, so the recursion ends
            *(place.seed, place.round, place.role, place.attempt, digest),
        )
        if row is None:
            raise StoreError(f"the run has no call {digest} at {place!r}")
        return unpack(row[0], "" if row[1] is None else self.request(place, row[1]))

    def play_counts(self) -> list[PlayCount]:
        """Count all ended plays by the result of each round."""
        return [
            PlayCount(
                target=None if row[0] < 0 else row[0],
                status=PlayStatus(row[1]),
                reason=Reason(row[2]) if row[2] else None,
                round=None if row[3] < 0 else row[3],
                final=bool(row[4]),
                outcome=Outcome(row[5]) if row[5] else None,
                right=row[6],
                scored=row[7],
                skipped=row[8],
                difficulty=None if row[9] < 0 else row[9],
                plays=row[10],
                calls=row[11],
            )
            for row in self._all(f"SELECT * FROM {self.play_source} WHERE plays > 0")
        ]

    def duplicates(self) -> int:
        """Return the number of accepted plays whose question an earlier seed already has."""
        return self._value(f"SELECT count(*) FROM {self.duplicate_source}")

    def gate_counts(self) -> list[GateCount]:
        """Count proposals by gate and gate outcome."""
        rows = self._all(f"SELECT gate, outcome, proposals FROM {self.gate_source} WHERE proposals > 0")
        return [GateCount(Gate(row[0]), GateOutcome(row[1]), row[2]) for row in rows]

    def questions(self) -> list[Asked]:
        """Return the questions of an evaluation, in order."""
        rows = self._all("SELECT position, question FROM questions ORDER BY position")
        return [Asked(row[0], adapter(Question).validate_json(row[1])) for row in rows]

    def trials(self) -> list[Trial]:
        """Return summaries of the attempts, ordered by question and attempt."""
        rows = self._all(
            "SELECT position, attempt, stop, answer, searches, turns FROM trials ORDER BY position, attempt"
        )
        return [Trial(row[0], row[1], StopReason(row[2]), *row[3:]) for row in rows]

    def trajectory(self, position: int, attempt: int) -> Trajectory:
        """Return the full trajectory of an attempt at a question; raises StoreError if there is none."""
        row = self._one("SELECT trajectory FROM trials WHERE position = ? AND attempt = ?", position, attempt)
        if row is None:
            raise StoreError(f"the run has no attempt {attempt} at question {position}")
        return adapter(Trajectory).validate_python(self._unfolded(row[0]))

    def scorings(self) -> list[Scoring]:
        """Return the judges of the answers, in order."""
        return [Scoring(*row) for row in self._all("SELECT number, judge, prompts FROM scorings ORDER BY number")]

    def scores(self, scoring: int) -> list[Score]:
        """Return the judgements of a scoring, ordered by question and attempt."""
        rows = self._all(
            "SELECT position, attempt, label, method, reason FROM scores WHERE number = ? ORDER BY position, attempt",
            scoring,
        )
        return [Score(scoring, row[0], row[1], Judgement(Label(row[2]), row[3], row[4])) for row in rows]

    def latest_error(self) -> str | None:
        """Return the error of the play that errored last; None if no play errored."""
        row = self._one("SELECT detail FROM plays WHERE reason = 'errored' ORDER BY finished DESC LIMIT 1")
        return row[0] if row else None

    def unfolded(self, text: str) -> Json:
        """Return the value of a JSON text, with the passages that it refers to filled in."""
        tree = cast(Json, json.loads(text))
        return unfold(tree, self._passages(set(names(tree))).__getitem__)

    def _unfolded(self, packed: bytes) -> Json:
        return self.unfolded(unpack(packed))

    def _passages(self, wanted: set[str]) -> dict[str, Json]:
        ids = sorted(wanted)
        rows: list[Row] = []
        for first in range(0, len(ids), _AT_ONCE):  # json_each would cut an id at its first NUL
            some = ids[first : first + _AT_ONCE]
            marks = ", ".join("?" * len(some))
            rows += self._all(f"SELECT id, passage FROM passages WHERE id IN ({marks})", *some)
        return {row[0]: json.loads(row[1]) for row in rows}

    def play(self, index: int) -> Play:
        """Return the play of a seed, with duplicates marked; raises StoreError if there is none."""
        found = self._plays("WHERE seed_index = ?", index)
        if not found:
            raise StoreError(f"the run has no seed {index}")
        return found[0]
