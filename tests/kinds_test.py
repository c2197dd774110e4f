"""`status`, `show` and `resume` of a run of every verb: each has a page, or says what to read instead."""

import asyncio
import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import world
from opening_test import FINGERPRINT, GIVEN, KINDS, begin
from typer.testing import CliRunner, Result

from questwell.cli.app import app
from questwell.cli.kinds import PAGES
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.generate import recheck
from questwell.recipes.reports.labels import KIND as LABELS
from questwell.recipes.reports.runs import Kind as Listed
from questwell.recipes.runs import description
from questwell.recipes.runs.config import RecipeConfig
from questwell.recipes.runs.opening import Kind
from questwell.store.records import RunInfo
from questwell.store.run import RunStore

ALL: list[Kind[RecipeConfig]] = [*KINDS, LABELS]  # type: ignore[list-item]
GIVEN["labels"] = {"llm": "m"}


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "300"})
    assert result.exit_code == code, result.output
    return result


def test_every_verb_that_leaves_a_run_has_its_pages() -> None:
    assert set(PAGES) == {kind.name for kind in ALL} == set(Listed)
    for pages in PAGES.values():
        for name in (pages.status, pages.show):
            module, function = name.split(":")
            assert callable(getattr(importlib.import_module(f"questwell.cli.{module}"), function))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
async def test_a_run_that_has_only_begun_has_its_pages_too(kind: Kind[RecipeConfig], tmp_path: Path) -> None:
    run = tmp_path / "run"
    await begin(kind, run)
    info = description.read(run)
    assert info is not None
    if kind.name == "evaluate":  # its table needs a judge
        return
    assert info.run_id in call("status", run).stdout
    assert json.loads(call("status", run, "--json").stdout)["info"]["kind"] == kind.name
    assert "Nobody writes the run now." in call("status", run, "--watch").stdout
    listed = call("runs", tmp_path).stdout
    assert f"{kind.name}  " in listed and "run: " in listed
    if kind.name == "labels":
        assert "questwell status" in call("show", run, code=2).stderr
        assert "questwell status RUN --report FOLDER --label-llm MODEL" in call("resume", run, code=2).stderr
        return
    assert "yet" in call("show", run).stdout
    assert json.loads(call("show", run, "--json").stdout) == []


async def test_a_run_of_a_verb_to_come_is_not_read_as_another(tmp_path: Path) -> None:
    await begin(ALL[0], tmp_path)
    with RunStore(tmp_path) as store:
        info = store.read.info()
        assert info is not None
        await store.begin(replace(info, kind="ponder"))
    for verb in ("status", "show", "resume"):
        assert "a run of ponder, which this version does not know" in call(verb, tmp_path, code=1).stderr


def saved(run: Path, change: Callable[[RunInfo], RunInfo]) -> None:
    """Change what a run says that it is."""

    async def change_it() -> None:
        with RunStore(run) as store:
            info = store.read.info()
            assert info is not None
            await store.begin(change(info))

    asyncio.run(change_it())


def as_older(info: RunInfo, library: Path) -> RunInfo:
    """A recheck as older versions saved it: a run of generate, with all keys of generate, without what it tried."""
    assert isinstance(info.config, dict) and info.kind == "recheck"
    older = world.config(library, items=1).model_dump(mode="json")
    kept = {key: value for key, value in info.config.items() if key in older}
    return replace(info, kind="generate", config={**older, **kept})


def test_an_older_recheck_is_read_and_says_how_it_goes_on(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = ScriptedLLM(world.play)
    monkeypatch.setattr(recheck, "open_setup", lambda config, progress=None: world.setup(config, scripted))
    path, out = tmp_path / "own.jsonl", tmp_path / "out"
    question = "When did the bridge number {} open? (version 0 target 2)"
    rows = [{"question": question.format(number), "answer": f"180{number}", "target": 2} for number in (0, 3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ["--corpus", library / "bridges.jsonl", "--index", library / "index", "--prompts", library / "prompts"]
    command = ["recheck", path, "--out", out, *given, "--llm", "scripted@http://localhost:1/v1"]
    assert "Tried 1, accepted 1" in call(*command, "--limit", 1, "--concurrency", 1, code=3).stdout
    assert "Tried 2, accepted 1" in call("resume", out).stdout
    paid = len(scripted.requests)
    assert "never solved" not in call("show", out).stdout
    status = call("status", out).stdout
    assert "Funnel" in status and status.count(" 0 ") >= 1
    assert "s00000001" in call("show", out, "s00000001").stdout

    saved(out, lambda info: as_older(info, library))
    assert "solve rate 100 %" in call("show", out).stdout
    assert json.loads(call("status", out, "--json").stdout)["info"]["kind"] == "recheck"
    assert "give its command again" in call("resume", out, code=2).stderr
    refused = call("generate", "--resume", "--out", out, code=2).stderr
    assert "contains a run of recheck, not of generate" in refused
    assert "Tried 2, accepted 1" in call(*command).stdout
    assert "Tried 2, accepted 1" in call("resume", out).stdout  # now it has saved what it tries
    assert len(scripted.requests) == paid


def test_there_is_a_given_for_each(tmp_path: Path) -> None:
    assert FINGERPRINT and set(GIVEN) == {kind.name for kind in ALL}
    for verb in ("status", "show", "resume"):
        assert "there is no run in" in call(verb, tmp_path, code=1).stderr
