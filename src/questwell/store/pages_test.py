"""Counts and pages against the rows themselves, over random runs; old files read the same."""

import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from questwell.store import sums
from questwell.store.counts import ALL_CALLS, ALL_PLAYS
from questwell.store.migrations import APPLICATION_ID, MIGRATIONS
from questwell.store.pages import PlayFilter, accepted_by_time, difficulties, each_by_interest, indices, page
from questwell.store.reader import FILE_NAME, RunReader
from questwell.store.records import Call, CallKey, CallKind, Failure, Play, PlayStatus, WaveSeed
from questwell.store.run import RunStore
from questwell.store.textsearch import TextIndex
from questwell.types.corpus import Passage
from questwell.types.game import Accepted, AnswerType, Outcome, Place, Proposal, Reason, Rejected, Round, Seed, Verdict
from questwell.types.gates import Gate, GateOutcome, GateResult
from questwell.types.ids import ID_DIGITS, OLD_ID_DIGITS, seed_name
from questwell.types.trajectory import Role, StopReason, Style, Trajectory
from questwell.types.usage import Usage

PASSAGE = Passage("p", "T", "text", "d")
SILENT = Trajectory(Role.PROPOSER, Style.FREE, (), StopReason.FINISHED)
PLAYS = 120
STATES = [None, *PlayStatus, *Reason]


def seed(index: int) -> Seed:
    return Seed(index, PASSAGE, (None, 0, 2, 3)[index % 4], AnswerType.ENTITY)


def ended(rng: random.Random, index: int) -> Accepted | Rejected:
    rounds: list[Round] = []
    for number in range(rng.randint(0, 3)):
        right = rng.randint(0, 4)
        outcome = rng.choice([Outcome.PASS, Outcome.TOO_EASY]) if right else Outcome.UNSOLVED
        verdict = Verdict(outcome, right, 4, rng.randint(1, 4) if right else None, rng.randint(0, 3))
        proposal = Proposal(f"Who is {rng.randint(0, 60)} of 橋の名前?", "Ada", (), (), (), SILENT)
        gates = tuple(GateResult(gate, rng.choice(list(GateOutcome)), "why") for gate in Gate if rng.random() < 0.4)
        rounds.append(Round(number, proposal, (), verdict, gates=gates))
        if outcome is Outcome.PASS:
            return Accepted(seed(index), tuple(rounds))
    reason = rng.choice([Reason.ERRORED, Reason.TOO_EASY, Reason.UNSOLVED, Reason.UNSCORED])
    return Rejected(seed(index), tuple(rounds), reason, f"because {reason.value}")


async def write(folder: Path, start: int, digits: int = ID_DIGITS) -> None:
    """Plays that end in any order, some errored ones twice, with calls before and after."""
    rng = random.Random(start)
    with RunStore(folder) as store:
        await store.add_seeds([WaveSeed(replace(seed(index), digits=digits), 0) for index in range(PLAYS)])
        for index in rng.sample(range(PLAYS), PLAYS - 15):
            for turn in range(rng.randint(0, 3)):
                place = Place(seed_name(index, digits), turn, rng.choice(list(Role)), rng.choice([0, 1, 101]))
                known = rng.random() < 0.9
                call = Call(
                    CallKey(place, turn, "d"),
                    *(rng.choice((CallKind.LLM, CallKind.SEARCH)), "{}", {}, "m", 3 if known else None, 4),
                    *(rng.random() if start % 2 else None, 0.5),
                )
                await store.record(call)
                await store.record(call)  # the first answer stays, and is counted once
            outcome = ended(rng, index)
            while True:
                key = outcome.rounds[-1].proposal.question if isinstance(outcome, Accepted) else None
                await store.finish(outcome, key)
                errored = isinstance(outcome, Rejected) and outcome.reason is Reason.ERRORED
                if rng.random() < (0.3 if errored else 0.9):  # an outcome may be replaced, whatever it was
                    break
                outcome = ended(rng, index)
            if rng.random() < 0.3:
                place = CallKey(Place(seed_name(index, digits), 0, Role.SOLVER), 0, "d")
                await store.record_failure(Failure(place, CallKind.LLM, rng.choice(["Timeout", "Refused"]), "why"))


