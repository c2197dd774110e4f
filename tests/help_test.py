"""Help as a user reads it: at 80 columns, in any encoding, with every flag, closed set and exit code."""

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import world
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.cli.verbs import VERBS, load
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.loop import generate
from questwell.recipes.reports.status import Shape

HELD_BACK_BY_STATUS = (
    *("numpy", "pyarrow", "torch", "tantivy", "httpx2", "asyncio", "ssl", "statistics"),
    *("questwell.recipes.runs.config", "questwell.recipes.runs.opening", "questwell.types.dataset"),
    *("questwell.evaluation.statistics", "questwell.games.seeds", "questwell.recipes.reports.labels"),
)
"""Modules that `status` of a generate run does not need, each some milliseconds. typer needs pydantic in any case."""
HELD_BACK = ("numpy", "pyarrow", "torch", "rich", "pydantic", "tantivy", "httpx2")


def shown(*arguments: str, columns: int = 80) -> str:
    result = CliRunner(env={"COLUMNS": str(columns)}).invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("verb", VERBS)
def test_help_at_80_columns_has_every_flag_whole_and_the_exit_codes(verb: str) -> None:
    text = shown(verb, "--help")
    words = set(text.replace(",", " ").replace("/", " ").split())
    for parameter in load(verb).params:
        if parameter.param_type_name == "option" and not parameter.hidden:
            for flag in (*parameter.opts, *parameter.secondary_opts):
                assert flag in words, flag
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "Exit codes: 0 " in text


@pytest.mark.parametrize("verb", ["generate", "evaluate", "train", "selfplay"])
def test_help_of_a_run_names_all_exit_codes(verb: str) -> None:
    text = " ".join(shown(verb, "--help").split())
    assert "3 incomplete (continue with --resume), 4 budget reached" in text


def test_the_list_of_verbs_is_what_each_verb_is_called() -> None:
    text = shown("--help")
    for name, verb in VERBS.items():
        assert f"  {name} " in text
        assert verb.summary.endswith(".")
        assert load(name).help


def test_closed_sets_show_their_values() -> None:
    text = shown("generate", "--help", columns=100)
    assert "--variant initial|resample|feedback" in text
    assert "--style auto|free|staged" in text or "--style free|staged|auto" in text
    assert "--protocol tags|functions" in text
    assert "<str>" not in text


@pytest.mark.parametrize(
    ("flag", "typed", "offered"),
    [
        ("variant", "re", ["resample"]),
        ("gates", "evidence,cl", ["evidence,closed-book"]),
        ("protocol", "", ["tags", "functions"]),
    ],
)
def test_closed_sets_complete_also_the_last_of_a_list(flag: str, typed: str, offered: list[str]) -> None:
    command = load("generate")
    (parameter,) = [one for one in command.params if one.name == flag]
    context = command.context_class(command)
    assert [item.value for item in parameter.shell_complete(context, typed)] == offered


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp437"])
def test_no_encoding_of_standard_output_ends_a_verb(encoding: str) -> None:
    for arguments in (["--help"], ["generate", "--help"], ["doctor", "--llm", "nowhere-é中\u2028"]):
        done = called(arguments, PYTHONIOENCODING=encoding)
        assert b"Traceback" not in done.stderr, done.stderr
        assert done.returncode in (0, 1, 2)
        assert done.stdout + done.stderr


def test_an_unknown_verb_and_an_old_flag_name_the_right_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["genrate"])
    assert result.exit_code == 2
    assert "no command 'genrate' (did you mean 'generate'?)" in result.output
    for old in (["--beside", "x"], ["--beside=x"]):
        result = CliRunner().invoke(app, ["status", str(tmp_path), *old])
        assert result.exit_code == 2
        assert "--beside is called --with now" in result.output


def test_version_and_help_import_nothing_heavy() -> None:
    for arguments in (["--version"], ["--help"]):
        program = (
            "import sys; from questwell.cli.app import app; app(sys.argv[1:], standalone_mode=False);"
            f"print('held back:', sorted(set({HELD_BACK!r}) & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
        assert "held back: []" in done.stdout


async def test_status_imports_no_reader_of_corpora_and_no_model(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = world.config(library, seeds=3)
    await generate(config, run, world.setup(config))
    program = (
        "import sys; from questwell.cli.app import app; app(sys.argv[1:], standalone_mode=False);"
        f"print('held back:', sorted(set({HELD_BACK_BY_STATUS!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "status", str(run)], capture_output=True, text=True, check=True
    )
    assert "held back: []" in done.stdout


def test_status_reads_a_run_that_is_older_than_a_key_as_the_config_would() -> None:
    for field in fields(Shape):
        assert field.default == Config.model_fields[field.name].default, field.name


def called(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[bytes]:
    program = "from questwell.cli.app import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, env=os.environ | environment, check=False
    )
