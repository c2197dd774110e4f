"""How a derived answer was worked out is told wherever an item is: `show`, the page, both formats of an export."""

import json
from pathlib import Path

import pytest
import world
from starlette.testclient import TestClient
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.llm.client import Completion
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.dataset.export import read_items
from questwell.recipes.generate import recheck as recipe
from questwell.recipes.reports.items import Edited, Policy, items
from questwell.recipes.reports.reviewing import review
from questwell.store.reader import RunReader
from questwell.store.records import RunInfo, WaveSeed
from questwell.store.run import RunStore
from questwell.types.corpus import Passage
from questwell.types.derivation import Derivation, Operand, Operation
from questwell.types.game import (
    Accepted,
    AnswerType,
    Attempt,
    Judgement,
    Label,
    Outcome,
    Proposal,
    Round,
    Seed,
    Verdict,
)
from questwell.types.review import Decision
from questwell.types.trajectory import Role, StopReason, Style, Trajectory
from questwell.view.access import Access
from questwell.view.app import make_app
from questwell.view.site import Site

DAM = Passage("p1", "Pellgrin Dam", "The Pellgrin Dam was built in 1936.", "d1")
PIER = Passage("p2", "Ostia Pier", "The pier was ended in 1931.", "d2")
DERIVED = Derivation(Operation.DIFFERENCE, (Operand("1936", "p1"), Operand("1931", "p2")))


def proposal(question: str, derivation: Derivation | None) -> Proposal:
    trajectory = Trajectory(Role.PROPOSER, Style.FREE, (), StopReason.FINISHED)
    return Proposal(question, "5", (), (), (DAM, PIER), trajectory, derivation)


@pytest.fixture
async def run(library: Path, tmp_path: Path) -> Path:
    """One item with a derived answer, and one with a copied one."""
    folder = tmp_path / "run"
    saved = world.config(library, seeds=2).model_dump(mode="json")
    names = ("index snapshot", "proposer model", "solver model", "judge model", "prompts")
    right = Attempt(
        0, Trajectory(Role.SOLVER, Style.FREE, (), StopReason.FINISHED, "5"), Judgement(Label.RIGHT, "exact_match")
    )
    with RunStore(folder) as store:
        await store.begin(RunInfo("id", "2026-11-20T00:00:00+00:00", "0.1.0", saved, dict.fromkeys(names, "x")))
        for index, derivation in enumerate((DERIVED, None)):
            seed = Seed(index, DAM, 2, AnswerType.NUMBER)
            await store.add_seeds([WaveSeed(seed, 0)])
            verdict = Verdict(Outcome.PASS, 1, 1, 2, 0)
            played = Round(0, proposal(f"How many years, {index}?", derivation), (right,), verdict)
            await store.finish(Accepted(seed, (played,)), played.proposal.question)
    return folder


def test_show_prints_the_operation_and_each_fact_with_its_passage(run: Path) -> None:
    shown = CliRunner().invoke(app, ["show", str(run), "0"]).stdout
    assert "Derived: difference of 2 facts" in shown
    assert "fact 1: 1936 (Pellgrin Dam [p1])" in shown
    assert "fact 2: 1931 (Ostia Pier [p2])" in shown
    assert "Derived" not in CliRunner().invoke(app, ["show", str(run), "1"]).stdout
    told = json.loads(CliRunner().invoke(app, ["show", str(run), "0", "--json"]).stdout)
    facts = [{"span": "1936", "passage_id": "p1", "title": "Pellgrin Dam"},
             {"span": "1931", "passage_id": "p2", "title": "Ostia Pier"}]  # fmt: skip
    assert told["rounds"][0]["derivation"] == {"operation": "difference", "operands": facts}


def test_the_items_page_has_it(run: Path) -> None:
    pages = TestClient(make_app(Site([run.parent], "ann"), Access(page_token="page")), base_url="http://localhost:8642")
    derived, copied = (pages.get(f"/r/run/items/s{index}").text for index in range(2))
    assert "Derived: difference of 2 facts" in derived
    for span, title in (("1936", "Pellgrin Dam"), ("1931", "Ostia Pier")):
        assert f'<li><span class="answer">{span}</span> <small>{title}</small></li>' in derived
    assert copied.startswith("<!") and "Derived:" not in copied


@pytest.mark.parametrize("format_", ["jsonl", "parquet"])
def test_an_export_has_it_and_reads_it_again(run: Path, tmp_path: Path, format_: str) -> None:
    out = tmp_path / f"items.{format_}"
    result = CliRunner().invoke(app, ["export", str(run), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert [item.derivation for item in read_items(out)] == [DERIVED, None]
    if format_ == "jsonl":
        operands = [{"span": "1936", "passage_id": "p1"}, {"span": "1931", "passage_id": "p2"}]
        first, second = (json.loads(line)["derivation"] for line in out.read_text().splitlines())
        assert (first, second) == ({"operation": "difference", "operands": operands}, None)


@pytest.mark.parametrize(("answer", "kept"), [("5", DERIVED), ("6", None)])
def test_an_edited_answer_is_no_longer_derived(
    run: Path, answer: str, kept: Derivation | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit of the question alone keeps how the answer was worked out; so does its recheck."""
    answers = ScriptedLLM(lambda request: Completion("<answer>5</answer>", "scripted"))
    monkeypatch.setattr(recipe, "open_setup", lambda config, progress=None: world.setup(config, answers))
    pair = ("How many years, 0?", "5", ())
    edited = ("How many years lie between the two?", answer, ())
    review(run, "s00000000", pair, Decision.EDIT, reviewer="ann", supersedes=0, edited=edited)
    (first, _) = items(run, Policy(edited=Edited.AS_IS))
    assert (first.answer, first.derivation) == (answer, kept)
    recipe.run(recipe.configure(run / "recheck", {"source": run}), run / "recheck")
    with RunReader(run / "recheck") as again:
        outcome = again.outcome(0)
    assert outcome is not None
    assert outcome.rounds[-1].proposal.derivation == kept
