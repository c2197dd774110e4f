"""`questwell rejudge`: another judge of stored answers; verdicts side by side, nothing paid twice."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import world
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

from questwell.cli.app import app
from questwell.errors import ConfigChanged, ConfigError, LLMUnavailable
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import Answer, ScriptedLLM
from questwell.recipes.generate.loop import generate
from questwell.recipes.rejudge import loop as recipe
from questwell.recipes.rejudge.results import folder_of, judges_of
from questwell.recipes.reports.items import items
from questwell.recipes.reports.story import story
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.ending import Ending
from questwell.store.reader import RunReader
from questwell.types.game import Label, Outcome
from questwell.view.app import make_app
from questwell.view.site import Site

OTHER = "strict@http://localhost:1/v1"


class Judging(ScriptedLLM):
    """A judge of its own name, by whom every other question's answers are wrong."""

    name = "strict"


def strict(request: Request) -> Answer:
    first = request.messages[-1].content
    assert request.messages[0].content.startswith("ROLE judge"), request
    number = int(first.split("number ")[1].split()[0])
    said = world.play(request)
    return replace(said, text="verdict: no") if number % 2 else said


@pytest.fixture
async def run(library: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    config = world.config(library, seeds=24)
    await generate(config, folder, world.setup(config))
    return folder


def judged_by(monkeypatch: pytest.MonkeyPatch, script: object = strict) -> Judging:
    llm = Judging(script)  # type: ignore[arg-type]
    opened = recipe.open_judge

    def open_judge(config: object) -> tuple[object, object, str]:
        _, judge, prompts = opened(config)  # type: ignore[arg-type]
        return llm, judge, prompts

    monkeypatch.setattr(recipe, "open_judge", open_judge)
    return llm


def again(run: Path, out: Path, library: Path, **given: object) -> recipe.RejudgeReport:
    values = {"of": run, "judge": OTHER, "prompts": library / "prompts", **given}
    return recipe.rejudge(recipe.configure(out, values), out, Caller(on_progress=lambda done, of: None))


def ledger(run: Path) -> tuple[int, object]:
    with RunReader(run) as kept:
        return kept.usage().calls, [kept.outcome(play.index) for play in kept.plays()]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "300"})


