"""Kinds of question in a run: drawn, checked, steered, and shown side by side."""

import asyncio
import json
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests import world
from typer.testing import CliRunner

from questwell.agents import form
from questwell.agents.calls import tools
from questwell.agents.kinds import kind_problem
from questwell.agents.moves import Finish
from questwell.agents.prompts import Prompts
from questwell.agents.proposer import proposal_of
from questwell.agents.protocol import Functions, Tags
from questwell.agents.tools import Shelf
from questwell.cli.app import app
from questwell.errors import ConfigError
from questwell.games.seeds import parse_kinds
from questwell.llm.client import Completion, Message, Request
from questwell.llm.gallery.mock import MockLLM
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.reports.items import items
from questwell.recipes.reports.status import status
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.ending import Ending
from questwell.retrieval.corpora.islands import read_islands
from questwell.store.reader import RunReader
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType, Proposal, QuestionKind, Reason, Seed
from questwell.types.trajectory import Role, StopReason, Style, Trajectory
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
    return (await generate(config, run, world.setup(config, ScriptedLLM(chains_only)), Caller(resume=resume))).ending


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


ANY = Seed(0, Passage("s", "", "", "s"), 2, AnswerType.ENTITY, other_types=(AnswerType.NUMBER, AnswerType.DATE))
PAGES = tuple(Passage(one.id, one.title, one.text, one.id) for one in read_islands())
NOTHING = Trajectory(Role.PROPOSER, Style.FREE, (), StopReason.FINISHED)


def scripted(kind: QuestionKind, *, functions: bool) -> Proposal:
    """What the scripted player proposes over the islands when it is asked for `kind`, read as any proposer's."""
    shelf = Shelf(PAGES)
    opening = Prompts().messages(f"kind_{kind.value}")[0].content
    listed = "\n".join(f"[{shelf.number(one)}] {one.title}: {one.text}" for one in PAGES)
    asked = (Message("user", f"Your question: x\n{listed}\nYour work:\nNeeded: 3 steps\n{opening}"),)
    said = asyncio.run(MockLLM().complete(Request(asked, tools=tools(proposing=True) if functions else ())))
    dialect = Functions(proposing=True) if functions else Tags(proposing=True)
    move = dialect.read(said)[1]
    assert isinstance(move, Finish), move
    return proposal_of(move, shelf, NOTHING)


@pytest.mark.parametrize("functions", [False, True])
@pytest.mark.parametrize("kind", QuestionKind)
def test_the_check_of_a_kind_takes_the_scripted_players_pair_and_those_of_other_kinds_not(
    kind: QuestionKind, functions: bool
) -> None:
    pair = scripted(kind, functions=functions)
    assert form.problem(pair.question, pair.answer, ANY, pair.evidence, pair.derivation) is None
    good = {other for other in QuestionKind if kind_problem(other, pair) is None}
    # A chain with a time is a bridge too; facts that are put together and are all years are temporal too.
    also = {QuestionKind.BRIDGE} if kind is QuestionKind.TEMPORAL else set[QuestionKind]()
    if pair.derivation is not None and all(1000 <= int(one.value) < 2200 for one in pair.derivation.operands):
        also = {QuestionKind.TEMPORAL}
    assert good == {kind, *also}


def test_the_scripted_player_plays_every_kind_and_each_page_shows_wanted_and_got(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))
    run, kinds = tmp_path / "run", ",".join(QuestionKind)
    given = ["--corpus", "islands", "--llm", "mock", "--kinds", kinds, "--wave", "8", "--steps", "2..4"]
    done = CliRunner().invoke(app, ["generate", *given, "-n", "24", "--out", str(run)])
    assert done.exit_code == 0, done.output
    made = Counter(one.kind for one in items(run))
    assert set(made) == set(QuestionKind)
    status_lines = CliRunner().invoke(app, ["status", str(run)]).stdout.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in status_lines if line.split()[:1] and line.split()[0] in made}
    total = made.total()
    assert {kind: (row[0], row[2], int(row[4])) for kind, row in rows.items()} == {
        kind: ("20", f"{100 * count / total:.0f}", count) for kind, count in made.items()
    }
    assert sum(int(row[5]) for row in rows.values()) == 24
    told = json.loads(CliRunner().invoke(app, ["status", str(run), "--json"]).stdout)["kinds"]
    assert {row["kind"]: (row["wanted"], row["items"]) for row in told} == {
        kind: (pytest.approx(0.2), count) for kind, count in made.items()
    }
    page = TestClient(make_app(Site([run], "ann")), base_url="http://localhost").get("/r/run/").text
    assert all(f"<td>{kind}</td>" in page.partition("Kinds of question")[2] for kind in made)


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
