"""Extras: each that a message or a page names exists, and `doctor` has a row for each."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from questwell.cli.app import app
from questwell.recipes import machine
from questwell.recipes.machine import Check, Health
from questwell.recipes.runs.extras import ALONE, EXTRAS

ROOT = Path(__file__).parent.parent
DECLARED: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
NAMED = re.compile(
    r"(?:questwell|\.)\[([a-z0-9,]+)\]"  # pip install 'questwell[train,dense]'
    r"|extras? [`'\"]([a-z0-9]+)[`'\"]"
    r"|optional\(\"[\w.]+\", \"([a-z0-9]+)\"\)"
    r"|command\(\"([a-z0-9]+)\"\)"
)


def questwell(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, ["doctor", *map(str, arguments)])


def row(result: Result, name: str) -> str:
    (found,) = [line for line in result.stdout.splitlines() if line[8:].startswith(f"{name}: ")]
    return found


def test_every_extra_that_is_named_anywhere_exists() -> None:
    files = [*ROOT.glob("src/**/*.py"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md"), ROOT / "README.md"]
    named: dict[str, str] = {}
    for path in files:
        if path.name.endswith("_test.py"):
            continue
        for found in NAMED.finditer(path.read_text(encoding="utf-8")):
            for group in filter(None, found.groups()):
                named.update(dict.fromkeys(group.split(","), str(path.relative_to(ROOT))))
    assert {"train", "dense", "hub", "plots", "tensorboard", "view"} <= named.keys()  # or the pattern finds nothing
    assert {name: path for name, path in named.items() if name not in DECLARED} == {}


def test_doctor_knows_every_extra_and_all_brings_all_that_go_together() -> None:
    assert set(EXTRAS) == set(DECLARED) - {"all"}
    brought = {name for line in DECLARED["all"] for name in line.removeprefix("questwell[").rstrip("]").split(",")}
    assert brought == set(EXTRAS) - ALONE
    assert not any(EXTRAS[name].missing() for name in brought)  # here all are installed: so the modules are real ones


def test_an_extra_that_is_missing_fails_only_if_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "questwell.recipes.runs.extras.importlib.util.find_spec", lambda name: name != "usearch" or None
    )
    monkeypatch.setattr("questwell.recipes.machine.gpu", lambda *, asked: Check("gpu", Health.ABSENT, "none"))
    told = questwell()
    assert told.exit_code == 0
    assert row(told, "extra dense") == (
        "-       extra dense: not installed (usearch); for --retriever hybrid, embedders, --meaning"
    )
    assert "        -> pip install 'questwell[dense]'" in told.stdout.splitlines()
    assert row(told, "extra train").startswith("ok      extra train: installed")
    assert questwell("--extras", "train").exit_code == 0
    asked = questwell("--extras", "train, dense")
    assert asked.exit_code == 1 and row(asked, "extra dense").startswith("FAILED  ")
    unknown = questwell("--extras", "dens")
    assert unknown.exit_code == 2 and "no extra 'dens' (did you mean 'dense'?)" in unknown.output


def test_a_gpu_is_named_or_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("questwell.training.accelerators.gpus", lambda: [])
    assert machine.gpu().found.startswith("none: torch sees no GPU")
    assert (machine.gpu().health, machine.gpu(asked=True).health) == (Health.ABSENT, Health.FAILED)
    monkeypatch.setattr("questwell.training.accelerators.gpus", lambda: ["NVIDIA H100 (80 GiB)"])
    assert machine.gpu(asked=True) == Check("gpu", Health.OK, "NVIDIA H100 (80 GiB)")
    monkeypatch.setattr("questwell.recipes.machine.importlib.util.find_spec", lambda name: None)
    assert machine.gpu(asked=True).health is Health.FAILED and "torch is not installed" in machine.gpu().found


def test_a_folder_that_cannot_be_written_fails_and_nothing_stays_of_the_check(tmp_path: Path) -> None:
    good = machine.out(tmp_path / "a" / "b")
    assert (good.health, list(tmp_path.iterdir())) == (Health.OK, [])
    (tmp_path / "file").write_text("x")
    under_a_file = machine.out(tmp_path / "file" / "run")
    assert under_a_file.health is Health.FAILED and "it is a file" in under_a_file.found
    refused = machine.out(Path("/proc/run"))  # refused to root too
    assert refused.health is Health.FAILED and "'/proc' cannot be written" in refused.found


def test_a_run_that_is_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))
    run = tmp_path / "run"
    made = CliRunner().invoke(app, ["generate", "--corpus", "islands", "--llm", "mock", "-n", "1", "--out", str(run)])
    assert made.exit_code == 0
    assert "contains a run of generate" in machine.out(run).found
    assert machine.out(run).advice == f"questwell resume {run} continues it"


def test_prompts_are_checked_for_names_and_placeholders(tmp_path: Path) -> None:
    assert machine.prompts(None).health is Health.OK
    assert machine.prompts(tmp_path).health is Health.WARNING  # nothing in it
    (tmp_path / "judge.md").write_text("--- user\nIs $answer right?\n")
    left_out = machine.prompts(tmp_path)
    assert left_out.health is Health.WARNING and "replaces judge" in left_out.found
    assert "$question" in left_out.advice and "$answer" not in left_out.advice
    (tmp_path / "judge.md").write_text("--- user\nIs $anwser right?\n")
    assert machine.prompts(tmp_path).health is Health.FAILED and "$anwser" in machine.prompts(tmp_path).found
    (tmp_path / "judge.md").unlink()
    (tmp_path / "juge.md").write_text("--- user\nx\n")
    assert "no agent uses a prompt with this name" in machine.prompts(tmp_path).found
    shutil.copy(ROOT / "src/questwell/agents/prompts/judge.md", tmp_path / "judge.md")
    (tmp_path / "juge.md").unlink()
    assert machine.prompts(tmp_path).health is Health.OK


@pytest.mark.parametrize(
    "program",
    [
        "from questwell.training.charts import draw; draw({'a': [{'step': 1.0}]}, Path(sys.argv[1]), 't')",
        "from questwell.cli.app import app; app(['status', sys.argv[2], '--report', sys.argv[1]])",
    ],
)
def test_charts_and_reports_need_no_torch(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))
    run, made = tmp_path / "run", tmp_path / "made"
    given = ["--corpus", "islands", "--llm", "mock", "-n", "1", "--out", str(run)]
    assert CliRunner().invoke(app, ["generate", *given]).exit_code == 0
    blocked = "import sys; from pathlib import Path; sys.modules.update(torch=None, transformers=None, peft=None);"
    made = made.with_suffix(".png") if "draw" in program else made
    done = subprocess.run(
        [sys.executable, "-c", blocked + program, str(made), str(run)], capture_output=True, text=True
    )
    assert (done.returncode, made.exists()) == (0, True), done.stderr
