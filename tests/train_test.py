"""The training loop: in two ranks it learns what it learns alone; it stops when it must."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from train_worker import config, play, setup
from typer.testing import CliRunner

from questwell.agents.prompts import Prompts
from questwell.cli.app import app
from questwell.errors import ConfigChanged, ConfigError
from questwell.llm.client import Completion, FinishReason, Message, Request
from questwell.llm.openai import OpenAIClient
from questwell.llm.pretrained import Pretrained, size_of
from questwell.llm.scripted import ScriptedLLM
from questwell.llm.weights import Weights
from questwell.recipes.reports.stepping import train_status
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.ending import Ending
from questwell.recipes.train.config import TOY, TrainConfig
from questwell.recipes.train.data import read_questions
from questwell.recipes.train.loop import configure, train
from questwell.recipes.train.order import draw
from questwell.recipes.train.preview import preview
from questwell.recipes.train.setup import TrainSetup, make_reward, open_judge
from questwell.retrieval.retriever import Found, Retriever
from questwell.scoring.judge import Complete
from questwell.scoring.rewards import JudgeReward, Rewarded
from questwell.toy.model import toy_model, toy_tokenizer
from questwell.toy.world import PROMPTS, ToyWorld
from questwell.training import checkpoint
from questwell.training.evaluations import read_evaluations
from questwell.training.metrics import MEANINGS, read_metrics
from questwell.types.corpus import Hit
from questwell.types.evaluation import Question
from questwell.types.game import Judgement, Label

pytestmark = pytest.mark.usefixtures("blank_charts")

TIMES = {"update_s", "rollout_s", "update_tokens_per_s", "rollout_tokens_per_s"}
WORKER = str(Path(__file__).parent / "train_worker.py")


def same(one: Path, other: Path, **tolerance: float) -> None:
    """The metrics of two runs are equal, and so are the weights they end with."""
    rows = [read_metrics(folder / "metrics.jsonl") for folder in (one, other)]
    assert [row["step"] for row in rows[0]] == [row["step"] for row in rows[1]]
    for a, b in zip(*rows, strict=True):
        assert a.keys() == b.keys()
        for name in a.keys() - TIMES:
            assert a[name] == pytest.approx(b[name], **tolerance), (a["step"], name)
    looks = [read_evaluations(folder) for folder in (one, other)]
    for a, b in zip(*looks, strict=True):
        assert {**a, "held_out_s": 0} == pytest.approx({**b, "held_out_s": 0}, **tolerance)
    states = [checkpoint.read(folder / "checkpoints") for folder in (one, other)]
    for model in (name for name in ("actor", "critic") if states[0][name]):
        for name, weight in states[0][model]["weights"].items():
            assert torch.allclose(weight, states[1][model]["weights"][name], atol=1e-5), name


RANKED: list[dict[str, object]] = [
    {"steps": 2, "group": 1, "save_every": 2, "minibatches": 1, "eval_every": 1, "algorithm": algorithm, "kl_in": kl_in}
    for algorithm, kl_in in (("ppo", "reward"), ("reinforce", "loss"))
]
"""Three trajectories, which do not go into two equal shares. Without a charge in the reward (the second) the only
descent is also the first look at the policy."""


@pytest.mark.timeout(600)  # on a busy machine
async def test_two_ranks_learn_what_one_process_learns(tmp_path: Path) -> None:
    """FSDP2 over gloo. Both trainings by the same two processes, since starting them is most of the time."""
    folders = [tmp_path / f"ranks-{number}" for number in range(len(RANKED))]
    ports = free_ports(len(RANKED))
    given = [(str(folder), port, values) for folder, port, values in zip(folders, ports, RANKED, strict=True)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    command = [sys.executable, WORKER, json.dumps(given)]
    ranks = [subprocess.Popen(command, env={**environment, "RANK": str(rank)}) for rank in range(2)]
    for number, values in enumerate(RANKED):
        await play(tmp_path / f"one-{number}", config(**values))
    assert [process.wait(300) for process in ranks] == [0, 0]
    for number, folder in enumerate(folders):
        same(tmp_path / f"one-{number}", folder, rel=1e-3, abs=1e-4)


def free_ports(count: int) -> list[str]:
    """Below those that the system hands out, so that no other test gets one of them before the ranks use it."""
    found: list[str] = []
    for port in range(20_000 + os.getpid() % 10_000, 32_768):
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            found.append(str(port))
        if len(found) == count:
            break
    return found


async def test_the_same_data_under_other_ids_trains_the_same(tmp_path: Path) -> None:
    """An item's id names the run that made it, so the same data made again has other ids."""
    chosen = config(steps=2)
    await play(tmp_path / "one", chosen)
    made = setup(chosen)
    renamed = [replace(one, id=f"another-run-{one.id}") for one in made.questions]
    await train(chosen, tmp_path / "other", replace(made, questions=renamed))
    same(tmp_path / "one", tmp_path / "other", rel=1e-6)


