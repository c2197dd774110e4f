"""The paper's tables and pictures of scripted runs."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import world

from questwell.agents.prompts import Prompts
from questwell.errors import StoreError
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.generate.loop import generate
from questwell.recipes.reports.labels import label
from questwell.recipes.reports.report import report
from questwell.recipes.reports.status import status


async def play(library: Path, run: Path, **given: object) -> None:
    config = world.config(library, **{"seeds": 24, "early_stop": False, **given})
    await generate(config, run, world.setup(config))


async def test_tables_and_pictures_of_two_variants(library: Path, tmp_path: Path) -> None:
    await play(library, tmp_path / "a")
    await play(library, tmp_path / "b", variant="initial")
    systems = await report([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    written = (tmp_path / "out" / "report.md").read_text()
    for name in ("pass_rate.svg", "funnel.svg", "difficulty.svg", "cost.svg", "tokens.svg"):
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


async def test_labels_are_asked_once_and_kept(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    await play(library, run, early_stop=True)
    before = status(run)
    llm = ScriptedLLM(
        lambda request: '{"labels": ["inference"]}' if "how an agent" in request.messages[0].content else "?"
    )
    first = await label(run, llm, Prompts(), structured=False, sample=5)
    assert first.strategies["inference"].count == first.strategies["inference"].of == 5
    assert first.strategies["calculation"].count == 0
    asked = len(llm.requests)
    again = await label(run, llm, Prompts(), structured=False, sample=5)
    assert again == first
    assert len(llm.requests) == asked == 5 + first.unread
    after = status(run)  # the game's own figures stay as they are, but for what was paid
    assert (after.funnel, after.intrinsic, after.spending.saved) == (
        before.funnel,
        before.intrinsic,
        before.spending.saved,
    )
    assert after.spending.total.calls == before.spending.total.calls + asked
