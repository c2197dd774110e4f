"""`questwell init` and `questwell runs`."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from questwell.cli.app import app
from questwell.cli.init import SECTIONS
from questwell.recipes.runs.config import RecipeConfig, read_toml, resolve


def questwell(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, list(arguments))


def test_init_writes_a_file_that_changes_nothing_until_it_is_edited(tmp_path: Path) -> None:
    file = tmp_path / "questwell.toml"
    assert questwell("init", str(file)).exit_code == 0
    assert tomllib.loads(file.read_text()) == {"corpus": "islands", "llm": "mock", **{verb: {} for verb in SECTIONS}}
    assert questwell("init", "--print").stdout == file.read_text()
    again = questwell("init", str(file))
    assert again.exit_code == 2 and "already exists" in again.output


@pytest.mark.parametrize("verb", SECTIONS)
def test_every_key_stands_in_it_with_its_meaning_and_its_default(verb: str, tmp_path: Path) -> None:
    config: type[RecipeConfig] = SECTIONS[verb]
    text = questwell("init", "--print").stdout
    section = text.partition(f"\n[{verb}]\n")[2].split("\n\n\n[")[0]
    (tmp_path / "all.toml").write_text(re.sub(r"^# (\w+ = )", r"\1", section, flags=re.M), encoding="utf-8")
    values = read_toml(tmp_path / "all.toml")
    with_default = {
        key for key, field in config.model_fields.items() if not field.is_required() and field.default is not None
    }
    assert set(values) == with_default
    needed = {"corpus": "islands", "seeds": 1} if verb == "generate" else {"benchmarks": "plain=f", "corpus": "islands"}
    needed = {"data": "d.jsonl", "corpus": "islands"} if verb == "train" else needed
    assert resolve(config, values, needed) == resolve(config, needed)
    words = " ".join(re.sub(r"^#", "", section, flags=re.M).split())
    assert [
        key for key, field in config.model_fields.items() if " ".join((field.description or "?").split()) not in words
    ] == []


def test_runs_lists_what_a_folder_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))
    for name in ("a", "b"):
        given = ("--corpus", "islands", "--llm", "mock", "-n", "2", "--out", str(tmp_path / "runs" / name))
        assert questwell("generate", *given).exit_code == 0
    shown = questwell("runs", str(tmp_path / "runs"))
    assert shown.exit_code == 0 and len(shown.stdout.splitlines()) == 2
    assert "generate  a: " in shown.stdout and "$0.0000" in shown.stdout
    told = json.loads(questwell("runs", str(tmp_path / "runs"), "--json").stdout)
    assert {one["run"]["name"] for one in told} == {"a", "b"}
    assert questwell("runs", str(tmp_path / "home")).exit_code == 1
