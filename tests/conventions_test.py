"""`questwell init`, `--config`, `--print-config` and `questwell runs`."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from questwell.cli.app import app
from questwell.cli.verbs import VERBS, load
from questwell.recipes.runs.config import RecipeConfig, Values, read_toml, resolve
from questwell.recipes.runs.models import ModelConfig
from questwell.recipes.runs.template import section
from questwell.recipes.sections import CONFIGS, config_of, read_section

NEEDED: dict[str, Values] = {
    "generate": {"seeds": 1},
    "harden": {"source": "q.jsonl"},
    "evaluate": {"benchmarks": "plain=f"},
    "train": {"data": "d.jsonl"},
    "rejudge": {"of": "run"},
    "gates": {"of": "run"},
    "recheck": {"source": "q.jsonl"},
    "selfplay": {"model": "local"},
}
FLAGS: dict[str, list[str]] = {
    "index": ["--embedder", "onnx:models/é\\"],
    "serve": ["--port", "8123"],
    "generate": ["-n", "7", "--headers", "X-Title=$TITLE", "--roles", "judge.omit=stop", "--extra", '{"a": [1, null]}'],
    "harden": ["-n", "7", "--band", "0.2..0.6", "--gates", "evidence,unique", "--max-cost", "0.00001"],
    "gates": ["--gates", "evidence,unique", "--rejected"],
    "rejudge": ["--judge", "openai:gpt-5", "--rejected"],
    "recheck": ["--attempts", "3", "--max-minutes", "2.5"],
    "dataset": ["--split", "train:90,dev:10", "--exports", "trl,beir", "--drop-overlaps"],
    "evaluate": ["--mode", "rag", "--where", "type=bridge,level=hard"],
    "train": ["--steps", "7", "--algorithm", "reinforce"],
    "selfplay": ["-n", "7", "--order", "joint"],
}
"""Of each verb some flags that are not at their defaults: tables, nulls, lists, enums, tiny numbers, a backslash."""


def needed(verb: str) -> dict[str, object]:
    """What the config of `verb` cannot do without."""
    corpus = {"corpus": "islands"} if "corpus" in config_of(verb).model_fields else {}
    return {**corpus, **NEEDED.get(verb, {})}


def questwell(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, list(arguments))


def test_init_writes_a_file_that_changes_nothing_until_it_is_edited(tmp_path: Path) -> None:
    file = tmp_path / "questwell.toml"
    assert questwell("init", str(file)).exit_code == 0
    assert tomllib.loads(file.read_text()) == {"corpus": "islands", "llm": "mock", **{verb: {} for verb in CONFIGS}}
    assert questwell("init", "--print").stdout == file.read_text()
    again = questwell("init", str(file))
    assert again.exit_code == 2 and "already exists" in again.output


@pytest.mark.parametrize("verb", CONFIGS)
def test_every_key_stands_in_it_with_its_meaning_and_its_default(verb: str, tmp_path: Path) -> None:
    config: type[RecipeConfig] = config_of(verb)
    text = questwell("init", "--print").stdout
    own = text.partition(f"\n[{verb}]\n")[2].split("\n\n\n[")[0]
    (tmp_path / "all.toml").write_text(re.sub(r"^# (\w+ = )", r"\1", own, flags=re.M), encoding="utf-8")
    values = read_toml(tmp_path / "all.toml")
    with_default = {
        key for key, field in config.model_fields.items() if not field.is_required() and field.default is not None
    }
    assert set(values) == with_default
    assert resolve(config, values, needed(verb)) == resolve(config, needed(verb))
    words = " ".join(re.sub(r"^#", "", own, flags=re.M).split())
    assert [
        key for key, field in config.model_fields.items() if " ".join((field.description or "?").split()) not in words
    ] == []


def test_every_verb_with_keys_reads_a_config_file_and_prints_its_config() -> None:
    options = {verb: {flag for one in load(verb).params for flag in one.opts} for verb in VERBS}
    assert set(CONFIGS) == set(FLAGS) <= set(VERBS)
    for verb, flags in options.items():
        assert ({"--config", "--print-config"} <= flags) == (verb in CONFIGS), verb
    for verb in CONFIGS:
        keys = {f"--{key.replace('_', '-')}" for key in config_of(verb).model_fields}
        assert keys <= options[verb], verb


@pytest.mark.parametrize("verb", CONFIGS)
def test_what_is_printed_is_read_back_as_the_same_config(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = [part for key, value in needed(verb).items() for part in (f"--{key.replace('_', '-')}", str(value))]
    printed = questwell(verb, *asked, *FLAGS[verb], "--print-config")
    assert printed.exit_code == 0, printed.output
    assert list(tmp_path.iterdir()) == []
    file = tmp_path / "one.toml"
    file.write_text(printed.stdout, encoding="utf-8")
    assert tomllib.loads(printed.stdout).keys() == {verb}
    again = questwell(verb, "--config", str(file), "--print-config")
    assert (again.exit_code, again.stdout) == (0, printed.stdout)
    read = resolve(config_of(verb), read_section(file, verb))
    assert section(verb, read) == printed.stdout
    assert read != resolve(config_of(verb), needed(verb))  # the flags are in it
    for key in config_of(verb).model_fields:
        value = getattr(read, key)
        assert f"\n# {key} =\n" in printed.stdout if value is None else f"\n{key} = " in printed.stdout, key


def test_the_config_of_a_run_is_printed_with_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))
    run = str(tmp_path / "run")
    given = ("--corpus", "islands", "--llm", "mock", "-n", "2", "--steps", "2..2")
    assert questwell("generate", *given, "--out", run).exit_code == 0
    found = tomllib.loads(questwell("resume", run, "--max-cost", "3", "--print-config").stdout)["generate"]
    assert (found["steps"], found["seeds"], found["max_cost"]) == ("2..2", 2, 3.0)
    # Without it the config is that of a run to come.
    new = questwell("generate", *given, "--steps", "3..3", "--out", run, "--print-config")
    assert tomllib.loads(new.stdout)["generate"]["steps"] == "3..3"


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"": None},
        {"a": {"b": [1, None]}, "c": True},
        {"a b": [1, 2.5, -1e-300, 1e300, "x"], 'é."\\': {"y": [[], {}, False]}},
        {"controls": "".join(map(chr, range(0x20))) + "\x7f\x85\u2028😀"},
    ],
)
def test_any_table_is_written_so_that_toml_reads_it(extra: dict[str, object]) -> None:
    values = {"extra": extra, "roles": {"judge": {"extra": extra, "omit": ["a", "b"]}}}
    config = resolve(ModelConfig, values)
    assert resolve(ModelConfig, tomllib.loads(section("x", config))["x"]) == config


def test_runs_lists_what_a_folder_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))
    for name in ("a", "b"):
        given = ("--corpus", "islands", "--llm", "mock", "-n", "2", "--out", str(tmp_path / "runs" / name))
        assert questwell("generate", *given).exit_code == 0
    shown = questwell("runs", str(tmp_path / "runs"))
    assert shown.exit_code == 0 and len(shown.stdout.splitlines()) == 2
    assert "generate  a: " in shown.stdout and "$0" in shown.stdout
    told = json.loads(questwell("runs", str(tmp_path / "runs"), "--json").stdout)
    assert {one["run"]["name"] for one in told} == {"a", "b"}
    assert questwell("runs", str(tmp_path / "home")).exit_code == 1
