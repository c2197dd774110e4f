"""`questwell rejudge` on runs whose attempts failed, stopped early, were repaired, or are right by another spelling."""

import asyncio
import json
from pathlib import Path

import pytest
from tests import world

from questwell.errors import LLMFiltered
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import Answer, ScriptedLLM
from questwell.recipes.generate import loop as generating
from questwell.recipes.harden import loop as hardening
from questwell.recipes.rejudge import loop as recipe
from questwell.recipes.reports.items import items
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.ending import Ending
from questwell.store.reader import RunReader
from questwell.types.game import Label, Outcome

OTHER = "strict@http://localhost:1/v1"


def judged_by(monkeypatch: pytest.MonkeyPatch, said: str = "") -> ScriptedLLM:
    """A judge that says the same of every answer; without `said` it judges as the world's."""
    llm = ScriptedLLM(lambda request: Completion(said, model="strict") if said else world.play(request))
    opened = recipe.open_judge

    def open_judge(config: object) -> tuple[object, object, str]:
        _, judge, prompts = opened(config)  # type: ignore[arg-type]
        return llm, judge, prompts

    monkeypatch.setattr(recipe, "open_judge", open_judge)
    return llm


def played(library: Path, run: Path, script: object = world.play, **given: object) -> Path:
    config = world.config(library, seeds=18, **given)
    setup = world.setup(config, ScriptedLLM(script))  # type: ignore[arg-type]
    asyncio.run(generating.generate(config, run, setup))
    return run


def again(run: Path, library: Path, limit: int | None = None, **given: object) -> recipe.RejudgeReport:
    values = {"of": run, "prompts": library / "prompts", **given}
    out = run.parent / "judged"
    return recipe.rejudge(recipe.configure(out, values), out, Caller(limit=limit, on_progress=lambda done, of: None))


def filtered(request: Request) -> Answer:
    """The world's model, whose endpoint takes no answer of a solver."""
    said = world.play(request)
    is_answer = "ROLE solver" in request.messages[0].content and "<answer>" in said.text
    return LLMFiltered("policy") if is_answer else said


def test_a_rollout_that_failed_is_not_judged(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = played(library, tmp_path / "run", filtered)
    llm = judged_by(monkeypatch)
    found = again(run, library, judge=OTHER, rejected=True)
    labels = {answer.after for one in found.questions for answer in one.answers}
    assert found.questions and labels == {Label.UNSCORED} and llm.requests == []
    assert {one.after.outcome for one in found.questions} == {Outcome.UNSCORED}


def test_what_is_too_easy_to_both_judges_is_decided_before_all_attempts_are_made(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = played(library, tmp_path / "run")
    judged_by(monkeypatch, "verdict: yes")
    found = again(run, library, judge=OTHER, rejected=True)
    easy = [one for one in found.questions if one.before.outcome is Outcome.TOO_EASY]
    assert easy and all(len(one.answers) < 4 for one in easy)
    assert all((one.after.outcome, one.decided) == (Outcome.TOO_EASY, True) for one in easy)


def test_each_answer_is_asked_under_the_round_and_attempt_that_it_is_of(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = played(library, tmp_path / "run")
    llm = judged_by(monkeypatch)
    found = again(run, library, judge=OTHER)
    with RunReader(run) as kept:
        outcomes = {play.seed_id: kept.outcome(play.index) for play in kept.plays()}
    with RunReader(run.parent / "judged") as kept:
        asked = {
            one.id: sorted((each.place.round, each.place.attempt) for each in kept.answers(one.id))
            for one in found.questions
        }
    for one in found.questions:
        outcome = outcomes[one.id]
        assert outcome is not None
        last = outcome.rounds[-1]
        assert asked[one.id] == [(last.index, attempt.index) for attempt in last.attempts]
    assert any(place > (0, 9) for places in asked.values() for place in places)  # some were repaired
    assert len(llm.requests) == sum(map(len, asked.values()))


def test_unscored_is_wrong_where_the_run_says_so(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = played(library, tmp_path / "run", unscored_is_wrong=True)
    judged_by(monkeypatch, "Hm.")
    found = again(run, library, judge=OTHER)
    assert {one.after.outcome for one in found.questions} == {Outcome.UNSOLVED}


def test_a_limit_that_is_just_met_leaves_nothing(library: Path, tmp_path: Path) -> None:
    run = played(library, tmp_path / "run")
    count = len(items(run))
    assert again(run, library, limit=count - 1).ended.ending is Ending.LIMIT
    assert again(run, library, limit=count).ended.ending is Ending.COMPLETE


def test_an_answer_that_is_another_spelling_of_the_reference_is_right_again(tmp_path: Path, library: Path) -> None:
    given = {"corpus": "islands", "index": tmp_path / "index", "llm": "mock"}
    easy, hard, source = tmp_path / "easy", tmp_path / "hard", tmp_path / "q.jsonl"
    generating.run(generating.configure(easy, {**given, "seeds": 3, "steps": "2"}, resume=False), easy)
    rows = [{"question": one.question, "answer": ["of another name", one.answer]} for one in items(easy)]
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    hardening.run(hardening.configure(hard, {**given, "source": str(source), "steps": 2}, resume=False), hard)
    assert len(items(hard)) == len(rows) > 0
    found = again(hard, library, prompts=None)
    assert found.judge == "exact_match" and found.sums.kept == len(rows)