def test_verdicts_stand_side_by_side_and_nothing_is_played(
    run: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = judged_by(monkeypatch)
    before = ledger(run)
    found = again(run, tmp_path / "out", library)
    accepted = items(run)
    assert found.ended.ending is Ending.COMPLETE and found.of == len(accepted) >= 6
    odd = [one for one in found.questions if int(one.question.split("number ")[1].split()[0]) % 2]
    even = [one for one in found.questions if one not in odd]
    assert odd and even
    assert {one.after.outcome for one in odd} == {Outcome.UNSOLVED} and not any(one.changed for one in even)
    assert {one.before.outcome for one in found.questions} == {Outcome.PASS}
    assert all({each.after for each in one.answers} == {Label.WRONG} for one in odd)
    assert all({each.before for each in one.answers} == {Label.RIGHT} for one in found.questions)
    total = sum(len(one.answers) for one in found.questions)
    assert (found.sums.answers, found.sums.only_before) == (total, sum(len(one.answers) for one in odd))
    assert (found.sums.only_after, found.sums.kept, found.sums.accepted) == (0, len(even), len(accepted))
    assert found.sums.agreement.count == total - found.sums.only_before
    assert found.sums.outcomes == {"pass -> pass": len(even), "pass -> unsolved": len(odd)}
    assert llm.requests and ledger(run) == before
    made = len(llm.requests)
    assert again(run, tmp_path / "out", library) == found
    assert len(llm.requests) == made


def test_an_attempt_that_the_early_stop_left_out_leaves_it_undecided(
    run: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_by(monkeypatch, lambda request: replace(world.play(request), text="verdict: no"))
    found = again(run, tmp_path / "out", library, rejected=True)
    easy = [one for one in found.questions if one.before.outcome is Outcome.TOO_EASY]
    assert easy and not any(one.decided or one.changed for one in easy)
    assert found.sums.outcomes["too_easy -> undecided"] == len(easy)
    assert found.sums.kept == 0 and found.sums.accepted == len(items(run))


def test_a_judge_that_fails_is_asked_again_and_counts_for_nothing(
    run: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = folder_of(run, OTHER)
    judged_by(monkeypatch, lambda request: LLMUnavailable("no route"))
    failed = again(run, out, library, max_errors=3, concurrency=1)
    assert failed.ended.ending is Ending.FAILING and len(failed.questions) == 3
    assert judges_of(run)[0].questions == ()
    llm = judged_by(monkeypatch)
    assert again(run, out, library).ended.ending is Ending.COMPLETE
    with RunReader(out) as kept:
        assert kept.usage().calls == len(llm.requests)


def test_what_cannot_be_read_is_unscored(
    run: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_by(monkeypatch, lambda request: Completion("Hm.", model="strict"))
    found = again(run, tmp_path / "out", library)
    assert found.sums.answers == 0 == found.sums.kept and found.sums.unscored > 0
    assert {one.after.outcome for one in found.questions} == {Outcome.UNSCORED}


def test_the_certificate_says_how_far_judges_agree(run: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged_by(monkeypatch)
    found = again(run, folder_of(run, OTHER), library)
    by_id = {one.id: one for one in found.questions}
    for item in items(run):
        name = item.id.rpartition("-")[2]
        assert item.certificate is not None
        (judge,) = item.certificate.judges
        answers = by_id[name].answers
        same = sum(one.before is one.after for one in answers)
        assert (judge.judge, judge.agreed, judge.of) == ("strict", same, len(answers))
        told = story(run, name).certificate
        assert told is not None and told.judges == (judge,)
    shown = call("show", run, items(run)[0].id.rpartition("-")[2]).stdout
    assert "Judge strict: agrees on " in shown


def test_the_page_shows_both_judges_side_by_side(run: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged_by(monkeypatch)
    name = items(run)[0].id.rpartition("-")[2]
    pages = TestClient(make_app(Site([run], "ann")), base_url="http://localhost")
    assert "Judged again" not in pages.get(f"/r/run/items/{name}").text
    found = {one.id: one for one in again(run, folder_of(run, OTHER), library, rejected=True).questions}
    for one in found.values():
        page = pages.get(f"/r/run/items/{one.id}").text.partition('id="judges"')[2].partition("</section>")[0]
        rows = [row.partition("</tr>")[0] for row in page.split("<tr>")[1:]]
        tags = [re.findall(r'class="tag (\w+)"', row) for row in rows[1:-1]]
        assert tags == [[each.before.value, each.after.value] for each in one.answers]
        assert "<th>strict</th>" in rows[0] and ("undecided" in rows[-1]) is not one.decided
        verdicts = re.findall(r'class="tag (\w+)"', rows[-1])
        assert verdicts == [one.before.outcome.value, *([one.after.outcome.value] if one.decided else [])]
    assert {one.decided for one in found.values()} == {True, False}


def test_another_judge_or_another_run_is_refused(
    run: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = judged_by(monkeypatch)
    again(run, tmp_path / "out", library)
    monkeypatch.setattr(Judging, "name", "kinder")
    made = len(llm.requests)
    with pytest.raises(ConfigChanged, match="judge: 'strict' -> 'kinder'"):
        again(run, tmp_path / "out", library)
    assert len(llm.requests) == made
    with pytest.raises(ConfigError, match="questwell rejudge RUN"):
        recipe.configure(tmp_path / "none", {"judge": OTHER})


def test_on_the_command_line(run: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = call("rejudge", run, "--json")
    assert exact.exit_code == 0, exact.output
    report = json.loads(exact.stdout)
    assert report["judge"] == "exact_match" and report["sums"]["accepted"] == report["of"]
    judged_by(monkeypatch)
    given = ("--judge", OTHER, "--prompts", library / "prompts")
    few = call("rejudge", run, *given, "--limit", 2)
    assert few.exit_code == 3 and "limit of questions" in few.output
    out = folder_of(run, OTHER)
    rest = call("resume", out)
    assert rest.exit_code == 0, rest.output
    assert "pass -> unsolved" in rest.stdout and "agrees on answers: " in rest.stdout and "Verdicts" in rest.stdout
    assert "pass -> unsolved" in call("status", out).stdout
    assert "right    -> wrong" in call("show", out).stdout
    assert call("show", out, "s99999").exit_code != 0
    spent = call("rejudge", run, *given, "--max-tokens", 1, "--out", run.parent / "spent")
    assert spent.exit_code == 4
