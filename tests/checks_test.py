"""Gates and the weak solver in a run: feedback, resume, what they took, and where a user sees them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests import world
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.errors import ConfigError
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.generate.preview import preview
from questwell.recipes.reports.items import items
from questwell.recipes.reports.status import status
from questwell.recipes.reports.story import story
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.ending import Ending
from questwell.scoring.intervals import wilson
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus
from questwell.store.run import RunStore
from questwell.types.game import FeedbackKind, Reason
from questwell.types.trajectory import Role
from questwell.view.app import make_app
from questwell.view.site import Site


def version(request: Request) -> int:
    return int("(version 0" not in request.messages[-1].content)


def knows_the_first(request: Request) -> Completion:
    """A model that knows the answer of each first question by heart, as a gate asks it and as a weak solver."""
    system, *_, last = (message.content for message in request.messages)
    year = world.YEAR + int(last.split("number ")[1].split()[0]) if "number " in last else 0
    text = None
    if "ROLE recall" in system:
        text = json.dumps({"answer": "unknown" if version(request) else str(year)})
    if "ROLE weak" in system:
        text = "<answer>1066" if version(request) else f"<answer>{year}"
    return world.play(request) if text is None else replace(world.play(request), text=text)


async def play(library: Path, run: Path, llm: ScriptedLLM, *, resume: bool = False, **given: object) -> Ending:
    config = configure(run, world.values(library, **({} if resume else {"seeds": 6}), **given), resume=resume)
    return (await generate(config, run, world.setup(config, llm), Caller(resume=resume))).ending


@pytest.mark.parametrize(
    ("given", "kind", "reason"),
    [
        ({"gates": "closed-book"}, FeedbackKind.GATE, Reason.CLOSED_BOOK),
        ({"weak": "closed-book"}, FeedbackKind.WEAK, Reason.WEAK_SOLVED),
    ],
)
async def test_what_is_stopped_comes_back_mended_and_a_resume_pays_nothing_twice(
    library: Path, tmp_path: Path, given: dict[str, object], kind: FeedbackKind, reason: Reason
) -> None:
    once, again = tmp_path / "once", tmp_path / "again"
    assert await play(library, once, ScriptedLLM(knows_the_first), rounds=0, **given) is Ending.COMPLETE
    assert status(once).funnel.rejected[reason] >= 1 and status(once).funnel.accepted == 0

    llm = ScriptedLLM(knows_the_first)
    assert await play(library, again, llm, **given) is Ending.COMPLETE
    assert reason not in status(again).funnel.rejected
    with RunReader(again) as run:
        known = [one for one in run.plays() if one.status is PlayStatus.ACCEPTED]
        usage = run.usage_by_seed()
        calls = {one.seed_id: len(run.answers(one.seed_id)) for one in known}
    kinds = [round_.feedback.kind for one in known for round_ in story(again, one.seed_id).rounds if round_.feedback]
    assert kind in kinds
    made = len(llm.requests)
    await play(library, again, llm, resume=True)
    assert len(llm.requests) == made
    for one in known:  # searches are calls too, and cost nothing here
        assert 0 < usage[one.seed_id].calls < calls[one.seed_id]
        assert usage[one.seed_id].cost_usd == pytest.approx(0.001 * usage[one.seed_id].calls)
    assert sum(usage[name].calls for name in usage) == made == status(again).spending.total.calls


async def test_a_weak_solver_has_a_line_of_cost_a_rate_in_the_certificate_and_a_place_on_the_page(
    library: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    await play(library, run, ScriptedLLM(knows_the_first), weak="closed-book", weak_attempts=3)
    roles = {row.role: row.usage.calls for row in status(run).spending.by_role}
    assert roles[Role.WEAK] >= 3
    first = next(one for one in items(run) if story(run, one.id.rpartition("-")[2]).rounds[0].weak_verdict)
    assert first.certificate is not None and first.certificate.weak_solve_rate == wilson(0, 3)
    shown = story(run, first.id.rpartition("-")[2])
    assert len(shown.rounds[-1].weak_attempts) == 3
    told = CliRunner().invoke(app, ["show", str(run), shown.id]).stdout
    assert "Weak attempt 0: right in 0 searches" in told and "Weak solver: stopped: 1 right of 1 scored" in told
    assert "Weak solver: passed: 0 right of 3 scored" in told and "Solved by the weak solver: 0 of 3 (0 to" in told
    page = TestClient(make_app(Site([run], "ann")), base_url="http://localhost").get(f"/r/run/items/{shown.id}").text
    sides = page.partition('id="r1"')[2].partition('class="sides"')[2].partition("</section>")[0]
    strong, weak = sides.split("<h3>Weak solver</h3>")
    assert "<h3>Solver</h3>" in strong and "Attempt 0:" in strong and "Weak attempt" not in strong
    assert weak.count("Weak attempt") == 3 and "0 right of 3 scored" in weak
    assert "weak (scripted)" in CliRunner().invoke(app, ["status", str(run)]).stdout


async def test_a_run_that_is_older_than_feedback_by_gates_goes_on_without(library: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    await play(library, run, ScriptedLLM(knows_the_first), gates="closed-book", gate_feedback=False)
    with RunReader(run) as reader:
        info = reader.info()
    assert info is not None and isinstance(info.config, dict)
    with RunStore(run) as store:
        older = {key: value for key, value in info.config.items() if key != "gate_feedback"}
        await store.begin(replace(info, config=older))
    before = status(run).funnel
    assert await play(library, run, ScriptedLLM(knows_the_first), resume=True, seeds=12) is Ending.COMPLETE
    after = status(run).funnel
    assert after.rejected[Reason.CLOSED_BOOK] > before.rejected[Reason.CLOSED_BOOK]
    kinds = [one.feedback and one.feedback.kind for number in range(12) for one in story(run, str(number)).rounds]
    assert FeedbackKind.GATE not in kinds


def test_a_weak_solver_that_is_the_solver_is_refused(library: Path) -> None:
    with pytest.raises(ConfigError, match="--weak-llm"):
        world.config(library, seeds=1, weak="search")
    assert world.config(library, seeds=1, weak="search", weak_llm="w@http://localhost:1/v1").weak_mode == "search"
    named = world.config(library, seeds=1, weak_llm="w@http://localhost:1/v1")
    assert named.weak_mode == "search" and Role.WEAK in named.playing
    assert Role.WEAK not in world.config(library, seeds=1).playing


def test_a_preview_counts_what_checks_may_take_in_each_round(library: Path, tmp_path: Path) -> None:
    def most(**given: object) -> int:
        config = resolve(Config, world.values(library, seeds=1, rounds=2, **given))
        return preview(config, tmp_path / "none").most_calls_per_seed

    plain, once = most(), most(gates="closed-book", gate_feedback=False)
    assert most(gates="closed-book") - plain == 3 * (once - plain)
    assert most(weak="closed-book", weak_attempts=2) - plain == 3 * 2 * (1 + 2)  # a judge may ask twice
