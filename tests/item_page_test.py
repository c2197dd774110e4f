"""An item's page: what became of it comes first, an edit voids what is below, and nothing that was thought is lost."""

import asyncio
from html import unescape
from pathlib import Path

import pytest
import view_world
import world
from starlette.testclient import TestClient

from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.generate import recheck as recipe
from questwell.recipes.reports.funnel import WHY
from questwell.recipes.reports.rechecked import recheck_of
from questwell.recipes.reports.reviewing import review, reviews_by_seed
from questwell.recipes.reports.story import judge_said, story, turns_of
from questwell.store.reader import RunReader
from questwell.store.records import Play, PlayStatus, RunInfo
from questwell.store.run import RunStore
from questwell.types.game import Judgement, Label, Reason
from questwell.types.review import Decision
from questwell.types.trajectory import Reading, Role, StopReason, Style, Trajectory, Turn
from questwell.view.app import make_app
from questwell.view.export import export_page
from questwell.view.site import Site, templates


@pytest.fixture
def run(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    llm = ScriptedLLM(world.play)
    monkeypatch.setattr(recipe, "open_setup", lambda config, progress=None: world.setup(config, llm))
    asyncio.run(view_world.generated(library, tmp_path / "gen", steps="2..2"))
    return tmp_path / "gen"


def plays(run: Path) -> list[Play]:
    with RunReader(run) as reader:
        return reader.plays()


def edit(run: Path, seed: str, question: str, answer: str) -> None:
    told, known = story(run, seed), reviews_by_seed(run).get(seed)
    pair = (told.play.question or "", told.play.answer or "", told.rounds[-1].aliases)
    newest = known.newest if known else 0
    review(run, seed, pair, Decision.EDIT, reviewer="ann", supersedes=newest, edited=(question, answer, pair[2]))


def recheck(run: Path) -> None:
    recipe.run(recipe.configure(run / "recheck", {"source": run}), run / "recheck")


def test_an_edit_voids_the_certificate_until_it_was_tried_again(run: Path, tmp_path: Path) -> None:
    pages = TestClient(make_app(Site([run], "ann")), base_url="http://localhost")
    seed = next(play.seed_id for play in plays(run) if play.status is PlayStatus.ACCEPTED)
    before = pages.get(f"/r/gen/items/{seed}")
    assert "(void)" not in before.text and 'id="edited"' not in before.text
    edit(run, seed, "When did the bridge number 0 open, then? (version 1 target 2)", "1066")
    first = pages.get(f"/r/gen/items/{seed}", headers={"if-none-match": before.headers["etag"]}).text
    assert "Certificate of the question before the edit (void)" in first
    assert "Not tried again yet" in first
    assert "Edited by ann" in first and "<ins>" in first.partition('id="edited"')[2]
    recheck(run)
    second = pages.get(f"/r/gen/items/{seed}").text
    assert "Tried again: rejected (unsolved). 0 of 4 attempts right, never solved" in second

    edit(run, seed, "When did the bridge number 0 open, then? (version 1 target 2)", "1800")
    assert "Not tried again yet" in pages.get(f"/r/gen/items/{seed}").text  # the recheck was of another answer
    recheck(run)
    third = pages.get(f"/r/gen/items/{seed}").text
    assert "Tried again: accepted. 4 of 4 attempts right, difficulty 2" in third
    edited = third.partition('id="edited"')[2].partition("</section>")[0]
    assert "<td>Solved</td><td>4 of 4" in edited
    told = reviews_by_seed(run)[seed].decision
    assert told is not None
    found = recheck_of(run, told)
    assert found is not None and (found.accepted, found.answer) == (True, "1800")

    export_page(Site([run], ""), "gen", tmp_path / "run.html", [seed])  # made of the same parts
    assert pages.get("/").status_code == 200


def test_what_became_of_it_is_said_first_in_words(run: Path) -> None:
    pages = TestClient(make_app(Site([run], "ann")), base_url="http://localhost")
    assert set(WHY) == set(Reason)
    for play in plays(run):
        head = unescape(pages.get(f"/r/gen/items/{play.seed_id}").text.partition("Seed passage")[0])
        if play.reason is not None:
            assert f"Rejected: {WHY[play.reason]}." in head
        else:
            assert "Accepted: " in head and "attempts right, difficulty 2" in head
        assert (play.question or "") in head


def test_a_run_of_harden_is_on_the_first_page(library: Path, tmp_path: Path) -> None:
    async def begin() -> None:
        with RunStore(tmp_path / "hard") as store:
            saved = world.config(library, seeds=2).model_dump(mode="json")
            await store.begin(RunInfo("id", "2026-11-20T00:00:00+00:00", "0.1.0", saved, {}, kind="harden"))

    asyncio.run(begin())
    pages = TestClient(make_app(Site([tmp_path], "ann")), base_url="http://localhost")
    assert '<a href="/r/hard/">hard</a>' in pages.get("/").text
    assert pages.get("/r/hard/").status_code == 200


def test_thoughts_steps_inside_documents_and_corrections_are_shown() -> None:
    turns = (
        Turn("<think>it was inline</think>well", observation="Your message held no move."),
        Turn("now", "who", (), "nothing", reasoning="it was apart"),
        Turn("", reading=Reading("doc", 2), observation="page"),
        Turn("", reading=Reading("doc", query="when"), observation="found"),
    )
    told = turns_of(Trajectory(Role.SOLVER, Style.FREE, turns, StopReason.FINISHED))
    assert [(one.thought, one.text, one.told) for one in told[:2]] == [
        ("it was inline", "well", "Your message held no move."),
        ("it was apart", "now", ""),
    ]
    made = templates().from_string('{% import "macros.html" as m %}{{ m.turns(turns, []) }}').render(turns=told)
    for words in ("it was inline", "it was apart", "told: Your message held no move.", "read page 2 of doc"):
        assert words in made
    assert "read what fits <q>when</q> of doc" in made


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ('{ "verdict": "no" }', ""),
        ('{"verdict": "no", "reason": "another year"}', "reason: another year"),
        ("[1, 2]", "[1, 2]"),
        ("  It names another year.\n", "It names another year."),
        ("[" * 10_000, "[" * 10_000),
    ],
)
def test_a_judge_that_only_repeats_its_verdict_says_nothing(reason: str, said: str) -> None:
    assert judge_said(Judgement(Label.WRONG, "llm", reason)) == said
