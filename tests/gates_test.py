"""Gates over a finished run: the same results as in the run, nothing paid twice, the run unchanged."""

import asyncio
import json
from pathlib import Path

import pytest
import world
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.errors import ConfigChanged, ConfigError, LLMUnavailable, StoreError
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.generate import gates as recipe
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.gates import GatesReport, check_run
from questwell.recipes.generate.gates import configure as configure_gates
from questwell.recipes.generate.gates_config import GatesConfig
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.generate.setup import Setup
from questwell.recipes.reports.story import story
from questwell.recipes.runs.caller import IndexProgress
from questwell.recipes.runs.config import resolve
from questwell.store.reader import FILE_NAME
from questwell.types.gates import Gate, GateOutcome

SEEDS = 40


@pytest.fixture
async def run(library: Path, tmp_path: Path) -> Path:
    """A run without gates."""
    return await made(library, tmp_path / "run")


async def made(library: Path, folder: Path, **given: object) -> Path:
    config = configure(folder, world.values(library, seeds=SEEDS, **given), resume=False)
    await generate(config, folder, world.setup(config))
    return folder


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> ScriptedLLM:
    scripted = ScriptedLLM(world.play)

    def opened(config: Config, index_progress: IndexProgress | None = None) -> Setup:
        return world.setup(config, scripted)

    monkeypatch.setattr(recipe, "open_setup", opened)
    return scripted


def check(run: Path, out: Path, gates: str = "closed-book,evidence,shortcut,unique", **given: object) -> GatesReport:
    return check_run(configure_gates(out, {"of": run, "gates": gates, **given}), out)


async def test_the_same_results_as_gates_in_the_run(library: Path, run: Path, llm: ScriptedLLM, tmp_path: Path) -> None:
    gated = await made(library, tmp_path / "gated", gates="closed-book,evidence,shortcut,unique")
    before = (run / FILE_NAME).read_bytes()
    report = await _thread(check, run, tmp_path / "out")
    assert report.questions == len(report.checked) >= 10
    for one in report.checked:
        in_run = story(gated, one.id).rounds[-1].gates
        assert one.results[: len(in_run)] == in_run
        assert len(one.results) == 4  # all are asked, so that each has its own count
        assert one.stopped is (in_run[-1].outcome is not GateOutcome.PASSED)
    assert report.stopped == sum(one.stopped for one in report.checked) > 0
    for row in report.gates:
        assert sum(row.outcomes.values()) == report.questions
        assert row.alone <= report.questions - row.outcomes[GateOutcome.PASSED]
    assert (run / FILE_NAME).read_bytes() == before
    asked = len(llm.requests)
    assert await _thread(check, run, tmp_path / "out") == report
    assert len(llm.requests) == asked


async def _thread(call, *given):
    return await asyncio.to_thread(call, *given)