async def test_what_was_not_judged_is_dropped_and_counted(tmp_path: Path) -> None:
    class Moody:
        def __init__(self) -> None:
            self.asked = 0

        async def reward(self, question, references, answer) -> Rewarded:
            self.asked += 1
            label = Label.UNSCORED if self.asked % 3 == 0 else Label.WRONG
            return Rewarded(None if label is Label.UNSCORED else 0.5, Judgement(label, "moody"))

    chosen = config(steps=1)
    await train(chosen, tmp_path, replace(setup(chosen), reward=Moody()))
    (row,) = read_metrics(tmp_path / "metrics.jsonl")
    assert (row["dropped"], row["trajectories"]) == (2, 4)
    assert row.keys() <= MEANINGS.keys()
    attempts = [json.loads(line) for line in (tmp_path / "attempts.jsonl").read_text().splitlines()]
    assert len(attempts) == chosen.show
    assert {row["reward"] for row in attempts} == {0.5, None}


class Asking:
    """A judge that asks about every answer, twice, so that a limit can strike between the two."""

    async def judge(
        self, question: str, references: tuple[str, ...], answer: str | None, complete: Complete
    ) -> Judgement:
        for asked in ("first", "again"):
            reply = await complete(Request((Message("user", f"{asked}|{question}|{answer}"),)))
        return Judgement(Label.RIGHT if reply.text == "yes" else Label.WRONG, "llm", reply.text)


def judged(chosen: TrainConfig, llm: ScriptedLLM) -> TrainSetup:
    """The toy world, whose attempts a model judges."""
    return replace(setup(chosen), judge=llm, reward=AlwaysJudged(Asking(), llm.complete))


class AlwaysJudged(JudgeReward):
    """Asks also where there is no answer: an untrained policy gives none."""

    async def reward(self, question: str, references: Sequence[str], answer: str | None) -> Rewarded:
        return await super().reward(question, references, answer or "none")


def paid_judge(*, priced: bool | None = True) -> ScriptedLLM:
    def verdict(request: Request) -> Completion:
        said = "yes" if sum(request.messages[0].content.encode()) % 2 else "no"
        return Completion(said, "judge", FinishReason.STOP, prompt_tokens=1, completion_tokens=0, cost_usd=0.01)

    return ScriptedLLM(verdict, priced=priced, latency_s=0.002)


async def test_a_limit_of_spending_stops_between_steps_and_no_judgement_is_paid_twice(tmp_path: Path) -> None:
    chosen = config(steps=3, save_every=10)
    whole, paid = tmp_path / "whole", paid_judge()
    assert (await train(chosen, whole, judged(chosen, paid))).ending is Ending.COMPLETE
    assert len(paid.requests) == 3 * 3 * 2 * 2

    folder, again, endings, steps = tmp_path / "run", paid_judge(), [], []
    while not endings or endings[-1] is not Ending.COMPLETE:
        most = 5 + 6 * len(endings)
        limited = config(steps=3, save_every=10, max_cost=most / 100)
        report = await train(limited, folder, judged(limited, again), Caller(resume=bool(endings)))
        endings.append(report.ending)
        steps.append(report.step)
        assert len(again.requests) <= most + 6  # calls in flight end and are kept
        assert report.ending is Ending.COMPLETE or f"max_cost = ${most / 100:g} is used up" in report.message
    assert set(endings) == {Ending.BUDGET, Ending.COMPLETE} and len(endings) > 4
    assert steps == sorted(steps) and set(steps) == {0, 1, 2, 3}
    same(whole, folder, rel=1e-6)
    assert len(again.requests) == len(paid.requests)
    (ledger,) = train_status(folder).ledgers
    assert (ledger.total.calls, ledger.total.cost_usd) == (len(paid.requests), pytest.approx(len(paid.requests) / 100))


