import asyncio
import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from questwell.errors import RunLocked, StoreError
from questwell.store.migrations import APPLICATION_ID, MIGRATIONS
from questwell.store.reader import FILE_NAME, RunReader
from questwell.store.records import (
    Asked,
    Call,
    CallKey,
    CallKind,
    Earlier,
    Ended,
    FailedUsage,
    Failure,
    Learnt,
    PlayStatus,
    RunInfo,
    Score,
    Scoring,
    Trial,
    WaveSeed,
)
from questwell.store.run import RunStore
from questwell.types.corpus import Hit, Passage
from questwell.types.evaluation import Question
from questwell.types.game import (
    Accepted,
    AnswerType,
    Judgement,
    Label,
    Outcome,
    Place,
    Proposal,
    Reason,
    Rejected,
    Round,
    Seed,
    Verdict,
)
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn
from questwell.types.usage import Usage

PASSAGE = Passage(
    "p1", "A [red] title", "Text with \x1b[31m control, \u202e bidi, 中文 and \x00 NUL.", "d1", links=("x",)
)
INFO = RunInfo("id", "2026-11-20T00:00:00+00:00", "0.1.0", {"seeds": 2}, {"prompts": "abc"})


def call(turn: int = 0, digest: str = "d", **changes: object) -> Call:
    key = CallKey(Place("s00000", 0, Role.SOLVER, 1), turn, digest)
    made = Call(key, CallKind.LLM, '{"prompt":"p"}', {"text": "hi"}, "m", 3, 4, None, 0.5)
    return replace(made, **changes)  # type: ignore[arg-type]


def outcome(index: int, question: str = "Who?") -> Accepted:
    seed = Seed(index, PASSAGE, 2, AnswerType.ENTITY)
    turns = (Turn("<search>x", "x", (Hit(PASSAGE, 1.25, 1), Hit(PASSAGE, 0.5, 2)), "seen"), Turn("end"))
    trajectory = Trajectory(Role.PROPOSER, Style.FREE, turns, StopReason.FINISHED)
    proposal = Proposal(question, "Ada", ("A.",), (), (PASSAGE,), trajectory)
    return Accepted(seed, (Round(0, proposal, (), Verdict(Outcome.PASS, 1, 4, 3)),))


async def draw(store: RunStore, count: int) -> None:
    await store.add_seeds([WaveSeed(outcome(index).seed, 0) for index in range(count)])


