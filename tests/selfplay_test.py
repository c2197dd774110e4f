"""Self-play end to end in the toy world: a tiny policy plays, learns, is stopped and goes on. Needs the extra train."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("torch")

from questwell.agents.prompts import Prompts
from questwell.cli.app import app
from questwell.errors import ConfigChanged, ConfigError, RunLocked
from questwell.llm.client import Completion, FinishReason, Message, Request
from questwell.llm.pretrained import load
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.ending import Ending
from questwell.recipes.selfplay import toy as selfplay_toy
from questwell.recipes.selfplay.config import Config
from questwell.recipes.selfplay.loop import configure, run, selfplay
from questwell.recipes.selfplay.record import Record, StepRow
from questwell.recipes.selfplay.setup import Setup, open_setup
from questwell.scoring.judge import Complete
from questwell.store.lock import RunLock
from questwell.toy.world import PROMPTS
from questwell.training import checkpoint
from questwell.training.conftest import tiny
from questwell.types.game import Judgement, Label
from questwell.types.trajectory import Role

pytestmark = pytest.mark.usefixtures("blank_charts")

VALUES = {
    "model": "toy",
    "corpus": "toy",
    "hops": "2",
    "batch": 6,
    "attempts": 3,
    "turns": 4,
    "turn_tokens": 24,
    "learning_rate": 1e-3,
    "lr_warmup_steps": 0,
    "minibatches": 1,
    "verify": False,
    "save_every": 2,
    "eval_every": 2,
    "eval_temperature": 1.0,
    "reset_every": 3,
    "steps": 5,
}


def prepared(folder: Path, started: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "start").symlink_to(started)
    (folder / "start.made_from").write_text(selfplay_toy.start_made_from(0, Prompts(PROMPTS)))
    return folder


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, started: Path) -> Path:
    """A run that was left alone."""
    folder = prepared(tmp_path_factory.mktemp("whole") / "run", started)
    assert run(configure(folder, VALUES, resume=False), folder).ending is Ending.COMPLETE
    return folder


def told(folder: Path) -> list[StepRow]:
    """All steps without what depends on the clock."""
    return [replace(row, timing={}) for row in Record(folder).rows()]


def episodes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "steps").iterdir())}


def state(folder: Path) -> list[object]:
    """Weights and moments, pool and position of the latest checkpoint, comparable."""
    kept = checkpoint.read(folder / "checkpoints")

    def plain(value: object) -> object:
        if hasattr(value, "tolist"):
            return value.tolist()  # type: ignore[attr-defined]
        if isinstance(value, dict):
            return {str(key): plain(part) for key, part in value.items()}
        return [plain(part) for part in value] if isinstance(value, list | tuple) else value

    return [plain(kept["trainer"]["actor"]), kept["trainer"]["step"], kept["selfplay"]]


def test_a_run_plays_learns_and_keeps_what_it_did(whole: Path) -> None:
    rows = told(whole)
    assert [row.step for row in rows] == [0, 1, 2, 3, 4, 5]
    assert [row.values.get("held_out_accuracy") is not None for row in rows] == [True, False, True, False, True, True]
    assert any((row.values["valid_rate"] or 0) > 0 for row in rows[1:])
    assert all(row.values["true_rate"] is None or 0 <= row.values["true_rate"] <= 1 for row in rows[1:])
    assert rows[-1].values["solver_kl"] is not None and rows[-1].values["solver_kl"] > 0  # it has moved
    assert checkpoint.steps(whole / "checkpoints") == [4, 5]
    assert (whole / "charts.png").stat().st_size > 5_000
    kept = Record(whole).episodes(3)
    assert len(kept) == 6
    for episode in kept:
        assert len(episode.solver_rewards) in (0, 3)
        assert not episode.filled or episode.proposer_reward == 0.0
        if episode.proposed.valid:
            assert episode.proposer_reward == pytest.approx(1 - (episode.accuracy or 0))


def test_parts_are_as_one_run(whole: Path, started: Path, tmp_path: Path) -> None:
    """Stopped after each step; so also between two checkpoints."""
    folder = prepared(tmp_path / "run", started)
    endings = []
    for resume in (False, True, True, True):
        config = configure(folder, {} if resume else VALUES, resume=resume)
        endings.append(run(config, folder, Caller(resume=resume, limit=None if len(endings) == 3 else 1)).ending)
    assert endings == [Ending.LIMIT, Ending.LIMIT, Ending.LIMIT, Ending.COMPLETE]
    assert told(folder) == told(whole)
    assert episodes(folder) == episodes(whole)
    assert state(folder) == state(whole)


def test_ablations_learn_from_one_role_only(started: Path, tmp_path: Path) -> None:
    for train, other in (("solver", "proposer"), ("proposer", "solver")):
        folder = prepared(tmp_path / train, started)
        given = {**VALUES, "train": train, "steps": 1, "eval_every": 0}
        run(configure(folder, given, resume=False), folder)
        (row,) = told(folder)
        assert f"{train}_entropy" in row.values and f"{other}_entropy" not in row.values


@pytest.mark.parametrize(
    "given",
    [
        {"order": "joint"},
        {"order": "proposer-first", "empty_slots": "dynamic-resampling"},
        {"proposals": 3, "proposer_baseline": "group"},
    ],
)
def test_other_orders_and_groups(started: Path, tmp_path: Path, given: dict[str, str]) -> None:
    folder = prepared(tmp_path / "run", started)
    run(configure(folder, {**VALUES, **given, "steps": 1, "eval_every": 0}, resume=False), folder)
    (row,) = told(folder)
    assert {"solver_entropy", "proposer_entropy"} <= row.values.keys()
    made = [episode.proposed for episode in Record(folder).episodes(1)]
    assert len({one.seed.answer for one in made}) == 6 // int(given.get("proposals", 1))
    assert len({one.seed.id for one in made}) == 6


def test_changes_and_second_writers_are_refused(whole: Path) -> None:
    with pytest.raises(ConfigError, match="--resume"):
        configure(whole, VALUES, resume=False)
    with pytest.raises(ConfigChanged, match="attempts: 3 -> 4"):
        run(configure(whole, {"attempts": 4}, resume=True), whole, Caller(resume=True))
    lock = RunLock(whole / "run.lock")
    with pytest.raises(RunLocked):
        run(configure(whole, {}, resume=True), whole, Caller(resume=True))
    lock.release()


class Asking:
    """A judge that asks about every answer, so that calls are made however little the policy knows."""

    async def judge(self, question: str, references: tuple[str, ...], answer: str | None, complete: Complete):
        for asked in ("first", "again"):  # so that a limit can strike between the two, in the middle of a step
            reply = await complete(Request((Message("user", f"{asked}|{question}|{references}|{answer}"),)))
        return Judgement(Label.RIGHT if reply.text == "yes" else Label.WRONG, "llm", reply.text)


def judged(setup: Setup, judge: ScriptedLLM) -> Setup:
    gatekeeper = replace(setup.players.gatekeeper, judge=Asking())
    return replace(setup, players=replace(setup.players, gatekeeper=gatekeeper), llms={Role.JUDGE: judge})


async def test_a_limit_of_spending_stops_between_kept_steps_and_nothing_is_paid_twice(
    started: Path, tmp_path: Path
) -> None:
    """Wherever it strikes: in a step's judging, in its evaluation after the update, before the first step."""

    def judge() -> ScriptedLLM:
        def verdict(request: Request) -> Completion:
            said = "yes" if sum(request.messages[0].content.encode()) % 2 else "no"
            return Completion(said, "judge", FinishReason.STOP, prompt_tokens=1, completion_tokens=0, cost_usd=0.01)

        return ScriptedLLM(verdict, priced=True, latency_s=0.005)

    # One row: kept judgements come at once, and which rows are sampled together changes the rounding of each.
    given = {**VALUES, "steps": 3, "save_every": 10, "rollout_rows": 1}
    whole, paid = prepared(tmp_path / "whole", started), judge()
    config = configure(whole, given, resume=False)
    await selfplay(config, whole, judged(open_setup(config, whole), paid))

    folder, again, endings, kept = prepared(tmp_path / "run", started), judge(), [], []
    while not endings or endings[-1] is not Ending.COMPLETE:
        most = 7 + 23 * len(endings)
        config = configure(folder, {**({} if endings else given), "max_cost": most / 100}, resume=bool(endings))
        report = await selfplay(config, folder, judged(open_setup(config, folder), again), Caller(resume=bool(endings)))
        endings.append(report.ending)
        kept.append(report.steps)
        assert len(again.requests) <= most + 36  # calls in flight end and are kept
        assert report.ending is Ending.COMPLETE or f"max_cost = ${most / 100:g} is used up" in report.message
    assert len(endings) > 4 and kept == sorted(kept) and set(kept) == {0, 1, 2, 3}
    assert told(folder) == told(whole)
    assert episodes(folder) == episodes(whole)
    assert state(folder) == state(whole)
    assert len(again.requests) == len(paid.requests)

    unpriced = configure(tmp_path / "x", {**VALUES, "max_cost": 1.0}, resume=False)
    with pytest.raises(ConfigError, match="the price of 'scripted' is not known"):
        llm = ScriptedLLM(lambda request: "no", priced=False)
        await selfplay(unpriced, tmp_path / "x", judged(open_setup(unpriced, prepared(tmp_path / "x", started)), llm))


