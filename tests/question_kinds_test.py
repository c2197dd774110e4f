"""Kinds of question in a run: drawn, checked, steered, and shown side by side."""

import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests import world
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.errors import ConfigError
from questwell.games.seeds import parse_kinds
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.reports.items import items
from questwell.recipes.reports.status import status
from questwell.recipes.runs.ending import Ending
from questwell.store.reader import RunReader
from questwell.types.game import QuestionKind, Reason
from questwell.view.app import make_app
from questwell.view.site import Site


def chains_only(request: Request) -> Completion:
    """The world's model, whose pairs come as a chain of two steps, if a bridge is asked for."""
    said = world.play(request)
    first = "\n".join(message.content for message in request.messages)
    if "<steps>" not in said.text or "a bridge" not in first:
        return said
    head, _, step = said.text.partition("<steps>")
    number, year, at = (part.strip() for part in step.removesuffix("</steps>").split("|"))
    other = "[2]" if at == "[1]" else "[1]"
    chain = f"{number} | keeper Alma | {other}\nbridge of keeper Alma | {year} | {at}"
    return replace(said, text=f"{head}<steps>{chain}</steps>")


async def play(library: Path, run: Path, kinds: str, *, resume: bool = False, **given: object) -> Ending:
    given = {"seeds": 24, "wave": 8, **given}
    config = configure(run, world.values(library, kinds=kinds, **given), resume=resume)
    return (await generate(config, run, world.setup(config, ScriptedLLM(chains_only)), resume=resume)).ending


async def test_a_pair_of_another_kind_is_rejected_before_it_is_tried(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert await play(library, run, "bridge,calculation", answer_types="date,number") is Ending.COMPLETE
    with RunReader(run) as reader:
        seeds = {play.seed_id: (reader.seed(play.index).kind, play.reason) for play in reader.plays()}
        assert {reader.seed(play.index).kind for play in reader.plays()} == {
            QuestionKind.BRIDGE,
            QuestionKind.CALCULATION,
        }
        tried = {place.seed_id for place in reader.plays() if reader.outcome(place.index).rounds}  # type: ignore[union-attr]
    made = items(run)
    assert made and {one.kind for one in made} == {"bridge"}
    calculations = [name for name, (kind, _) in seeds.items() if kind is QuestionKind.CALCULATION]
    assert calculations and not tried & set(calculations)
    assert {seeds[name][1] for name in calculations} <= {Reason.WRONG_KIND, Reason.NO_MOVES, Reason.BAD_FORM}
    rows = {row.kind: row for row in status(run).kinds}
    assert rows[QuestionKind.BRIDGE].items == len(made) and rows[QuestionKind.CALCULATION].items == 0
    pages = TestClient(make_app(Site([run], "ann")), base_url="http://localhost")
    shown = pages.get("/r/run/").text.partition("Kinds of question")[2].partition("</table>")[0]
    cells = [re.findall("<td[^>]*>(.*?)</td>", row) for row in shown.split("<tr>")[2:]]
    assert cells == [
        ["bridge", "50 %", "100 %", str(len(made)), str(rows[QuestionKind.BRIDGE].seeds)],
        ["calculation", "50 %", "0 %", "0", str(rows[QuestionKind.CALCULATION].seeds)],
    ]
    assert sum(row.seeds for row in rows.values()) == 24 and rows[QuestionKind.BRIDGE].wanted == 0.5
    assert rows[QuestionKind.CALCULATION].seeds > rows[QuestionKind.BRIDGE].seeds  # what lags is tried more often
    shown = CliRunner().invoke(app, ["status", str(run)]).stdout
    assert "Kinds" in shown and "calculation" in shown and "50 %" in shown and "100 %" in shown
    first = made[0].id.rpartition("-")[2]
    assert "a question of kind bridge" in CliRunner().invoke(app, ["show", str(run), first]).stdout


async def test_a_run_in_two_parts_draws_as_in_one(library: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    await play(library, whole, "bridge:70,temporal:30")
    await play(library, parts, "bridge:70,temporal:30", seeds=8)
    assert await play(library, parts, "bridge:70,temporal:30", resume=True) is Ending.COMPLETE
    with RunReader(whole) as one, RunReader(parts) as other:
        assert [one.seed(n) for n in range(24)] == [other.seed(n) for n in range(24)]


def test_kinds_are_steered_to_their_shares() -> None:
    mix = parse_kinds("bridge:3,comparison:1")
    rng, got, tried = random.Random(1), Counter[QuestionKind](), Counter[QuestionKind]()
    for _ in range(400):
        kind = mix.draw(rng, got, tried)
        tried[kind] += 1
        got[kind] += rng.random() < (0.5 if kind is QuestionKind.BRIDGE else 0.1)
    assert 0.7 < got[QuestionKind.BRIDGE] / got.total() < 0.8
    assert tried[QuestionKind.COMPARISON] > tried[QuestionKind.BRIDGE]


@pytest.mark.parametrize(
    "text", ["bridges", "bridge,bridge", "bridge:0,temporal:1", "bridge:x", "", "bridge:2,temporal", "bridge:inf"]
)
def test_kinds_that_cannot_be(library: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="kinds"):
        world.config(library, seeds=1, kinds=text)


def test_a_staged_proposer_writes_no_kinds(library: Path) -> None:
    for given in ({"style": "staged"}, {"llm": "local"}, {"proposer_llm": "local"}):
        with pytest.raises(ConfigError, match="--style free"):
            world.config(library, seeds=1, kinds="bridge", **given)
    assert world.config(library, seeds=1, kinds="bridge", llm="local", style="free").wanted_kinds is not None
