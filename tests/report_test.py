"""The paper's tables and charts of scripted runs."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import world
from typer.testing import CliRunner

from questwell.agents.prompts import Prompts
from questwell.cli.app import app
from questwell.errors import LLMUnavailable, StoreError
from questwell.llm.client import Completion
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.generate.loop import generate
from questwell.recipes.reports.items import items
from questwell.recipes.reports.labels import LabelConfig, label, labeller_of
from questwell.recipes.reports.report import report
from questwell.recipes.reports.status import status
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.ending import Ending
from questwell.types.trajectory import Role


async def play(library: Path, run: Path, **given: object) -> None:
    config = world.config(library, **{"seeds": 24, "early_stop": False, **given})
    await generate(config, run, world.setup(config))


async def test_tables_and_charts_of_two_variants(library: Path, tmp_path: Path) -> None:
    await play(library, tmp_path / "a")
    await play(library, tmp_path / "b", variant="initial")
    systems = await report([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    written = (tmp_path / "out" / "report.md").read_text()
    for name in (
        "pass_rate.svg",
        "funnel.svg",
        "difficulty.svg",
        "cost.svg",
        "tokens.svg",
        "documents.svg",
        "cost_over_time.svg",
        "cost_over_time_2.svg",
    ):
        assert ElementTree.parse(tmp_path / "out" / name).getroot().tag.endswith("svg")
        assert f"({name})" in written
    for system in systems:
        first = next(cell for cell in system.intrinsic if cell.target == "all" and cell.round == 0)
        passed = f"{first.passed.count}/{first.passed.of}"
        assert f"| {system.name} | all | 0 | {first.seeds} |" in written
        assert passed in written
        # Fate 3 stays too easy: one search of its own words finds the year.
        easy = system.kinds[0].too_easy
        assert system.searched
        assert easy["too specific"].count == easy["too specific"].of > 0
        assert sum(system.funnel.rejected.values()) + system.funnel.accepted == 24
    tree = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [one["variant"] for one in tree] == ["feedback", "initial"]
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    await report([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


async def test_without_a_run_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no run"):
        await report([tmp_path / "none"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


LABELS = LabelConfig(llm="scripted", sample=5)


async def test_labels_are_asked_once_and_kept(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    await play(library, run, early_stop=True)
    before, items_before = status(run), items(run)
    llm = ScriptedLLM(
        lambda request: '{"labels": ["inference"]}' if "how an agent" in request.messages[0].content else "?"
    )
    first = await label(run, LABELS, llm, Prompts(), structured=False)
    assert first.strategies["inference"].count == first.strategies["inference"].of == 5
    assert first.strategies["calculation"].count == 0
    asked = len(llm.requests)
    again = await label(run, LABELS, llm, Prompts(), structured=False)
    assert again == first
    assert len(llm.requests) == asked == 5 + first.unread
    assert status(run) == before  # labels are no part of what the run took
    assert items(run) == items_before
    shown = CliRunner().invoke(app, ["status", str(run / "labels")]).stdout
    assert f"of the run {before.info.run_id}" in shown and f"Model calls {asked}," in shown
    assert "right attempts of accepted questions: inference 100 %" in shown and "5 of 5" in shown


async def test_labels_stop_as_other_verbs_do_and_go_on(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    await play(library, run, early_stop=True)
    answer = Completion('{"labels": ["inference"]}', "m", prompt_tokens=5, completion_tokens=5)
    down, up = ScriptedLLM(lambda request: LLMUnavailable("down")), ScriptedLLM(lambda request: answer)
    few = LABELS.model_copy(update={"max_errors": 2, "concurrency": 1})
    failing = await label(run, few, down, Prompts(), structured=False, go_on="questwell status run")
    assert (failing.ended.ending, len(down.requests)) == (Ending.FAILING, 2)
    assert failing.ended.go_on == "questwell status run"
    spent = await label(run, few.model_copy(update={"max_tokens": 15}), up, Prompts(), structured=False)
    assert (spent.ended.ending, len(up.requests)) == (Ending.BUDGET, 2)
    whole = await label(run, few, up, Prompts(), structured=False)
    assert whole.ended.ending is Ending.COMPLETE
    assert whole.strategies["inference"].of == 5
    digests = [request.digest() for request in up.requests]
    assert len(digests) == len(set(digests))


def test_the_labelling_model_is_reached_by_the_options_of_the_role_judge() -> None:
    given = {
        "llm": "m@http://there/v1",
        "roles": "judge.key_env=OWN judge.omit=seed judge.timeout_s=9 judge.max_tokens=77",
    }
    config = resolve(LabelConfig, given)
    reached = config.connect_options(Role.JUDGE, 4, None)
    assert (reached.api_key_env, reached.endpoint.omit, reached.endpoint.timeout_s) == ("OWN", {"seed"}, 9)
    assert labeller_of(config, Prompts(), structured=True).max_tokens == 77