def test_minutes_end_a_run_that_asks_no_model_but_the_policy(started: Path, tmp_path: Path) -> None:
    folder = prepared(tmp_path / "run", started)
    given = [part for key, value in VALUES.items() if key != "verify" for part in (f"--{key.replace('_', '-')}", value)]
    ended = call("selfplay", *given, "--no-verify", "--eval-every", 0, "--out", folder, "--max-minutes", 1e-9)
    assert ended.exit_code == 4, ended.output
    assert "--max-minutes" in ended.stdout and "Go on with a higher limit: questwell resume" in ended.stdout
    config = configure(folder, {"max_minutes": 60}, resume=True)
    assert run(config, folder, Caller(resume=True, limit=1)).steps == 1


async def test_an_independent_judge_is_asked_once_however_often_the_step_is_played(
    started: Path, tmp_path: Path
) -> None:
    judge = ScriptedLLM(lambda request: "verdict: no")
    folder = prepared(tmp_path / "run", started)
    given = {**VALUES, "steps": 1, "eval_every": 1}
    asked = []
    for resume in (False, True):
        config = configure(folder, given, resume=resume)
        await selfplay(config, folder, judged(open_setup(config, folder), judge), Caller(resume=resume))
        asked.append(len(judge.requests))
        for path in (folder / "checkpoints").glob("step-*/*"):
            path.unlink() if path.is_file() else None  # as if it had been killed before its first checkpoint
        for path in (folder / "checkpoints").glob("step-*"):
            path.rename(tmp_path / f"{path.name}-{resume}")
    assert asked[0] > 0 and asked[1] == asked[0]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_and_how_its_questions_are_read(whole: Path, started: Path, tmp_path: Path) -> None:
    folder = prepared(tmp_path / "run", started)
    flags = [part for key, value in VALUES.items() if key != "verify" for part in (f"--{key.replace('_', '-')}", value)]
    made = call("selfplay", *flags, "--no-verify", "--out", folder, "--limit", 1)
    assert made.exit_code == 3, made.output
    assert "held out" in made.stdout and "Go on: questwell resume" in made.stdout
    assert "step" in made.stderr and "valid" in made.stderr
    assert told(folder) == told(whole)[:2]

    stands = json.loads(call("status", whole, "--json").stdout)
    assert (stands["steps"], stands["wanted"], stands["saved"]) == (5, 5, 5)
    assert stands["newest"]["valid_rate"] == told(whole)[-1].values["valid_rate"]
    assert "Steps: 5 of 5; checkpoint of step 5" in call("status", whole).stdout
    listed = call("show", whole)
    assert listed.exit_code == 0 and listed.stdout.count("%") > 5
    step = call("show", whole, 3)
    assert "the proposer is paid" in step.stdout and step.stdout.count("->") >= 6
    for slot in range(6):
        one = call("show", whole, f"3/{slot}")
        assert one.exit_code == 0 and "Answer: " in one.stdout and "Proposer, " in one.stdout
    assert len(json.loads(call("show", whole, 3, "--json").stdout)) == 6
    assert [row["step"] for row in json.loads(call("show", whole, "--json").stdout)] == [0, 1, 2, 3, 4, 5]
    for item, said in (("99", "no step 99; the last one is 5"), ("3/9", "6 slots"), ("x", "name a step")):
        refused = call("show", whole, item)
        assert refused.exit_code != 0 and said in refused.stderr
    assert call("selfplay", "--model", "toy", "--corpus", "factbook", "--out", tmp_path / "x").exit_code == 2