async def test_the_most_interesting_plays_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("questwell.store.reader._AT_ONCE", 7)
    await write(tmp_path, 1)
    order = {PlayStatus.ACCEPTED: 0, PlayStatus.REJECTED: 1, PlayStatus.PENDING: 2}
    with RunReader(tmp_path) as run, run.snapshot():
        plays = run.plays()
        assert {(one.status, one.question is None) for one in plays} == {
            *((PlayStatus.ACCEPTED, False), (PlayStatus.REJECTED, False), (PlayStatus.REJECTED, True)),
            (PlayStatus.PENDING, True),
        }
        assert list(each_by_interest(run)) == sorted(
            plays, key=lambda one: (order[one.status], one.question is None, one.index)
        )
        assert run.left() == len(run.unplayed()) > 7
        assert [one.seed.index for one in run.each_unplayed()] == [
            one.index for one in plays if one.status is PlayStatus.PENDING or one.reason is Reason.ERRORED
        ]


@pytest.mark.parametrize("start", range(4))
async def test_counts_are_sums_of_the_rows_whatever_came_when(tmp_path: Path, start: int) -> None:
    await write(tmp_path, start)
    db = sqlite3.connect(tmp_path / FILE_NAME)
    counted = sorted(db.execute("SELECT * FROM play_counts WHERE plays > 0"))
    assert counted == sorted(db.execute(ALL_PLAYS))
    assert sum(row[10] for row in counted if row[4]) == PLAYS - 15
    assert sorted(db.execute("SELECT * FROM call_counts")) == sorted(db.execute(ALL_CALLS))
    sums.prepare(db)
    for table, rows, filled in (
        ("duplicates", sums.ALL_DUPLICATES, "true"),
        ("accepted_minutes", sums.ALL_ACCEPTED, "plays <> 0"),
        ("gate_counts", sums.ALL_GATES, "proposals <> 0"),
        ("failure_counts", sums.ALL_FAILURES, "true"),
    ):
        kept = sorted(db.execute(f"SELECT * FROM {table} WHERE {filled}"))
        assert kept == sorted(db.execute(rows)) != [], table
    db.close()
    with RunReader(tmp_path) as run:
        usage = run.usage()
        by_seed = run.usage_by_seed().values()
        assert usage.calls == sum(one.calls for one in by_seed) == run.calls(CallKind.LLM)
        if start % 2:
            costs = run.rows("SELECT total(cost_usd) FROM calls")[0][0]
            assert usage.cost_usd == pytest.approx(costs)
        else:
            assert usage.cost_usd is None
            assert usage.prompt_tokens is None
        for name, one in run.usage_by_seed().items():
            assert run.usage_of(name) == one
        assert run.usage_of("s99999999") == Usage()


async def test_prices_given_later_are_in_the_counts(tmp_path: Path) -> None:
    await write(tmp_path, 0)
    with RunStore(tmp_path) as store:
        await store.price(1.0, 2.0)
        found = store.read.rows("SELECT total(cost_usd) FROM calls WHERE kind = 'llm' AND prompt_tokens IS NOT NULL")
        costs = store.read.rows("SELECT sum(cost) / 1e12 FROM call_counts WHERE kind = 'llm'")
        assert costs[0][0] == pytest.approx(found[0][0])
        assert found[0][0] > 0


@pytest.mark.parametrize("version", [3, 4])
async def test_an_old_file_is_read_as_it_is_and_counts_the_same_when_it_is_brought_up_to_date(
    tmp_path: Path, version: int
) -> None:
    await write(tmp_path / "new", 1, OLD_ID_DIGITS)
    (tmp_path / "old").mkdir()
    db = sqlite3.connect(tmp_path / "old" / FILE_NAME)
    db.executescript(
        "".join(MIGRATIONS[:version]) + f"PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={version};"
    )
    db.execute(f"ATTACH '{tmp_path / 'new' / FILE_NAME}' AS new")
    counted = ("play_counts", "call_counts") if version == 4 else ()
    for table in ("passages", "calls", "plays", "verdicts", "failures", *counted):
        names = ", ".join(row[1] for row in db.execute(f"PRAGMA main.table_info({table})"))
        db.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM new.{table}")
    db.commit()
    db.close()

    def read(folder: Path) -> list[object]:
        with RunReader(folder) as run:
            return [
                sorted(map(repr, run.play_counts())),
                run.usage(),
                run.usage_by_role(),
                run.searches(),
                run.call_counts("minute"),
                [run.calls_over_time(length) for length in (16, 15, 13, 10)],
                run.duplicates(),
                sorted(run.gate_counts(), key=repr),
                run.failures(),
                accepted_by_time(run),
                [page(run, PlayFilter(state, difficulty=hard)) for state in STATES for hard in (None, 2)],
                difficulties(run, range(PLAYS)),
            ]

    new = read(tmp_path / "new")
    with RunReader(tmp_path / "new") as run:
        for length in (16, 15, 13, 10):
            assert run.calls_over_time(length) == run.call_counts(f"substr(minute, 1, {length})") != []
    assert read(tmp_path / "old") == new
    RunStore(tmp_path / "old").close()
    with RunReader(tmp_path / "old") as run:
        assert run.counted
    assert read(tmp_path / "old") == new


