"""Held-out evaluation while training: made once, a kill or not; the best checkpoint stays; training is the same."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from held_out_worker import SCRIPT, play
from train_test import same
from train_worker import config, setup
from typer.testing import CliRunner

from questwell.agents.session import Session
from questwell.agents.solver import Solver
from questwell.cli.app import app
from questwell.errors import ConfigError
from questwell.llm.client import Message, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.reports.training import training_run
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.ending import Ending
from questwell.recipes.train.data import read_held_out, read_questions
from questwell.recipes.train.loop import train
from questwell.recipes.train.setup import TrainSetup
from questwell.scoring.judge import Judge
from questwell.scoring.rewards import JudgeReward, Rewarded
from questwell.store.reader import RunReader
from questwell.training import checkpoint
from questwell.training.evaluations import FILE, best_of, checkpoint_model, read_evaluations
from questwell.types.game import Judgement, Label
from questwell.types.trajectory import Trajectory

pytestmark = pytest.mark.usefixtures("blank_charts")

WORKER = str(Path(__file__).parent / "held_out_worker.py")
VALUES: dict[str, object] = {"steps": 7, "eval_every": 2, "save_every": 100, "keep": 1, "algorithm": "grpo"}


async def test_a_kill_within_an_evaluation_repeats_it_alone_and_the_best_checkpoint_stays(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    in_the_third = 3 + 3 + 2  # each evaluation has three attempts
    process = subprocess.run([sys.executable, WORKER, str(killed), json.dumps(VALUES), str(in_the_third)])
    assert process.returncode == -signal.SIGKILL
    assert [row["step"] for row in read_evaluations(killed)] == [0, 2]
    assert checkpoint.steps(killed / "checkpoints") == [2, 4]  # the best so far, and that which is evaluated
    done = await play(killed, config(**VALUES))
    asked = killed.with_suffix(".log").read_text().split()
    assert [asked.count(str(number)) for number in range(5)] == [3, 3, 2 + 3, 3, 3]
    assert [(row["step"], row["held_out_reward"]) for row in read_evaluations(killed)] == [
        *zip((0, 2, 4, 6, 7), SCRIPT, strict=True)
    ]
    # Steps 2 and 6 earn the same: the earlier is the best.
    assert checkpoint.steps(killed / "checkpoints") == [2, 7]
    assert (done.ending, done.best_step, done.best) == (Ending.COMPLETE, 2, checkpoint_model(killed, 2))
    assert done.best is not None and (done.best / "config.json").is_file()
    await play(whole, config(**VALUES))
    same(whole, killed, rel=1e-4, abs=1e-6)
    rows = [json.loads(line) for line in (killed / "held_out" / "step-000004.jsonl").read_text().splitlines()]
    assert [row["reward"] for row in rows] == [0.5] * 3
    assert len({row["id"] for row in rows}) == 3


async def test_a_run_that_is_evaluated_learns_what_one_that_is_not_learns(tmp_path: Path) -> None:
    rows: list[list[dict[str, object]]] = []
    for folder, every in ((tmp_path / "often", 1), (tmp_path / "never", 0)):
        chosen = config(steps=3, eval_every=every)
        await train(chosen, folder, setup(chosen))
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        timed = ("_s", "per_s")
        rows.append([{k: v for k, v in json.loads(line).items() if not k.endswith(timed)} for line in lines])
    assert rows[0] == rows[1]
    assert [row["step"] for row in read_evaluations(tmp_path / "often")] == [0, 1, 2, 3]
    assert read_evaluations(tmp_path / "never") == []


class Unjudged:
    """Judges `judged` held-out attempts, which are right, and no more."""

    def __init__(self, judged: int) -> None:
        self.left = judged

    async def reward(self, question: str, references: Sequence[str], answer: str | None) -> Rewarded:
        self.left -= 1
        if self.left < 0:
            return Rewarded(None, Judgement(Label.UNSCORED, "moody"))
        return Rewarded(1.0, Judgement(Label.RIGHT, "moody"))


async def test_what_was_not_judged_counts_neither_as_right_nor_as_wrong(tmp_path: Path) -> None:
    chosen = config(steps=1, eval_every=1)
    done = await train(chosen, tmp_path / "some", replace(setup(chosen), reward=Unjudged(2)))
    assert done.ending is Ending.FAILING  # no attempt of the step that follows is judged
    (row,) = read_evaluations(tmp_path / "some")
    assert (row["held_out_reward"], row["held_out_accuracy"], row["held_out_dropped"]) == (1, 1, 1)
    none = await train(chosen, tmp_path / "none", replace(setup(chosen), reward=Unjudged(0)))
    assert none.ending is Ending.FAILING and "held-out" in none.message
    assert read_evaluations(tmp_path / "none") == []


class Answering:
    """A solver whose every answer is e1, so that the judge is asked."""

    def __init__(self, inner: Solver) -> None:
        self.inner = inner

    async def solve(self, question: str, session: Session, random_seed: int) -> Trajectory:
        return replace(await self.inner.solve(question, session, random_seed), answer="e1")


async def test_the_judge_of_an_evaluation_is_recorded_and_paid_once(tmp_path: Path) -> None:
    chosen = config(steps=1, eval_every=1)

    def judged(calls: list[Request]) -> TrainSetup:
        llm = ScriptedLLM(lambda request: calls.append(request) or "VERDICT: yes")
        made = setup(chosen)
        assert made.held_out is not None
        asked = Judge(lambda question, references, answer: (Message("user", question),), always=True)
        held_out = replace(made.held_out, solver=Answering(made.held_out.solver))
        return replace(made, judge=llm, reward=JudgeReward(asked, llm.complete), held_out=held_out)

    first: list[Request] = []
    await train(chosen, tmp_path, judged(first))
    assert len(first) >= 6
    with RunReader(tmp_path / "calls") as run:
        kept = {seed for (seed,) in run.rows("SELECT DISTINCT seed FROM calls")}
    assert {"h00000", "h00001", "h00002"} <= kept
    (tmp_path / FILE).unlink()  # as if the run had been killed before its last line
    again: list[Request] = []
    done = await train(chosen, tmp_path, judged(again), Caller(resume=True))
    assert done.ending is Ending.COMPLETE
    assert again == []
    assert [row["held_out_accuracy"] for row in read_evaluations(tmp_path)] == [1]


def test_the_best_is_the_earliest_of_the_highest() -> None:
    rows = [{"step": step, "held_out_reward": reward} for step, reward in ((0, 0.5), (4, 0.75), (8, 0.75), (9, 0.6))]
    assert best_of(rows) == rows[1]
    assert best_of(rows[::-1]) == rows[1]
    assert best_of([{"step": 3.0}]) is None


def test_questions_that_are_trained_on_are_no_held_out_questions(tmp_path: Path) -> None:
    data, held_out = tmp_path / "data.jsonl", tmp_path / "held_out.jsonl"
    data.write_text('{"question": "Who wrote it?", "answer": "Ada"}\n{"question": "When?", "answer": "1843"}\n')
    held_out.write_text('{"question": "Where?", "answer": "London"}\n')
    assert len(read_held_out(held_out, read_questions(data))) == 1
    held_out.write_text('{"question": "Where?", "answer": "London"}\n{"question": "who  wrote it?", "answer": "A"}\n')
    with pytest.raises(ConfigError, match=r"1 of its 2 questions .* 'who  wrote it\?'"):
        read_held_out(held_out, read_questions(data))


async def test_status_shows_the_evaluations_and_the_best_step(tmp_path: Path) -> None:
    await play(tmp_path / "run", config(**{**VALUES, "steps": 4}))
    shown = CliRunner().invoke(app, ["status", str(tmp_path / "run")])
    assert shown.exit_code == 0, shown.output
    assert "Steps: 4 of 4; checkpoint of step 4" in shown.output
    assert "Best, the earliest of equal ones: step 2" in " ".join(shown.output.split())
    told = json.loads(CliRunner().invoke(app, ["status", str(tmp_path / "run"), "--json"]).output)
    assert (told["best"]["step"], told["best_model"]) == (2, str(checkpoint_model(tmp_path / "run", 2)))
    assert [row["step"] for row in told["evaluations"]] == [0, 2, 4]
    run = training_run(tmp_path / "run")
    assert (run.steps, {name: value for name, value, _ in run.latest}["step"]) == (4, 4)
    assert any("held out reward" in chart.svg for chart in run.charts)