async def test_what_is_written_is_read_back_equal(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        await store.begin(INFO)
        await draw(store, 2)
        await store.finish(outcome(0), "who")
        rejected = Rejected(outcome(1).seed, outcome(1).rounds, Reason.TOO_EASY, "why \ud800")
        await store.finish(rejected, None)
        hits = [{"passage": {"id": "p1"}, "score": 1.0}]
        await store.record(call(0, response={"hits": hits}))
    with RunReader(tmp_path) as run:
        assert run.info() == INFO
        assert run.outcome(0) == outcome(0)
        assert run.seed(1) == outcome(1).seed
        assert [play.status for play in run.plays()] == [PlayStatus.ACCEPTED, PlayStatus.REJECTED]
        assert run.plays()[1].detail == "why \ufffd"
        assert run.answers("s00000") == {call().key: {"hits": hits}}
        assert run.answers("s00001") == {}
        assert run.usage() == Usage(1, 3, 4, None)


async def test_a_passage_is_kept_once(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        await draw(store, 3)
        await store.finish(outcome(0), "who")
    db = sqlite3.connect(tmp_path / FILE_NAME)
    assert db.execute("SELECT count(*) FROM passages").fetchone() == (1,)
    db.close()


async def test_the_first_answer_to_a_call_stays(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        await store.record(call(response={"text": "first"}))
        await store.record(call(response={"text": "second"}))
        assert store.read.answers("s00000") == {call().key: {"text": "first"}}


async def test_failures_are_counted_and_never_answers(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        await store.record_failure(Failure(call().key, CallKind.LLM, "LLMTimeout", "late"))
        assert store.read.failures() == {"LLMTimeout": 1}
        assert store.read.answers("s00000") == {}
        assert store.read.usage().calls == 0


async def test_failures_of_an_older_file_are_counted_and_cost_nothing_that_anybody_knows(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.executescript("".join(MIGRATIONS[:4]) + f"PRAGMA application_id={APPLICATION_ID};PRAGMA user_version=4;")
    db.execute(
        "INSERT INTO failures (seed, round, role, attempt, turn, digest, kind, error, message, created) "
        "VALUES ('s00000', 0, 'solver', 0, 0, 'd', 'llm', 'LLMTimeout', 'late', '2026')"
    )
    db.commit()
    db.close()
    with RunReader(tmp_path) as run:
        assert (run.failed(), run.usage()) == (FailedUsage(1), Usage())
    with RunStore(tmp_path) as store:
        assert (store.read.failed(), store.read.usage()) == (FailedUsage(1), Usage())
        await store.record_failure(Failure(call().key, CallKind.LLM, "MalformedReply", "cut", 3, 4, 0.5))
        assert store.read.failed() == FailedUsage(2, 3, 4, 0.5)


async def test_a_growing_dialogue_costs_about_what_is_new(tmp_path: Path) -> None:
    requests = [
        str([f"message {number} {hash((number, 7)):x}" * 20 for number in range(turn)]) for turn in range(1, 30)
    ]
    with RunStore(tmp_path) as store:
        base = None
        for turn, text in enumerate(requests):
            await store.record(call(turn, f"d{turn}", request=text, base=base))
            base = Earlier(f"d{turn}", text)
        assert [store.read.request(call().key.place, f"d{turn}") for turn in range(29)] == requests
    db = sqlite3.connect(tmp_path / FILE_NAME)
    assert db.execute("SELECT sum(length(request)) FROM calls").fetchone()[0] < len(requests[-1])
    db.close()


async def test_the_earlier_seed_has_the_question_whichever_ended_first(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        await draw(store, 4)
        for index in (3, 1, 2):
            await store.finish(outcome(index), "who")
        assert [(p.status, p.reason) for p in store.read.plays()[1:]] == [
            (PlayStatus.ACCEPTED, None),
            (PlayStatus.REJECTED, Reason.DUPLICATE),
            (PlayStatus.REJECTED, Reason.DUPLICATE),
        ]
        await store.finish(outcome(0), "who")
        assert [p.status for p in store.read.plays()].count(PlayStatus.ACCEPTED) == 1
        assert store.read.plays()[3].detail.endswith("s00000000")


async def test_many_writers_share_commits_and_each_goes_on_only_when_it_is_durable(tmp_path: Path) -> None:
    async def one(store: RunStore, turn: int) -> None:
        await store.record(call(turn))
        with RunReader(tmp_path) as other:
            assert call(turn).key in other.answers("s00000")

    with RunStore(tmp_path) as store:
        await asyncio.gather(*(one(store, turn) for turn in range(100)))
        assert store.commits < 50


async def test_a_failed_write_reaches_its_task_and_all_later_ones(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        await draw(store, 1)
        with pytest.raises(StoreError, match="cannot be written"):
            await draw(store, 1)  # the same seed again
        with pytest.raises(StoreError):
            await store.record(call())
    with RunReader(tmp_path) as run:
        assert run.drawn() == 1


def test_a_second_writer_is_refused_by_pid_until_the_first_closes(tmp_path: Path) -> None:
    first = RunStore(tmp_path)
    with pytest.raises(RunLocked, match=f"process {os.getpid()}"):
        RunStore(tmp_path)
    first.close()
    RunStore(tmp_path).close()


async def test_readers_see_one_moment_while_a_run_goes_on(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store, RunReader(tmp_path) as run:
        await draw(store, 1)
        with run.snapshot():
            assert run.drawn() == 1
            await store.finish(outcome(0), "who")
            assert run.plays()[0].status is PlayStatus.PENDING
        assert run.plays()[0].status is PlayStatus.ACCEPTED


def test_files_that_are_no_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no run"):
        RunReader(tmp_path)
    for name, content in (("text", b"hello, this is no database at all" * 100), ("other", None)):
        folder = tmp_path / name
        folder.mkdir()
        if content is not None:
            (folder / FILE_NAME).write_bytes(content)
        else:
            db = sqlite3.connect(folder / FILE_NAME)
            db.execute("CREATE TABLE mine (x)")
            db.close()
        with pytest.raises(StoreError):
            RunReader(folder)
        with pytest.raises(StoreError):
            RunStore(folder)


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    RunStore(tmp_path).close()
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(StoreError, match="newer Questwell"):
        RunReader(tmp_path)


async def test_questions_trials_and_scores_are_kept_and_what_errored_is_replaced(tmp_path: Path) -> None:
    asked = [Asked(n, Question(f"id{n}", "Who?", ("A", "a"), "b", "2 hops", ("p1",))) for n in (3, 5)]
    hit = Hit(Passage("p1", "T", "text", "d1"), 1.5, 1)
    errored = Trajectory(Role.SOLVER, Style.FREE, (), StopReason.ERRORED, error="LLMTimeout: late")
    fine = Trajectory(Role.SOLVER, Style.FREE, (Turn("a", "q", (hit,), "seen"), Turn("b")), StopReason.FINISHED, "A")
    with RunStore(tmp_path) as store:
        info = RunInfo("id", "now", "1.0", {}, {}, "evaluate")
        await store.begin(info, asked[:1])
        await store.begin(info, [Asked(3, asked[1].question), asked[1]])
        assert store.read.questions() == asked
        await store.record_trial(3, 0, errored)
        await store.record_trial(3, 0, fine)
        (trial,) = store.read.trials()
        assert trial == Trial(3, 0, StopReason.FINISHED, "A", 1, 2)
        assert store.read.trajectory(3, 0).turns == fine.turns
        await store.begin_scoring(Scoring(0, "judge", "hash"))
        await store.begin_scoring(Scoring(0, "another", "hash"))
        assert store.read.scorings() == [Scoring(0, "judge", "hash")]
        await store.score(Score(0, 3, 0, Judgement(Label.ERRORED, "llm", "late")))
        await store.score(Score(0, 3, 0, Judgement(Label.RIGHT, "llm", "yes")))
        assert store.read.scores(0) == [Score(0, 3, 0, Judgement(Label.RIGHT, "llm", "yes"))]
        assert store.read.scores(1) == []


def test_a_run_of_the_first_version_is_read_as_it_is_and_brought_up_to_date_by_a_writer(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.executescript(f"{MIGRATIONS[0]}PRAGMA application_id={APPLICATION_ID};PRAGMA user_version=1;")
    db.close()
    with RunReader(tmp_path) as run:
        assert run.drawn() == 0
        with pytest.raises(StoreError, match="no such table"):
            run.questions()
    RunStore(tmp_path).close()
    with RunReader(tmp_path) as run:
        assert run.questions() == []


async def test_what_another_process_recorded_is_kept_as_if_it_were_recorded_here(tmp_path: Path) -> None:
    failure = Failure(CallKey(Place("s00001", 0, Role.SOLVER, 0), 0, "d"), CallKind.LLM, "LLMTimeout", "late", 3, 4)
    with RunStore(tmp_path / "here") as here, RunStore(tmp_path / "sent") as sent:
        await draw(here, 2)
        await here.record(call())
        await here.record_failure(failure)
        await here.adapted("m at x", ["no stop"])
        await here.finish(outcome(1), "who")
        await draw(sent, 2)
        commits = sent.commits
        await sent.receive([call(), failure, Learnt("m at x", ("no stop",)), Ended(outcome(1), "who")], "sent 3", "7")
        assert sent.commits == commits + 1
        assert sent.read.notes("sent ") == {"sent 3": "7"} and here.read.notes("sent ") == {}
        await sent.note("sent 4", "1")
        await sent.forget("sent 3")
        assert sent.read.notes("sent ") == {"sent 4": "1"}
        for table in ("plays", "calls", "failures", "play_counts", "call_counts", "verdicts", "passages"):
            mine, theirs = (list(run.read.rows(f"SELECT * FROM {table}")) for run in (here, sent))
            assert len(mine) == len(theirs) > 0, table
        assert (here.read.usage(), here.read.adapted()) == (sent.read.usage(), sent.read.adapted())
        assert here.read.outcome(1) == sent.read.outcome(1)
        with pytest.raises(StoreError):
            await sent.receive([call(1), cast(Failure, "no news")], "sent 4", "2")
    with RunReader(tmp_path / "sent") as kept:
        assert len(kept.answers("s00000")) == 1 and kept.notes("sent ") == {"sent 4": "1"}
