"""`--batch`: calls go out as batches of the documented API; nothing is submitted twice, whatever is killed."""

import asyncio
import json
import signal
from functools import partial
from pathlib import Path

import batch_server
import batch_world
import evaluation_world
import pytest
from batch_server import Plan, serving
from batch_world import again, asked, begin, completion, noted_as, reply

from questwell.errors import ConfigError
from questwell.llm.prices import BatchPricing, ListPrice, Price, Usage
from questwell.recipes.evaluate import rescore as rescoring
from questwell.recipes.evaluate.config import EvalConfig, RescoreConfig
from questwell.recipes.evaluate.loop import evaluate, questions_of
from questwell.recipes.evaluate.setup import open_eval_setup
from questwell.recipes.generate import gates
from questwell.recipes.runs import batching
from questwell.recipes.runs.batch_notes import FILE
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.ending import Ending
from questwell.store.reader import RunReader
from questwell.types.game import Label
from questwell.types.gates import Gate


@pytest.fixture(scope="module")
def played(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return batch_world.played(library, tmp_path_factory.mktemp("played") / "run")


@pytest.fixture
def run(played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return batch_world.copied(played, tmp_path / "run", monkeypatch)


def test_all_calls_are_one_batch_and_the_answers_are_those_of_single_calls(run: Path, library: Path) -> None:
    plan = Plan(reply)
    with serving(plan) as url:
        found = again(run, library, url, price_in=1.0, price_out=1.0)
        assert found.ended.ending is Ending.COMPLETE and found.of == len(found.questions) >= 6
        assert all(one.before is one.after for question in found.questions for one in question.answers)
        answers = sum(len(question.answers) for question in found.questions)
        assert (len(plan.batches), len(plan.calls()), plan.live) == (1, answers, 0)
        ids = [call["custom_id"] for call in plan.calls()]
        assert len(set(ids)) == len(ids)
        assert {(call["method"], call["url"]) for call in plan.calls()} == {("POST", "/v1/chat/completions")}
        with RunReader(run.parent / "again") as kept:
            usage = kept.usage()
        assert (usage.calls, usage.prompt_tokens) == (answers, 100 * answers)
        assert usage.cost_usd == pytest.approx(answers * 110e-6)  # a price that was given is taken as it is
        assert again(run, library, url, price_in=1.0, price_out=1.0) == found
        assert len(plan.batches) == 1


def test_calls_that_failed_or_were_never_made_are_left_and_submitted_again_alone(
    run: Path, library: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def partly(body: dict) -> tuple[int, object] | str:
        said = reply(body)
        number = int(body["messages"][-1]["content"].split("number ")[1].split()[0])
        return ("batch_expired", (500, {"error": {"message": "broken"}}), said, said)[number % 4]

    plan = Plan(partly, ends="expired")
    with serving(plan) as url:
        first = again(run, library, url, max_errors=100)
        lost = [one for question in first.questions for one in question.answers if one.after is Label.ERRORED]
        every = sum(len(question.answers) for question in first.questions)
        assert first.ended.ending is Ending.ERRORED and 0 < len(lost) < every == len(plan.calls())
        assert any("batch_expired" in one.reason for one in lost) and any("broken" in one.reason for one in lost)
        assert f"{len(lost)} of {every} calls were not answered" in caplog.text and "a resume submits" in caplog.text
        before = asked(plan)
        plan.reply, plan.ends = reply, "completed"
        second = again(run, library, url)
        assert second.ended.ending is Ending.COMPLETE
        assert [len(plan.batches), len(plan.calls()) - every] == [2, len(lost)]
        assert set(asked(plan)) == set(before)
        with RunReader(run.parent / "again") as kept:
            assert kept.usage().calls == every
        assert plan.live == 0


def test_a_batch_that_fails_as_a_whole_says_why_and_is_submitted_anew(run: Path, library: Path) -> None:
    plan = Plan(reply, ends="failed")
    with serving(plan) as url:
        first = again(run, library, url, max_errors=100)
        assert {one.after for question in first.questions for one in question.answers} == {Label.ERRORED}
        assert "bad line" in first.questions[0].answers[0].reason
        plan.ends = "completed"
        assert again(run, library, url).ended.ending is Ending.COMPLETE and len(plan.batches) == 2


def newer(plan: Plan) -> None:
    """Five batches of others, made after ours: it stands on the third page of the list."""
    asked_for = {"metadata": None, "endpoint": "", "input_file_id": "", "completion_window": ""}
    plan.batches += [batch_server.Made(f"other_{n}", asked_for, "completed") for n in range(5)]


def test_a_lost_answer_to_the_creation_makes_no_second_batch(run: Path, library: Path) -> None:
    plan = Plan(reply, loses_answers=1)
    plan.seen = partial(newer, plan)
    with serving(plan) as url:
        assert again(run, library, url).ended.ending is Ending.COMPLETE
        assert len(plan.batches) == 6


@pytest.mark.timeout(60)
def test_a_list_that_gives_one_page_for_ever_is_read_once(run: Path, library: Path) -> None:
    plan = Plan(reply, loses_answers=1, pages=False)
    plan.seen = partial(newer, plan)
    with serving(plan) as url:
        assert again(run, library, url, max_errors=100).ended.ending is Ending.ERRORED


@pytest.mark.parametrize("moment", ["between submit and record", "while it waits"])
def test_a_kill_submits_nothing_twice(run: Path, library: Path, moment: str) -> None:
    plan = Plan(reply, ready=False)
    with serving(plan) as url:
        out, process = run.parent / "again", begin(run, library, url)
        if moment == "while it waits":
            noted_as(run, "batch_0", process)
            process.kill()
        else:
            plan.seen = process.kill  # before the server answers
        assert process.wait(60) == -9
        plan.seen = lambda: None
        noted = json.loads((out / FILE).read_text())
        assert noted[0]["id"] == ("batch_0" if moment == "while it waits" else None)
        plan.ready = True
        found = again(run, library, url)
        assert found.ended.ending is Ending.COMPLETE and len(plan.batches) == 1
        with RunReader(out) as kept:
            assert kept.usage().calls == len(plan.calls())


def test_gates_go_out_in_a_batch_for_each_call_of_a_question(run: Path, library: Path) -> None:
    plan = Plan(reply)
    with serving(plan) as url:
        values = {"of": run, "gates": "closed-book", "llm": f"strict@{url}", "batch": True}
        config = gates.configure(run / "gates", values)
        found = gates.check_run(config, run / "gates")
        assert found.ended.ending is Ending.COMPLETE and found.questions >= 6
        assert {one.results[0].gate for one in found.checked} == {Gate.CLOSED_BOOK}
        assert plan.live == 0 and len(plan.batches) in (1, 2)  # asked, then judged where something was answered
        assert len(plan.calls()) >= found.questions
        made = len(plan.batches)
        assert gates.check_run(config, run / "gates").checked == found.checked and len(plan.batches) == made


def answers(body: dict) -> tuple[int, object]:
    """Of an evaluation: every solver says what only a judge can score, and its judge says yes."""
    judging = body["messages"][0]["content"].startswith("ROLE judge")
    return 200, completion("verdict: yes" if judging else "<answer>when the comet came</answer>")


async def test_an_evaluation_from_memory_and_a_second_judge_of_it_go_out_in_batches(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "SETTLE_S", 0.1)
    monkeypatch.setattr(batching, "POLL_S", 0.1)
    plan, bench = Plan(answers), evaluation_world.write_questions(tmp_path / "q.jsonl", 6)
    with serving(plan) as url:
        models = {"llm": f"m@{url}", "judge": f"j@{url}"}
        given = evaluation_world.values(library, bench, mode="closed-book", batch=True, **models)
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
        assert [len(plan.files[one.asked["input_file_id"]].splitlines()) for one in plan.batches] == [6, 6]
        with RunReader(tmp_path / "ev") as kept:
            assert [score.judgement.label for score in kept.scores(0)] == [Label.RIGHT] * 6
            assert [trial.answer for trial in kept.trials()] == ["when the comet came"] * 6
        assert await whole() is Ending.COMPLETE and len(plan.batches) == 2
        second = resolve(RescoreConfig, {"judge": f"other@{url}", "prompts": library / "prompts", "batch": True})
        assert (await asyncio.to_thread(rescoring.run, tmp_path / "ev", second)).ending is Ending.COMPLETE
        assert len(plan.batches) == 3 and plan.live == 0
    with pytest.raises(ConfigError, match="--rescore RUN"):
        resolve(EvalConfig, {**given, "mode": "agent"})


def test_ctrl_c_leaves_the_batch_and_a_resume_waits_for_it(run: Path, library: Path) -> None:
    plan = Plan(reply, ready=False)
    with serving(plan) as url:
        process = begin(run, library, url)
        noted_as(run, "batch_0", process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 3
        plan.ready = True
        assert again(run, library, url).ended.ending is Ending.COMPLETE and len(plan.batches) == 1


def test_what_an_endpoint_refuses_is_left_out_of_the_next_batch(run: Path, library: Path) -> None:
    def refuses(body: dict) -> tuple[int, object]:
        if "temperature" in body:
            return 400, {"error": {"message": "Unsupported parameter: 'temperature' is not supported with this model.",
                         "param": "temperature", "code": "unsupported_parameter"}}  # fmt: skip
        return reply(body)

    plan = Plan(refuses)
    with serving(plan) as url:
        assert again(run, library, url, max_errors=100).ended.ending is Ending.ERRORED
        assert again(run, library, url).ended.ending is Ending.COMPLETE and len(plan.batches) == 2


def test_a_limit_is_checked_before_a_batch_is_submitted(run: Path, library: Path) -> None:
    plan = Plan(reply)
    with serving(plan) as url:
        assert again(run, library, url, limit=1).ended.ending is Ending.LIMIT
        spent = again(run, library, url, max_tokens=1)
        assert spent.ended.ending is Ending.BUDGET and len(plan.batches) == 1


def test_a_model_without_an_endpoint_has_no_batches(run: Path, library: Path) -> None:
    config = gates.configure(run / "gates", {"of": run, "gates": "closed-book", "llm": "mock", "batch": True})
    with pytest.raises(ConfigError, match="--batch needs a model at an endpoint"):
        gates.check_run(config, run / "gates")


def test_a_batch_costs_half_the_list_price_and_an_unknown_price_stays_unknown() -> None:
    usage = Usage(1_000_000, 0)
    listed = ListPrice("gpt-4o-mini", "https://api.openai.com/v1")
    full = listed.cost_usd(usage)
    assert full is not None and BatchPricing(listed).cost_usd(usage) == pytest.approx(full / 2)
    assert BatchPricing(Price(2.0, 2.0)).cost_usd(usage) == 2.0
    assert BatchPricing(ListPrice("gpt-4o-mini", "http://localhost:1/v1")).cost_usd(usage) is None
