"""The command line as a user types it, over the scripted world."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import world
from typer.testing import CliRunner, Result

from questwell.cli.app import app
from questwell.errors import LLMUnavailable
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.dataset.export import read_items
from questwell.recipes.generate import loop as recipe
from questwell.recipes.generate import preview
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.setup import Setup
from questwell.recipes.runs.caller import IndexProgress

VERBS = ("doctor", "index", "generate", "status", "show", "export")
HOSTILE = "[red]Who[/red] \x1b[31mis\x1b[0m \u202eevil\u202c [/bold]:"


def call(*arguments: object) -> Result:
    """One invocation; standard error is in `stderr` only."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def generate_flags(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """`--config FILE` for the scripted world, with the script in place of the endpoint."""
    script(monkeypatch, world.play)
    path = tmp_path / "world.toml"
    lines = (
        f"{key.replace('_', '-')} = {value if isinstance(value, int) else json.dumps(str(value))}"
        for key, value in world.values(library).items()
    )
    path.write_text("\n".join(lines))
    return ["--config", str(path)]


def script(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    def scripted(config: Config, index_progress: IndexProgress | None = None, **lent: object) -> Setup:
        return world.setup(config, ScriptedLLM(answer))  # type: ignore[arg-type]

    monkeypatch.setattr(recipe, "open_setup", scripted)
    monkeypatch.setattr(preview, "open_setup", scripted)


def test_help_names_each_verb_and_each_key() -> None:
    shown = call("--help").output
    assert all(verb in shown for verb in VERBS)
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["generate", "--help"]).output
    for key in Config.model_fields:
        assert f"--{key.replace('_', '-')}" in shown
    assert all(field.description for field in Config.model_fields.values())


def test_a_whole_session(generate_flags: list[str], tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "items.jsonl"
    dry = call("generate", *generate_flags, "-n", 12, "--out", run, "--dry-run")
    assert dry.exit_code == 0
    assert "120 passages" in dry.stdout and "at most" in dry.stdout
    assert not run.exists()

    made = call("generate", *generate_flags, "-n", 12, "--out", run)
    assert made.exit_code == 0, made.output
    assert "Funnel" in made.stdout and "seeds played" in made.stdout
    assert "seeds 12/12" in made.stderr

    shown = call("status", run)
    assert shown.exit_code == 0
    assert "By target and round" in shown.stdout and "Early stop" in shown.stdout
    stands = json.loads(call("status", run, "--json").stdout)
    counts = stands["funnel"]
    assert counts["candidates"] == 12 == counts["accepted"] + sum(counts["rejected"].values())

    listed = json.loads(call("show", run, "--json").stdout)
    assert len(listed) == 12
    assert [play["status"] for play in listed] == sorted(play["status"] for play in listed)
    for play in listed:
        told = call("show", run, play["index"])
        assert told.exit_code == 0
        assert play["status"].upper() in told.stdout
        story = json.loads(call("show", run, f"s{play['index']:05d}", "--json").stdout)
        assert story["play"]["question"] == play["question"]

    assert call("export", run, "--out", out).exit_code == 0
    assert call("export", run, "--out", tmp_path / "items.parquet").exit_code == 0
    assert len(read_items(out)) == counts["accepted"]
    assert read_items(out) == read_items(tmp_path / "items.parquet")

    more = call("generate", "--out", run, "--resume", "-n", 14, "--json")
    assert more.exit_code == 0
    assert json.loads(more.stdout)["funnel"]["candidates"] == 14


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--corpus", "nowhere", "-n", 3], "neither built in"),
        (["--steps", "5..2", "-n", 3], "expected a range"),
        (["--mix", "2-4:1,3:1", "-n", 3], "share 3 steps"),
        (["--answer-types", "colour", "-n", 3], "'number', 'date' or 'entity'"),
        (["--band", "2..3", "-n", 3], "two fractions"),
        (["--preset", "sage-papr", "-n", 3], "did you mean 'sage-paper'"),
        (["--price-in", 1, "-n", 3], "given together"),
        ([], "how much"),
        (["-n", 0], "greater than or equal to 1"),
        (["--no-such-flag"], "No such option"),
        (["--config", "missing.toml"], "cannot be read"),
    ],
)
def test_bad_input_is_a_usage_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[object], said: str
) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))
    result = call(
        "generate", "--out", tmp_path / "run", "--llm", "m@http://localhost:1/v1", "--corpus", "foldoc", *flags
    )
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.output


def test_an_unknown_key_in_a_file_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("atempts = 3\n")
    result = call("generate", "--config", path, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "unknown key 'atempts' (did you mean 'attempts'?)" in result.stderr
    assert "corpus is missing" in result.stderr


@pytest.mark.parametrize(
    "arguments", [("status", "{}"), ("show", "{}"), ("show", "{}", "1"), ("export", "{}", "--out", "x.jsonl")]
)
def test_what_is_no_run_is_an_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = call(*(argument.format(tmp_path) for argument in arguments))
    assert result.exit_code == 1
    assert "there is no run" in result.stderr
    assert "Traceback" not in result.output


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    result = call("--debug", "status", tmp_path)
    assert isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit)


def test_a_run_that_is_there_needs_resume_and_refuses_another_config(generate_flags: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    call("generate", *generate_flags, "-n", 2, "--out", run)
    again = call("generate", *generate_flags, "-n", 2, "--out", run)
    assert (again.exit_code, "--resume" in again.stderr) == (2, True)
    changed = call("generate", *generate_flags, "-n", 2, "--out", run, "--resume", "--attempts", 7)
    assert (changed.exit_code, "attempts: 4 -> 7" in changed.stderr) == (1, True)


def test_exit_codes_tell_partial_from_budget(generate_flags: list[str], tmp_path: Path) -> None:
    partial = call("generate", *generate_flags, "-n", 6, "--limit", 2, "--out", tmp_path / "partial")
    assert partial.exit_code == 3
    assert f"Go on: questwell resume {tmp_path / 'partial'}" in partial.stdout
    spent = call("generate", *generate_flags, "-n", 6, "--max-tokens", 30, "--out", tmp_path / "spent")
    assert spent.exit_code == 4
    assert "max_tokens = 30 is used up" in spent.stdout


def test_when_nothing_is_accepted_it_says_why(
    generate_flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, lambda request: Completion("no idea", "m"))
    result = call("generate", *generate_flags, "-n", 3, "--out", tmp_path / "run")
    assert result.exit_code == 0
    assert "Nothing was accepted" in result.stdout
    assert "3 no_moves: the model does not play" in result.stdout
    assert "unknown" in result.stdout  # the cost
    assert call("export", tmp_path / "run", "--out", tmp_path / "x.jsonl").exit_code == 1

    script(monkeypatch, lambda request: LLMUnavailable("no route to [bold]host\x1b[31m"))
    result = call("generate", *generate_flags, "-n", 30, "--out", tmp_path / "down", "--max-errors", 4)
    assert result.exit_code == 3
    assert "plays in a row errored" in result.stdout
    assert "no route to [bold]host<U+001B>[31m" in result.stdout


def test_what_models_write_cannot_touch_the_screen(
    generate_flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hostile(request: Request) -> Completion:
        said = world.play(request).text.replace("When did the bridge number", f"{HOSTILE} When did the bridge number")
        return Completion(said, "m[red]\x1b[0m")

    script(monkeypatch, hostile)
    run = tmp_path / "run"
    call("generate", *generate_flags, "-n", 6, "--out", run)
    for arguments in (
        ("status", run),
        ("show", run),
        ("show", run, "0"),
        ("show", run, "--json"),
        ("show", run, "0", "--json"),
    ):
        result = call(*arguments)
        assert result.exit_code == 0
        assert not set(result.output) & set("\x1b\u202e\u202c")
    assert any("[red]Who[/red] <U+001B>[31mis" in call("show", run, number).stdout for number in range(6))


def test_index_and_doctor_say_what_they_found(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))
    corpus = tmp_path / "c.jsonl"
    corpus.write_text((library / "bridges.jsonl").read_text() + "{broken\n")
    refused = call("index", corpus)
    assert refused.exit_code == 1
    assert "c.jsonl" in refused.stderr
    built = call("index", corpus, "--skip-bad", "--json")
    assert built.exit_code == 0
    report = json.loads(built.stdout)
    assert (report["passages"], report["skipped"], report["built"]) == (120, 1, True)
    assert "Skipped 1" in built.stderr
    assert "ready" in call("index", corpus, "--skip-bad").stdout

    healthy = call("doctor", "--corpus", library / "bridges.jsonl")
    assert healthy.exit_code == 0
    assert "120 passages, searchable" in healthy.stdout
    sick = call("doctor", "--corpus", "nowhere", "--llm", "nonsense", "--json")
    assert sick.exit_code == 1
    health = {check["name"]: check["health"] for check in json.loads(sick.stdout)}
    assert {health.pop(name) for name in ("corpus", "model")} == {"failed"}
    assert set(health.values()) <= {"ok", "absent"}


def test_interrupting_ends_cleanly_and_can_be_resumed(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    program = (
        "import sys, world; from pathlib import Path; from questwell.cli.app import main;"
        "from questwell.llm.scripted import ScriptedLLM; from questwell.recipes.generate import loop as g;"
        "scripted = ScriptedLLM(world.play, latency_s=0.02);"
        "g.open_setup = lambda config, index_progress=None, **lent: world.setup(config, scripted);"
        "main()"
    )
    keys = (f"--{key.replace('_', '-')}={value}" for key, value in world.values(library).items())
    process = subprocess.Popen(
        [sys.executable, "-c", program, "generate", *keys, "-n", "100", "--out", str(run)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while time.monotonic() < until and json_calls(run) < 50:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 3, stderr
    assert "stopped as you asked" in stdout and f"questwell resume {run}" in stdout
    assert 0 < json_calls(run) < 1500


def json_calls(run: Path) -> int:
    result = call("status", run, "--json")
    return json.loads(result.stdout)["spending"]["total"]["calls"] if result.exit_code == 0 else 0


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_limit_of_money_needs_a_price(library: Path, tmp_path: Path, dry: list[str]) -> None:
    corpus = [
        "--corpus",
        library / "bridges.jsonl",
        "--index",
        library / "index",
        "--llm",
        "gpt-99@http://localhost:1/v1",
    ]
    result = call("generate", "--out", tmp_path / "run", "-n", 3, *corpus, "--max-cost", 1, *dry)
    assert result.exit_code == 2, result.output
    assert "'gpt-99' is not known; give it with --price-in" in " ".join(result.stderr.replace("│", " ").split())