def test_a_dry_run_says_what_would_be_played_and_loads_no_weights(started: Path, tmp_path: Path) -> None:
    def dry(*flags: object) -> Result:
        return CliRunner().invoke(app, ["selfplay", *map(str, flags), "--out", str(tmp_path / "run"), "--dry-run"])

    toy = ["--model", "toy", "--corpus", "toy", "--steps", 25, "--batch", 6, "--attempts", 3, "--turns", 4]
    told = dry(*toy, "--json")
    assert told.exit_code == 0, told.output
    elsewhere = CliRunner().invoke(app, ["selfplay", *map(str, toy), "--dry-run", "--json"])
    assert elsewhere.stdout == told.stdout  # it needs no folder
    found = json.loads(told.stdout)
    assert (found["steps"], found["proposals"], found["attempts"], found["evaluations"]) == (25, 6, 18, 4)
    assert found["most_tokens"] == 24 * 4 * 1024
    assert found["parameters"] == sum(weight.numel() for weight in load(str(started)).model.parameters())
    world = selfplay_toy.world(resolve(Config, {**VALUES, "hops": "2..4"}))
    assert found["held_out"] == len(world.held_out) and found["answers"] == 12

    model, corpus, answers = tmp_path / "model", tmp_path / "corpus.jsonl", tmp_path / "answers.jsonl"
    shutil.copytree(started, model)
    (model / "model.safetensors").write_bytes(b"no weights are read")
    corpus.write_text('{"id": "a", "contents": "e1"}\n')
    answers.write_text('{"answer": "e1"}\n{"answer": "e2"}\n')
    flags = ["--model", model, "--corpus", corpus, "--answers", answers, "--device", "cpu"]
    flags += ["--empty-slots", "dynamic-resampling", "--resamples", 2, "--batch", 6]
    shown = dry(*flags)
    assert shown.exit_code == 0, shown.output
    assert "known answers: 2 listed" in shown.stdout and "at most 18 proposals and 30 attempts" in shown.stdout
    assert "Evaluations: 0" in shown.stdout and "Memory on cpu: about" in shown.stdout
    assert "Warm start" not in shown.stdout and not (tmp_path / "run").exists()
    drawn = json.loads(dry(*flags[:4], "--device", "cpu", "--kl-coefficient", 0, "--json").stdout)
    assert drawn["answers"] is None and drawn["proposals"] == 32
    assert drawn["weight_bytes"] == 4 * drawn["parameters"]  # no reference: the policy only
    assert json.loads(dry(*toy, "--device", "cpu", "--json").stdout)["weight_bytes"] == 8 * found["parameters"]