def fits(wanted: PlayFilter, known: Play, difficulty: dict[int, int]) -> bool:
    state = known.reason if isinstance(wanted.state, Reason) else known.status
    return (
        wanted.state in (None, state)
        and (wanted.target is None or wanted.target == known.target)
        and (wanted.difficulty is None or wanted.difficulty == difficulty.get(known.index))
        and (wanted.among is None or known.index in wanted.among)
        and known.index not in wanted.without
    )


@pytest.mark.parametrize("target", [None, 0, 3])
@pytest.mark.parametrize("difficulty", [None, 2])
@pytest.mark.parametrize("among", [None, tuple(range(0, PLAYS, 3))])
async def test_pages_hold_what_a_filter_over_all_plays_finds(
    tmp_path: Path, target: int | None, difficulty: int | None, among: tuple[int, ...] | None
) -> None:
    await write(tmp_path, 2)
    with RunReader(tmp_path) as run:
        every, hard = run.plays(), difficulties(run, range(PLAYS))
        assert {known.reason for known in every} >= {Reason.DUPLICATE, Reason.TOO_EASY, None}
        for state in STATES:
            wanted = PlayFilter(state, target, difficulty, among, without=(3, 4))
            expected = [known for known in every if fits(wanted, known, hard)]
            found: list[Play] = []
            while more := page(run, wanted, after=found[-1].index if found else -1, size=7):
                found += more
            assert found == expected
            back: list[Play] = []
            while more := indices(run, wanted, before=back[0].index if back else PLAYS, size=7):
                back = [*map(run.play, more), *back]
            assert back == expected


async def test_words_are_found_in_plays_that_ended_and_nothing_in_a_query_is_an_operator(tmp_path: Path) -> None:
    await write(tmp_path / "run", 3)
    index = TextIndex(tmp_path / "cache" / "words.sqlite")
    with RunReader(tmp_path / "run") as run:
        assert index.follow(run) > 0
        assert index.follow(run) == 0
        plays = [known for known in run.plays() if known.reason is not Reason.ERRORED and known.question]
        assert index.find("who is") == [known.index for known in plays]
        some = [known.index for known in plays if " 12 of" in (known.question or "")]
        assert index.find('12 "of') == some
        assert index.find("の名前") == index.find("who")  # a part of a run of characters without spaces
        assert index.find("名の前") == []
        assert index.find("wh") == index.find("who")
        assert index.find("of who NEAR AND (") == []
        assert index.find('" * ^') == []
        third = index.find("who", limit=3)[-1]
        assert index.find("who", after=third)[0] > third
        assert index.find("who", before=third, limit=1) == [index.find("who", limit=3)[1]]
    index.close()


async def test_a_search_index_that_cannot_be_read_is_made_again(tmp_path: Path) -> None:
    await write(tmp_path / "run", 3)
    (tmp_path / "words.sqlite").write_bytes(b"no database" * 1000)
    index = TextIndex(tmp_path / "words.sqlite")
    with RunReader(tmp_path / "run") as run:
        assert index.follow(run) > 0
    index.close()


async def test_a_replayed_play_keeps_its_place(tmp_path: Path) -> None:
    await write(tmp_path, 2)
    with RunReader(tmp_path) as run:
        for known in run.plays():
            assert run.play(known.index) == known
