"""One TOML file for several commands, and a key that is written twice."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.cli.assembly import assemble
from questwell.errors import ConfigError
from questwell.recipes.sections import read_section

FILE = """
corpus = "factbook"
max-cost = 2.5

[generate]
seeds = 20
max-cost = 1.5

[generate.headers]
x = "y"

[evaluate]
benchmarks = "plain=q.jsonl"

[train]
steps = 7
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "all.toml"
    file.write_text(FILE)
    return file


def test_a_section_of_no_command_is_named(tmp_path: Path) -> None:
    path = tmp_path / "q.toml"
    path.write_text('corpus = "islands"\n[generat]\nseeds = 3\n')
    with pytest.raises(ConfigError, match=r"section \[generat\] for an unknown command \(did you mean 'generate'\?\)"):
        read_section(path, "generate")
    path.write_text('[roles.judge]\nkey_env = "K"\n[generate.roles.solver]\nkey_env = "L"\n')
    assert read_section(path, "generate")["roles"] == {"solver": {"key_env": "L"}}


def test_a_section_goes_over_the_keys_above_and_flags_over_both(path: Path) -> None:
    above = {"corpus": "factbook", "max_cost": 2.5}
    made = {**above, "seeds": 20, "max_cost": 1.5, "headers": {"x": "y"}}
    assert assemble("generate", {}, path) == made
    assert assemble("generate", {"seeds": 3, "llm": None}, path) == {**made, "seeds": 3}
    assert assemble("evaluate", {}, path) == {**above, "benchmarks": "plain=q.jsonl"}
    assert assemble("recheck", {}, path) == above


def test_a_key_above_the_sections_is_for_the_verbs_that_have_it(path: Path) -> None:
    assert assemble("dataset", {}, path) == {}
    assert assemble("gates", {}, path) == {"max_cost": 2.5}
    assert assemble("index", {}, path) == {"corpus": "factbook"}


def test_a_key_that_no_verb_has_and_one_in_the_wrong_section_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('copus = "factbook"\n[index]\nmax_cost = 1\n')
    assert assemble("dataset", {}, file) == {"copus": "factbook"}
    assert assemble("index", {}, file) == {"copus": "factbook", "max_cost": 1}
    result = CliRunner().invoke(app, ["index", "--config", str(file)])
    assert result.exit_code == 2 and "unknown key 'copus' (did you mean 'corpus'?)" in result.output
    assert "unknown key 'max_cost'" in result.output


def test_order_is_preset_file_flags_arguments(path: Path) -> None:
    found = assemble("train", {"steps": 8, "corpus": "foldoc"}, path, {"steps": 1, "seed": 5}, corpus="mine", data=None)
    assert found == {"seed": 5, "steps": 8, "corpus": "mine", "max_cost": 2.5}


@pytest.mark.parametrize("section", ["", "[generate]\n"])
def test_a_key_in_two_spellings_is_refused(tmp_path: Path, section: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f"{section}max-minutes = 1\nmax_minutes = 2\n")
    with pytest.raises(ConfigError, match="max-minutes and max_minutes are the same key: keep only one"):
        read_section(file, "generate")


def test_a_section_that_no_command_has_ends_the_command(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('corpus = "factbook"\n[genrate]\nseeds = 2\n')
    result = CliRunner().invoke(app, ["generate", "--config", str(file), "--out", str(tmp_path / "run"), "--dry-run"])
    assert result.exit_code == 2
    assert "a section [genrate] for an unknown command (did you mean 'generate'?)" in result.output


def test_errors_name_the_flag(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, ["generate", "--answer-types", "colour", *out])
    assert result.exit_code == 2
    assert "corpus is missing: say --corpus" in result.output
    assert "(--answer-types): must be" in result.output