@pytest.mark.parametrize(
    ("given", "frozen"),
    [
        ({}, "torch.float32"),
        ({"dtype": "bfloat16"}, "torch.float32"),
        ({"lora_rank": 2}, "torch.float32"),
        ({"lora_rank": 2, "dtype": "bfloat16"}, "torch.bfloat16"),
        ({"lora_rank": 2, "dtype": "float32"}, "torch.float32"),
    ],
)
def test_only_weights_under_an_adapter_may_be_half_as_wide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, object], frozen: str
) -> None:
    monkeypatch.setattr("questwell.llm.pretrained.best_device", lambda: "cpu")  # by default only a GPU has them
    tiny().save(tmp_path / "model")
    (tmp_path / "c.jsonl").write_text('{"id": "a", "title": "Selby", "text": "Selby is a town of 900 people."}\n')
    values = {"model": str(tmp_path / "model"), "corpus": str(tmp_path / "c.jsonl"), "index": tmp_path / "index"}
    setup = open_setup(resolve(Config, values, given), tmp_path / "run")
    weights = dict(setup.trainer.actor.model.named_parameters())
    (embedding,) = (weight for name, weight in weights.items() if name.endswith("embed_tokens.weight"))
    assert str(embedding.dtype) == frozen
    assert {str(weight.dtype) for weight in weights.values() if weight.requires_grad} == {"torch.float32"}
