"""What `show` and `status` print of a run: folded or in full, readable in every script, safe in every terminal."""

import json
from pathlib import Path

import evaluation_world
import typer
import view_world
from typer.testing import CliRunner

from questwell.cli import screen
from questwell.cli.app import app
from questwell.cli.text import UNSAFE
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.evaluate.loop import evaluate, questions_of
from questwell.store.reader import RunReader
from questwell.store.run import RunStore
from questwell.types.game import Accepted


async def test_full_shows_every_thought_and_passage(library: Path, tmp_path: Path) -> None:
    await view_world.generated(library, tmp_path / "run", steps="2..2")
    with RunReader(tmp_path / "run") as run:
        outcome = next(one for n in range(24) if isinstance(one := run.outcome(n), Accepted))
    short = CliRunner().invoke(app, ["show", str(tmp_path / "run"), outcome.seed.id]).output
    full = CliRunner().invoke(app, ["show", str(tmp_path / "run"), outcome.seed.id, "--full"]).output
    words = " ".join(full.split())
    for attempt in outcome.rounds[-1].attempts:
        for turn in attempt.trajectory.turns:
            assert " ".join(turn.text.split()) in words
            assert all(hit.passage.id in full for hit in turn.hits)
    assert "river guild" in full
    assert full.count("river guild") > short.count("river guild")
    assert "search “" in short


async def test_json_keeps_other_scripts_readable_and_terminals_safe(library: Path, tmp_path: Path) -> None:
    await view_world.hostile(library, tmp_path / "run")
    shown = CliRunner().invoke(app, ["show", str(tmp_path / "run"), "s00006", "--json"])
    assert not UNSAFE.search(shown.output)
    assert json.loads(shown.output)["seed"]["passage"]["title"] == view_world.HOSTILE[6]


def test_other_scripts_are_printed_as_they_are() -> None:
    small = typer.Typer()

    @small.command()
    def tell() -> None:
        screen.print_json(list[str], ["橋は", "\u202e", "😀", "\x7f"])

    shown = CliRunner().invoke(small, [])
    assert "橋は" in shown.output
    assert "😀" in shown.output
    assert "\\u202e" in shown.output
    assert "\\u007f" in shown.output
    assert json.loads(shown.output) == ["橋は", "\u202e", "😀", "\x7f"]


async def test_a_run_that_nobody_writes_is_watched_once(library: Path, tmp_path: Path) -> None:
    await view_world.generated(library, tmp_path / "run")
    shown = CliRunner().invoke(app, ["status", str(tmp_path / "run"), "--watch"])
    assert "seeds 24/24" in shown.output
    assert "per accepted item, complete" in shown.output
    assert "Nobody writes the run now" in shown.output


def show(*arguments: str) -> str:
    return " ".join(CliRunner().invoke(app, ["show", *arguments]).output.split())


async def test_what_a_solver_only_thought_is_not_shown_as_written(library: Path, tmp_path: Path) -> None:
    def thinking(request: Request) -> Completion:
        said = evaluation_world.answer(request)
        return Completion(f"Or 1700?\n</think>\n{said.text}", said.model)

    chosen = evaluation_world.config(library, evaluation_world.write_questions(tmp_path / "b.jsonl", 1))
    made = evaluation_world.setup(chosen, ScriptedLLM(thinking))
    await evaluate(chosen, questions_of(chosen), tmp_path / "run", made)
    shown = show(str(tmp_path / "run"), "q00000")
    assert "thought: Or 1700? wrote: <search>bridge 0</search>" in shown
    assert "</think>" not in shown


def test_thoughts_of_a_policy_are_shown_apart(tmp_path: Path) -> None:
    view_world.trained(tmp_path / "train")
    shown = show(str(tmp_path / "train"), "3/0")
    assert "thought: 1700? <search>Ada</search> -> seen thought: or 1800 (nothing)" in shown

    view_world.selfplayed(tmp_path / "play", "x</think>y")
    assert "thought: thought x y -> Title x</think>y" in show(str(tmp_path / "play"), "1/0")


async def test_the_status_of_train_says_how_the_requests_to_its_judge_are_changed(tmp_path: Path) -> None:
    view_world.trained(tmp_path / "train")
    with RunStore(tmp_path / "train" / "calls") as calls:
        await calls.adapted("gpt-x at https://judge.example/v1", ("omit stop", "cap 512"))
    shown = CliRunner().invoke(app, ["status", str(tmp_path / "train")])
    assert "Requests adapted for gpt-x at https://judge.example/v1 are changed: omit stop; cap 512" in shown.output
    told = json.loads(CliRunner().invoke(app, ["status", str(tmp_path / "train"), "--json"]).output)
    assert told["ledgers"][0]["adapted"] == {"gpt-x at https://judge.example/v1": ["omit stop", "cap 512"]}