async def test_an_interrupted_check_goes_on(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def flaky(request: Request) -> Completion:
        asked.append(request.digest())
        if len(asked) > 30:
            raise KeyboardInterrupt
        return world.play(request)

    for script in (flaky, world.play):
        monkeypatch.setattr(recipe, "open_setup", lambda c, w=None, s=script: world.setup(c, ScriptedLLM(s)))
        if script is flaky:
            with pytest.raises(KeyboardInterrupt):
                check_run_now(run, tmp_path / "out")
    whole = await _thread(check, run, tmp_path / "whole")
    assert await _thread(check, run, tmp_path / "out") == whole


def check_run_now(run: Path, out: Path) -> None:
    import threading

    failed: list[BaseException] = []

    def go() -> None:
        try:
            check(run, out)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    raise failed[0]


async def test_failures_are_no_pass_and_another_model_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = ScriptedLLM(lambda request: LLMUnavailable("down"))
    monkeypatch.setattr(recipe, "open_setup", lambda c, w=None: world.setup(c, down))
    report = await _thread(check, run, tmp_path / "out")
    assert report.stopped == report.questions
    assert {row.gate: row.outcomes for row in report.gates}[Gate.EVIDENCE] == {GateOutcome.ERRORED: report.questions}
    other = ScriptedLLM(world.play, name="another")
    monkeypatch.setattr(recipe, "open_setup", lambda c, w=None: world.setup(c, other))
    with pytest.raises(ConfigChanged, match="solver model"):
        await _thread(check, run, tmp_path / "out")


async def test_another_index_is_searched_only_when_asked_for(
    library: Path, run: Path, llm: ScriptedLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "bridges.jsonl"
    changed.write_text((library / "bridges.jsonl").read_text().replace("river", "sea"))

    def opened(config: Config, index_progress: IndexProgress | None = None) -> Setup:
        return world.setup(config.model_copy(update={"corpus": str(changed), "index": tmp_path / "index"}), llm)

    monkeypatch.setattr(recipe, "open_setup", opened)
    with pytest.raises(ConfigChanged, match="shortcut and unique would search it"):
        await _thread(check, run, tmp_path / "out")
    assert (await _thread(check, run, tmp_path / "out", "closed-book,evidence")).questions > 5
    assert (await asyncio.to_thread(check, run, tmp_path / "out", any_index=True)).questions > 5


async def test_the_command(run: Path, llm: ScriptedLLM, tmp_path: Path) -> None:
    def call(*arguments: object):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    shown = await _thread(call, "gates", run)
    assert shown.exit_code == 0, shown.output
    assert "stopped" in shown.stdout and "closed-book" in shown.stdout and "are rejected by" in shown.stdout
    told = await _thread(call, "gates", run, "--gates", "evidence", "--rejected", "--json", "--out", tmp_path / "out")
    report = json.loads(told.stdout)
    assert [row["gate"] for row in report["gates"]] == ["evidence"]
    assert {one["accepted"] for one in report["checked"]} == {True, False}
    refused = await _thread(call, "gates", run, "--gates", "evidense")
    assert refused.exit_code == 2 and "did you mean 'evidence'" in refused.stderr


def test_gates_by_name() -> None:
    chosen = resolve(GatesConfig, {"gates": " unique, closed-book ,unique"})
    assert chosen.gates == (Gate.UNIQUE, Gate.CLOSED_BOOK)
    for text in ("", " , ", "shortcuts!"):
        with pytest.raises(ConfigError):
            resolve(GatesConfig, {"gates": text})


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        check(tmp_path, tmp_path / "out")


async def test_a_dead_endpoint_ends_the_check_early_and_it_goes_on_later(
    library: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*arguments: object):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    def opened(script: object):
        return lambda c, w=None: world.setup(c, ScriptedLLM(script))  # type: ignore[arg-type]

    monkeypatch.setattr(recipe, "open_setup", opened(lambda request: LLMUnavailable("no route")))
    out = tmp_path / "out"
    failing = await _thread(call, "gates", run, "--out", out, "--max-errors", 3, "--concurrency", 1, "--json")
    assert failing.exit_code == 3
    report = json.loads(failing.stdout)
    assert (report["questions"], report["ended"]["ending"]) == (3, "failing") and report["of"] >= 10
    assert "3 questions in a row errored" in report["ended"]["message"]

    monkeypatch.setattr(recipe, "open_setup", opened(world.play))
    few = await _thread(call, "gates", run, "--out", out, "--limit", 4)
    assert few.exit_code == 3 and f"Go on: questwell resume {out}" in few.stdout, few.output
    spent = await _thread(call, "gates", run, "--out", out, "--max-tokens", 1)
    assert spent.exit_code == 4 and "max_tokens = 1 is used up" in spent.stdout
    rest = await _thread(call, "resume", out, "--max-tokens", 10**9, "--json")
    assert rest.exit_code == 0, rest.output
    whole = json.loads((await _thread(call, "gates", run, "--out", tmp_path / "whole", "--json")).stdout)
    assert json.loads(rest.stdout)["checked"] == whole["checked"]

    stands = json.loads((await _thread(call, "status", out, "--json")).stdout)
    assert (stands["questions"], stands["stopped"], stands["gates"]) == (whole["of"], whole["stopped"], whole["gates"])
    assert stands["ledger"]["total"]["calls"] > 0
    shown = (await _thread(call, "status", out)).stdout
    assert f"gates over the run {whole['run_id']} in {run}" in shown and "Model calls" in shown
    listed = json.loads((await _thread(call, "show", out, "--json")).stdout)
    assert listed == whole["checked"]
    one = (await _thread(call, "show", out, whole["checked"][0]["id"])).stdout
    assert one.count("closed-book") == 1 and whole["checked"][0]["question"] in one
    missing = await _thread(call, "show", out, "s09999")
    assert missing.exit_code == 1 and "no result of 's09999'" in missing.stderr