async def test_a_limit_that_cannot_be_kept_is_refused_before_any_call(tmp_path: Path) -> None:
    chosen = config(steps=1, max_cost=1.0)
    llm = paid_judge(priced=False)
    with pytest.raises(ConfigError, match="the price of 'scripted' is not known"):
        await train(chosen, tmp_path, judged(chosen, llm))
    searching = replace(judged(chosen, paid_judge()), retriever=PricedSearch())
    with pytest.raises(ConfigError, match="these searches cost too"):
        await train(chosen, tmp_path, searching)
    assert not llm.requests and not (tmp_path / "run.json").exists()


def test_minutes_end_the_command_with_their_exit_code(tmp_path: Path) -> None:
    ended = CliRunner().invoke(
        app, ["train", "toy", "--out", str(tmp_path / "x"), "--warm-start-steps", "0", "--max-minutes", "1e-9"]
    )
    assert ended.exit_code == 4, ended.output
    assert "--max-minutes" in ended.stdout and "Go on with a higher limit: questwell resume" in ended.stdout


class PricedSearch:
    """A search that costs money."""

    name = "priced"
    priced = True

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        return ()

    async def search_paid(self, query: str, k: int) -> Found:
        return Found((), 0.01)

    async def aclose(self) -> None:
        pass


async def test_a_run_in_which_nothing_can_be_judged_stops(tmp_path: Path) -> None:
    class Down:
        async def reward(self, question, references, answer) -> Rewarded:
            return Rewarded(None, Judgement(Label.ERRORED, "llm", "down"))

    chosen = config()
    done = await train(chosen, tmp_path, replace(setup(chosen), reward=Down()))
    assert (done.ending, done.step, done.model) == (Ending.FAILING, 0, None)


async def test_a_collapse_stops_the_run_before_it_is_kept(tmp_path: Path) -> None:
    done = await play(tmp_path, config(steps=20, min_finished=0.9, save_every=100))
    assert (done.ending, done.step) == (Ending.ALARM, 5)
    assert "finished" in done.message
    assert checkpoint.steps(tmp_path / "checkpoints") == []


async def test_a_resume_with_another_config_is_refused(tmp_path: Path) -> None:
    await play(tmp_path, config(steps=1))
    with pytest.raises(ConfigChanged, match="learning_rate"):
        await play(tmp_path, config(steps=2, learning_rate=0.5), resume=True)
    with pytest.raises(ConfigError, match="--resume"):
        await play(tmp_path, config(steps=2))
    assert (await play(tmp_path, config(steps=2), resume=True)).step == 2
    saved = configure(tmp_path, {"steps": 9}, resume=True)
    assert (saved.steps, saved.batch) == (9, 3)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 10, 40])
