"""`--batch` when things go wrong: whatever breaks, a batch that was submitted is never submitted again."""

import itertools
import json
import signal
from functools import partial
from pathlib import Path

import batch_world
import evaluation_world
import pytest
import world
from batch_server import Plan, serving
from batch_world import again, asked, begin, completion, reply
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.errors import ConfigError, StoreError
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.evaluate.config import EvalConfig
from questwell.recipes.evaluate.loop import evaluate, questions_of
from questwell.recipes.evaluate.setup import open_eval_setup
from questwell.recipes.generate import gates
from questwell.recipes.rejudge.loop import RejudgeReport
from questwell.recipes.runs import batching
from questwell.recipes.runs.batch_notes import FILE, Noted, Notes
from questwell.recipes.runs.batching import Batched
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.ending import Ending
from questwell.store.reader import RunReader
from questwell.store.records import Call
from questwell.store.run import RunStore
from questwell.types.game import Label
from questwell.types.gates import Gate


@pytest.fixture(scope="module")
def played(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return batch_world.played(library, tmp_path_factory.mktemp("played") / "run")


@pytest.fixture
def run(played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return batch_world.copied(played, tmp_path / "run", monkeypatch)


def notes(run: Path) -> list[Noted]:
    return Notes(run.parent / "again").all


def reasons(found: RejudgeReport) -> list[str]:
    """Why calls were not answered."""
    return [one.reason for question in found.questions for one in question.answers if one.after is Label.ERRORED]


def is_whole(run: Path, plan: Plan, found: RejudgeReport) -> bool:
    """Whether each answer was judged, and each call is in one batch only."""
    with RunReader(run.parent / "again") as kept:
        calls = kept.usage().calls
    return found.ended.ending is Ending.COMPLETE and calls == len(plan.calls()) == len(asked(plan)) and plan.live == 0


def test_a_kill_before_the_batch_was_made_submits_it_once(run: Path, library: Path) -> None:
    plan = Plan(reply)
    with serving(plan) as url:
        process = begin(run, library, url)
        plan.uploaded = process.kill  # the file is there, and no batch of it
        assert process.wait(60) == -signal.SIGKILL
        plan.uploaded = lambda: None
        assert plan.batches == [] and [one.id for one in notes(run)] == [None]
        assert is_whole(run, plan, again(run, library, url)) and len(plan.batches) == 1
        assert [one.id for one in notes(run)] == ["batch_0"]


def test_a_kill_is_followed_by_a_look_for_a_batch_that_is_listed_late(
    run: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(reply)
    with serving(plan) as url:
        process = begin(run, library, url)
        plan.seen = process.kill
        assert process.wait(60) == -signal.SIGKILL
        plan.seen = lambda: None
        statuses = iter([204, 204, 204])
        plan.lists = lambda: next(statuses, 200)
        monkeypatch.setattr(batching, "LISTED_S", 600.0)
        assert is_whole(run, plan, again(run, library, url)) and len(plan.batches) == 1
        assert next(statuses, None) is None  # it was looked for until it was there


def test_a_lost_creation_that_nobody_can_look_up_is_not_repeated(run: Path, library: Path) -> None:
    plan = Plan(reply, loses_answers=1, lists=lambda: 403)
    with serving(plan) as url:
        first = again(run, library, url, max_errors=100)
        assert first.ended.ending is Ending.ERRORED and [one.id for one in notes(run)] == [None]
        second = again(run, library, url, max_errors=100)  # no list, so nobody knows whether it exists
        assert second.ended.ending is Ending.ERRORED and len(plan.batches) == 1
        plan.lists = lambda: 200
        assert is_whole(run, plan, again(run, library, url)) and len(plan.batches) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_another_key_does_not_pay_for_a_batch_again(run: Path, library: Path, status: int) -> None:
    plan = Plan(reply, refuses=status)
    with serving(plan) as url:
        for _ in range(3):
            refused = again(run, library, url, max_errors=100)
            assert refused.ended.ending is Ending.ERRORED and len(plan.batches) == 1
            assert all("batch_0 was submitted" in why and FILE in why for why in reasons(refused))
        plan.refuses = 0
        assert is_whole(run, plan, again(run, library, url)) and len(plan.batches) == 1


def test_a_batch_that_is_gone_is_paid_for_again_only_when_its_note_is_removed(run: Path, library: Path) -> None:
    plan = Plan(reply, refuses=404)
    with serving(plan) as url:
        assert again(run, library, url, max_errors=100).ended.ending is Ending.ERRORED
        (run.parent / "again" / FILE).write_text("[]")
        plan.refuses = 0
        assert again(run, library, url).ended.ending is Ending.COMPLETE and len(plan.batches) == 2


def test_another_address_is_refused_while_a_batch_is_not_read(run: Path, library: Path) -> None:
    plan, other = Plan(reply, refuses=404), Plan(reply)
    with serving(plan) as url, serving(other) as moved:
        assert again(run, library, url, max_errors=100).ended.ending is Ending.ERRORED
        with pytest.raises(ConfigError, match=f"batch_0 .* was submitted to strict at {url}"):
            again(run, library, moved)
        assert other.batches == [] and len(plan.batches) == 1
        plan.refuses = 0
        assert is_whole(run, plan, again(run, library, url))
        assert again(run, library, moved).ended.ending is Ending.COMPLETE and other.batches == []
        assert len(again(run, library, moved, rejected=True).questions) and len(other.batches) == 1  # news may move


def test_answers_that_are_not_in_the_files_yet_are_read_again(run: Path, library: Path) -> None:
    plan = Plan(reply, counts=True, drops=3)
    with serving(plan) as url:
        first = again(run, library, url, max_errors=100)
        assert len(reasons(first)) == 3 and all("answered more calls" in why for why in reasons(first))
        second = again(run, library, url, max_errors=100)
        assert len(reasons(second)) == 3 and len(plan.batches) == 1
        rows = [
            {"custom_id": one["custom_id"], "response": {"status_code": 200, "body": reply(one["body"])[1]}}
            for one in plan.calls()
        ]
        plan.files[plan.batches[0].output or ""] = "".join(json.dumps(row) + "\n" for row in rows).encode()
        assert is_whole(run, plan, again(run, library, url)) and len(plan.batches) == 1


def test_calls_that_a_batch_never_answered_are_submitted_again_alone(run: Path, library: Path) -> None:
    plan = Plan(reply, drops=3)  # no counts claim that they were answered
    with serving(plan) as url:
        first = again(run, library, url, max_errors=100)
        every = len(plan.calls())
        assert len(reasons(first)) == 3
        plan.drops = 0
        second = again(run, library, url)
        assert second.ended.ending is Ending.COMPLETE and len(plan.batches) == 2
        assert len(plan.calls()) - every == 3


def test_calls_that_ask_the_same_keep_their_own_answers_after_a_kill(
    run: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers, recorded, real = itertools.count(), itertools.count(), RunStore.record

    def told(body: dict) -> tuple[int, object]:
        said = reply(body)[1]["choices"][0]["message"]["content"]
        return 200, completion(f"Answer {next(numbers)}\n{said}")

    async def every_other(store: RunStore, call: Call) -> None:
        if next(recorded) % 2:
            raise StoreError("the process dies here")
        await real(store, call)

    def answers() -> list[str]:
        with RunReader(run.parent / "again") as kept:
            return [json.loads(row[0])["text"] for row in kept.rows("SELECT response FROM calls ORDER BY id")]

    plan = Plan(told)
    with serving(plan) as url:
        with monkeypatch.context() as patched, pytest.raises(StoreError, match="dies here"):
            patched.setattr(RunStore, "record", every_other)
            again(run, library, url)
        same, before = asked(plan), answers()
        assert len(set(same)) < len(same) and 0 < len(before) < len(same)
        assert is_whole(run, plan, again(run, library, url)) and len(plan.batches) == 1
        after = answers()
        assert after[: len(before)] == before and len(set(after)) == len(after) == len(same)


def test_a_batch_of_an_older_version_is_read_by_the_requests_of_its_calls(
    run: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, real = Plan(reply, refuses=404), Batched.complete_call
    with serving(plan) as url:
        with monkeypatch.context() as patched:
            patched.setattr(Batched, "complete_call", lambda self, request, call: real(self, request, ""))
            assert again(run, library, url, max_errors=100).ended.ending is Ending.ERRORED
        (noted,) = notes(run)
        assert any(call.endswith("-1") for call in noted.calls)  # named by the request, which several calls share
        plan.refuses = 0
        assert is_whole(run, plan, again(run, library, url)) and len(plan.batches) == 1


@pytest.mark.parametrize(
    ("ends", "line"),
    [
        ("expired", "batch_expired"),
        ("cancelled", "batch_cancelled"),
        ("completed", (429, {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}})),
        ("completed", (503, {"error": {"message": "overloaded"}})),
    ],
)
def test_error_lines_are_submitted_again_alone(
    run: Path, library: Path, ends: str, line: str | tuple[int, object]
) -> None:
    def partly(body: dict) -> tuple[int, object] | str:
        number = int(str(body["messages"][-1]["content"]).split("number ")[1].split()[0])
        return reply(body) if number % 3 else line

    plan = Plan(partly, ends=ends, counts=True)
    with serving(plan) as url:
        first = again(run, library, url, max_errors=100)
        lost, every = reasons(first), len(plan.calls())
        assert 0 < len(lost) < every and first.ended.ending is Ending.ERRORED
        plan.reply, plan.ends = reply, "completed"
        second = again(run, library, url)
        assert second.ended.ending is Ending.COMPLETE
        assert [len(plan.batches), len(plan.calls())] == [2, every + len(lost)]


@pytest.mark.parametrize(("most", "size"), [(5, 90_000_000), (5_000, 3_000)])
def test_calls_beyond_the_limits_of_a_batch_go_into_more_of_them(
    run: Path, library: Path, monkeypatch: pytest.MonkeyPatch, most: int, size: int
) -> None:
    monkeypatch.setattr(batching, "MOST_CALLS", most)
    monkeypatch.setattr(batching, "MOST_BYTES", size)
    plan = Plan(reply, most_bytes=size)
    with serving(plan) as url:
        found = again(run, library, url)
        sizes = [plan.files[one.asked["input_file_id"]] for one in plan.batches]
        assert is_whole(run, plan, found) and len(set(sizes)) == len(sizes) > 1
        assert all(len(one.splitlines()) <= most and len(one) <= size for one in sizes)


def test_a_call_larger_than_any_batch_is_refused_alone(
    run: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MOST_BYTES", 10)
    plan = Plan(reply, most_bytes=10)
    with serving(plan) as url:
        found = again(run, library, url, max_errors=1000)
        assert found.ended.ending is Ending.ERRORED and plan.batches == []
        assert all("too large" in why for why in reasons(found))


GATES = "closed-book,evidence,shortcut,unique,single-document,leave-one-out,findable"


def test_every_gate_finds_in_batches_what_it_finds_call_by_call(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as alone:
        alone.setattr(gates, "open_setup", lambda c, progress=None: world.setup(c, ScriptedLLM(world.play)))
        single = gates.check_run(gates.configure(tmp_path / "one", {"of": run, "gates": GATES}), tmp_path / "one")
    plan = Plan(reply)
    with serving(plan) as url:
        given = {"of": run, "gates": GATES, "llm": f"strict@{url}", "batch": True}
        found = gates.check_run(gates.configure(tmp_path / "out", given), tmp_path / "out")
        assert found.ended.ending is Ending.COMPLETE and plan.live == 0 and len(plan.calls()) > found.questions
        assert found.checked == single.checked
        asked_by = {result.gate for one in found.checked for result in one.results}
        assert asked_by == {Gate(name) for name in GATES.split(",")}


async def test_an_evaluation_with_one_search_goes_out_in_a_batch(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "SETTLE_S", 0.1)
    monkeypatch.setattr(batching, "POLL_S", 0.1)
    plan = Plan(lambda body: (200, completion("<answer>about 1800</answer>")))
    with serving(plan) as url:
        bench = evaluation_world.write_questions(tmp_path / "q.jsonl", 6)
        given = evaluation_world.values(library, bench, mode="rag", batch=True, llm=f"m@{url}")
        config = resolve(EvalConfig, given)

        async def whole() -> Ending:
            setup = open_eval_setup(config)
            try:
                return (
                    await evaluate(config, questions_of(config), tmp_path / "ev", setup, Caller(resume=True))
                ).ending
            finally:
                await setup.aclose()

        assert await whole() is Ending.COMPLETE
        assert (len(plan.batches), len(plan.calls()), plan.live) == (1, 6, 0)
        assert all("Bridge" in json.dumps(call["body"]["messages"]) for call in plan.calls())
        with RunReader(tmp_path / "ev") as kept:
            assert [(trial.answer, trial.searches) for trial in kept.trials()] == [("about 1800", 1)] * 6
        assert await whole() is Ending.COMPLETE and len(plan.batches) == 1


def test_labels_go_out_in_a_batch(run: Path, tmp_path: Path) -> None:
    plan = Plan(lambda body: (200, completion("lookup")))
    with serving(plan) as url:
        command = ["status", run, "--report", tmp_path / "report", "--label-llm", f"strict@{url}"]
        call = partial(CliRunner().invoke, app, [*map(str, command), "--batch"])
        first = call()
        assert first.exit_code == 0, first.output
        assert (len(plan.batches), plan.live) == (1, 0) and len(plan.calls()) > 5
        assert call().exit_code == 0 and len(plan.batches) == 1