@pytest.mark.parametrize("batch", [1, 2, 3, 4, 7, 16, 64])
def test_no_question_comes_twice_in_a_step(size: int, batch: int) -> None:
    """Its attempts would be exact copies; and all are drawn equally often, whatever the step's size."""
    questions = [Question(str(at), "?", ("a",), "b") for at in range(size)]
    count = min(size, batch)
    steps = [[question.id for question in draw(questions, step, batch, seed=3)] for step in range(2 * size)]
    assert all(len(step) == len(set(step)) == count for step in steps)
    drawn = [name for step in steps for name in step]
    for epoch in range(len(drawn) // size):
        assert len(set(drawn[epoch * size : (epoch + 1) * size])) == size


def test_what_the_toy_would_take_is_told_and_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> Path:
        raise AssertionError("fetched")

    found = preview(resolve(TrainConfig, TOY, {"data": "toy", "batch": 10_000}))
    assert found.model == "toy" and found.parameters > 10_000
    assert found.trajectories == found.questions * 8
    monkeypatch.setattr(Weights, "fetch", never)
    monkeypatch.setattr(Weights, "cached", lambda self: None)
    assert size_of("local-small").parameters == 494_032_768


def test_a_dry_run_of_the_toy_on_the_command_line_makes_nothing(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["train", "toy", "--out", str(tmp_path / "x"), "--dry-run", "--json"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["model"] == "toy" and not (tmp_path / "x").exists()


def test_every_question_is_drawn_once_before_any_is_drawn_again() -> None:
    questions = [Question(str(at), "q", ("a",), "b") for at in range(7)]
    drawn = [question.id for step in range(7) for question in draw(questions, step, 3, seed=1)]
    for epoch in range(3):
        assert sorted(drawn[7 * epoch : 7 * epoch + 7]) == [question.id for question in questions]
    assert drawn[:7] != drawn[7:14]
    assert drawn == [question.id for step in range(7) for question in draw(questions, step, 3, seed=1)]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"data": "x.jsonl"}, "corpus"),
        ({"data": "x.jsonl", "corpus": "factbook", "reward": "chain"}, "judge"),
        ({"data": "x.jsonl", "corpus": "factbook", "algorithm": "grpo", "group": 1}, "group"),
        ({"data": "x.jsonl", "corpus": "factbook", "algorithms": "ppo"}, "did you mean 'algorithm'"),
    ],
)
def test_what_cannot_be_is_said(values: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        resolve(TrainConfig, values)


@pytest.mark.usefixtures("drawn_charts")
def test_the_command_end_to_end(tmp_path: Path) -> None:
    """Model folder, corpus with a real index, questions in verl's layout: dry run, warm start, two steps, resume."""
    world = ToyWorld(entities=6)
    tokenizer = toy_tokenizer(world.words)
    Pretrained("toy", toy_model(tokenizer, width=16, layers=1), tokenizer).save(tmp_path / "model")
    with (tmp_path / "corpus.jsonl").open("w") as file:
        for passage in world.passages:
            file.write(json.dumps({"id": passage.id, "contents": passage.text}) + "\n")
    demonstration = [
        {"role": "user", "content": "r0 of e1 ?"},
        {"role": "assistant", "content": "<search>r0 of e1</search>"},
        {"role": "user", "content": "<information>\n[1] r0 of e1 is e2\n</information>"},
        {"role": "assistant", "content": "<answer>e2</answer>"},
    ]
    (tmp_path / "sft.jsonl").write_text(json.dumps({"messages": demonstration}) + "\n")
    with (tmp_path / "data.jsonl").open("w") as file:
        for at, one in enumerate(world.questions(1)):
            row = {
                "prompt": [{"role": "user", "content": one.question}],
                "reward_model": {"style": "rule", "ground_truth": {"target": [one.answer]}},
                "extra_info": {"index": at, "id": one.id},
            }
            file.write(json.dumps(row) + "\n")
    common = ["train", str(tmp_path / "data.jsonl"), "--out", str(tmp_path / "run"), "--json"]
    given = ["--corpus", str(tmp_path / "corpus.jsonl"), "--index", str(tmp_path / "index"), "--top-k", "1"]
    given += ["--model", str(tmp_path / "model"), "--prompts", str(PROMPTS), "--algorithm", "ppo", "--lora-rank", "4"]
    given += ["--batch", "2", "--group", "2", "--turns", "2", "--turn-tokens", "6", "--steps", "2", "--device", "cpu"]
    given += ["--warm-start-steps", "3", "--warm-start-batch", "1", "--demonstrations", str(tmp_path / "sft.jsonl")]
    given += ["--tensorboard", "--warm-start-learning-rate", "0.01"]
    command = CliRunner()

    preview = command.invoke(app, [*common, *given, "--dry-run"])
    assert preview.exit_code == 0, preview.output
    told = json.loads(preview.stdout)
    assert (told["questions"], told["trajectories"], told["steps"]) == (len(world.questions(1)), 4, 2)
    assert told["parameters"] == sum(weight.numel() for weight in toy_model(tokenizer, width=16, layers=1).parameters())
    assert not (tmp_path / "run").exists()

    first = command.invoke(app, [*common, *given, "--limit", "1"])
    assert first.exit_code == 3, first.output
    assert "step 1 of 2" in first.stderr and "tokens/s" in first.stderr
    second = command.invoke(app, [*common, "--resume"])
    assert second.exit_code == 0, second.output
    done = json.loads(second.stdout)
    assert (done["ended"]["ending"], done["step"]) == ("complete", 2)
    model = Path(done["model"])
    assert (model / "config.json").is_file() and (model / "model.safetensors").is_file()
    assert (tmp_path / "run" / "charts.png").stat().st_size > 1000
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    assert [row["step"] for row in read_metrics(tmp_path / "run" / "metrics.jsonl")] == [1, 2]
    folder = str(tmp_path / "run")
    stands = json.loads(command.invoke(app, ["status", folder, "--json"]).stdout)
    assert (stands["steps"], stands["wanted"], stands["saved"], stands["model"]) == (2, 2, 2, str(model))
    assert stands["newest"]["step"] == 2 and stands["ledgers"] == []
    assert "Steps: 2 of 2; checkpoint of step 2" in command.invoke(app, ["status", folder]).stdout
    listed = command.invoke(app, ["show", folder]).stdout
    assert "reward" in listed and len(listed.splitlines()) == 4
    attempts = json.loads(command.invoke(app, ["show", folder, "2", "--json"]).stdout)
    assert len(attempts) == 4 and {one["step"] for one in attempts} == {2}
    assert attempts[1]["question"] in command.invoke(app, ["show", folder, "2/1"]).stdout
    for item, said in (("3", "no step 3; the last one is 2"), ("2/4", "4 saved attempts"), ("x", "name a step")):
        refused = command.invoke(app, ["show", folder, item])
        assert refused.exit_code != 0 and said in refused.stderr
    again = command.invoke(app, [*common, *given])
    assert again.exit_code == 2 and "--resume" in again.output

    rows = [json.loads(line) for line in (tmp_path / "data.jsonl").read_text().splitlines()]
    rows[0]["reward_model"]["ground_truth"] = {"target": ["another answer under the same id"]}
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    edited = command.invoke(app, [*common, "--resume", "--steps", "3"])
    assert edited.exit_code != 0 and "question texts" in edited.output
    assert [row["step"] for row in read_metrics(tmp_path / "run" / "metrics.jsonl")] == [1, 2]


def test_questions_in_every_layout(tmp_path: Path) -> None:
    plain, verl = tmp_path / "plain.jsonl", tmp_path / "verl.jsonl"
    plain.write_text(
        '{"id": "a", "question": "q?", "answer": "x", "hops": 2}\n{"question": "p?", "answers": ["y", "z"]}\n'
    )
    found = read_questions(plain)
    assert [(one.question, one.answers, one.group) for one in found] == [
        ("q?", ("x",), "2 hops"),
        ("p?", ("y", "z"), ""),
    ]
    row = {"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "q?"}], "data_source": "nq"}
    for truth in ("x", ["x", "y"], {"target": ["x", "y"]}):
        verl.write_text(json.dumps({**row, "reward_model": {"ground_truth": truth}}))
        (one,) = read_questions(verl)
        assert (one.question, one.answers[0], one.benchmark) == ("q?", "x", "nq")


def test_the_toys_retriever_is_one() -> None:
    found: Retriever = ToyWorld().retriever()
    assert found.name.startswith("toy")


def test_the_judge_is_reached_and_asked_by_the_options_of_its_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_KEY", "sk-0123456789")
    roles = {"judge": {"key_env": "OWN_KEY", "omit": ["seed"], "max_tokens": 77}}
    given = {"data": "q.jsonl", "corpus": "factbook", "reward": "chain", "judge": "m@http://127.0.0.1:1/v1"}
    config = resolve(TrainConfig, {**given, "roles": roles})
    judge = open_judge(config)
    assert isinstance(judge, OpenAIClient)
    assert (judge._options.key_name, judge._options.omit) == ("OWN_KEY", {"seed"})
    reward = make_reward(config, Prompts(), judge)
    assert isinstance(reward, JudgeReward)
    assert (reward.judge.max_tokens, reward.judge.always) == (77, False)
    assert open_judge(resolve(TrainConfig, {"data": "q.jsonl", "corpus": "factbook"})) is None
