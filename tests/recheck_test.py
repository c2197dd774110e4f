"""Review end to end: items are edited, tried again, and exported as their reviews say."""

import json
from io import StringIO
from pathlib import Path

import pytest
import view_world
import world
from rich.console import Console
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.cli.recheck import print_rechecked
from questwell.errors import BenchmarkError, ConfigError
from questwell.evaluation.statistics import wilson
from questwell.games.sage import examine
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.dataset.build import build
from questwell.recipes.dataset.config import DatasetConfig
from questwell.recipes.dataset.export import Format, export, read_items
from questwell.recipes.generate import recheck as recipe
from questwell.recipes.generate.gates_results import FOLDER, Checked, keep_results
from questwell.recipes.generate.recheck import RecheckConfig, configure
from questwell.recipes.reports.items import Edited, LeftOut, Policy, ReviewedBy, each, items
from questwell.recipes.reports.rechecked import rechecked
from questwell.recipes.reports.reviewing import review, reviews_by_seed
from questwell.recipes.reports.status import status
from questwell.recipes.reports.story import story
from questwell.recipes.runs.config import resolve
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus
from questwell.types.gates import Gate, GateOutcome, GateResult
from questwell.types.review import Decision


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> ScriptedLLM:
    """Agents are driven by the world's script."""
    llm = ScriptedLLM(world.play)
    monkeypatch.setattr(recipe, "open_setup", lambda config, progress=None: world.setup(config, llm))
    return llm


def recheck(source: Path, out: Path, **given: object) -> tuple[int, int, int, str]:
    """Tried, accepted, left, and why it ended early."""
    report = recipe.run(configure(out, {"source": source, **given}), out)
    return report.tried, report.accepted, report.left, report.message


@pytest.fixture
def run(library: Path, tmp_path: Path) -> Path:
    import asyncio

    asyncio.run(view_world.generated(library, tmp_path / "run", steps="2..2"))
    return tmp_path / "run"


def accepted(run: Path) -> list[str]:
    with RunReader(run) as reader:
        return [known.seed_id for known in reader.plays() if known.status is PlayStatus.ACCEPTED]


def decide(run: Path, seed: str, decision: Decision, question: str = "", answer: str = "") -> None:
    told = story(run, seed)
    pair = (told.play.question or "", told.play.answer or "", told.rounds[-1].aliases)
    known = reviews_by_seed(run).get(seed)
    edited = (question or pair[0], answer or pair[1], pair[2])
    review(run, seed, pair, decision, reviewer="ann", supersedes=known.newest if known else 0, edited=edited)


def test_edited_items_come_back_when_they_were_tried_again(run: Path, tmp_path: Path, scripted: ScriptedLLM) -> None:
    one, two, three, four, *rest = accepted(run)
    before = {item.id: item for item in items(run)}
    name = next(iter(before)).removesuffix(one)
    good = "When did the bridge number 0 open, then? (version 1 target 2)"
    decide(run, one, Decision.EDIT, good, "1800")
    decide(run, two, Decision.EDIT, answer="1066")  # wrong now: nobody answers it
    decide(run, three, Decision.EDIT, "When did the bridge number 6 open? (version 9 target 2)", "1806")
    decide(run, four, Decision.REJECT)
    decide(run, rest[0], Decision.ACCEPT)
    left = {one.id.removeprefix(name): one.reason for one in each(run) if isinstance(one, LeftOut)}
    assert left == {**dict.fromkeys((one, two, three), "edited, not rechecked"), four: "rejected"}
    as_is = {item.id: item for item in items(run, Policy(edited=Edited.AS_IS))}[name + one]
    assert (as_is.question, as_is.answer, as_is.attempts, as_is.scored) == (good, "1800", (), 0)
    assert as_is.review == "edited, not rechecked"

    assert recheck(run, run / "recheck") == (3, 2, 0, "")
    made = len(scripted.requests)
    assert recheck(run, run / "recheck") == (3, 2, 0, "")
    assert len(scripted.requests) == made  # nothing is paid twice

    found = {item.id: item for item in items(run)}
    assert set(before) - set(found) == {name + two, name + four}
    edited = found[name + one]
    assert (edited.question, edited.review, edited.reviewers) == (good, "edited, rechecked", ("ann",))
    assert (edited.right, edited.scored, edited.solve_rate, edited.difficulty) == (4, 4, 1.0, 2)
    assert len(edited.attempts) == 4
    assert found[name + rest[0]].review == "accepted"
    assert [one.reason for one in each(run) if isinstance(one, LeftOut)] == ["edited, failed the recheck", "rejected"]
    only = items(run, Policy(ReviewedBy.ACCEPTED))
    assert [item.id for item in only] == [name + seed for seed in (one, three, rest[0])]

    assert export(run, tmp_path / "x.jsonl", Format.JSONL, Policy(ReviewedBy.ACCEPTED)) == 3
    assert read_items(tmp_path / "x.jsonl") == only
    manifest = build([run], tmp_path / "data", resolve(DatasetConfig, {"split": "train:100"}))
    assert manifest.dropped["review"] == 2
    assert manifest.splits["train"].items <= len(found)
    dropped = (tmp_path / "data" / "dropped.jsonl").read_text()
    assert "edited, failed the recheck" in dropped
    assert "`dropped.jsonl`" in (tmp_path / "data" / "README.md").read_text()
    assert status(run / "recheck").funnel.accepted == 2


def test_a_later_edit_is_tried_and_what_it_replaced_is_not(run: Path, scripted: ScriptedLLM) -> None:
    one = accepted(run)[0]
    decide(run, one, Decision.EDIT, "When did the bridge number 0 open? (version 5 target 2)", "1800")
    decide(run, one, Decision.EDIT, "When did the bridge number 0 open? (version 6 target 2)", "1800")
    assert recheck(run, run / "recheck") == (1, 1, 0, "")
    assert "version 5" not in "".join(request.messages[1].content for request in scripted.requests)
    assert "version 6" in items(run)[0].question
    decide(run, one, Decision.EDIT, "When did the bridge number 0 open? (version 5 target 2)", "1800")
    assert recheck(run, run / "recheck") == (1, 1, 0, "")
    assert "version 5" in items(run)[0].question


def test_an_edit_can_mend_a_rejected_play(run: Path) -> None:
    with RunReader(run) as reader:
        easy = next(known for known in reader.plays() if known.reason and known.reason.value == "too_easy")
    decide(run, easy.seed_id, Decision.EDIT, "When did the bridge number 6 open? (version 7 target 2)", "1806")
    assert not any("version 7" in item.question for item in items(run, Policy(edited=Edited.AS_IS)))
    recheck(run, run / "recheck")
    (mended,) = (item for item in items(run) if "version 7" in item.question)
    assert mended.id.endswith(easy.seed_id)


def test_questions_that_others_wrote(library: Path, tmp_path: Path) -> None:
    rows = [
        {"question": "When did the bridge number 0 open? (version 0 target 2)", "answer": "1800", "target": 2},
        {"question": "When did the bridge number 3 open? (version 0 target 2)", "answer": "1803", "target": 2},
        {"question": "When did the bridge number 6 open? (version 0 target 2)", "answer": "1066", "aliases": ["x"]},
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = {key: value for key, value in world.values(library).items() if key in RecheckConfig.model_fields}
    assert recheck(path, tmp_path / "out", **given) == (3, 1, 0, "")
    with RunReader(tmp_path / "out") as reader:
        assert [known.reason and known.reason.value for known in reader.plays()] == [None, "too_easy", "unsolved"]
    (item,) = items(tmp_path / "out")
    assert (item.difficulty, item.solve_rate) == (2, 1.0)
    found = rechecked(tmp_path / "out")
    assert [(one.accepted, one.difficulty, one.solve_rate.count, one.solve_rate.of) for one in found] == [
        (True, 2, 4, 4),
        (False, 1, 4, 4),
        (False, None, 0, 4),
    ]
    assert found[0].solve_rate == wilson(4, 4)
    console = Console(record=True, width=300, file=StringIO())
    print_rechecked(console, found)
    shown = console.export_text()
    assert "difficulty 2 search steps, solve rate 100 % [51, 100]: 4 of 4 attempts" in shown
    assert "never solved, solve rate 0 % [0, 49]: 0 of 4 attempts" in shown
    path.write_text(json.dumps({"question": "Who?", "answer": ""}))
    with pytest.raises(BenchmarkError, match="non-empty"):
        recheck(path, tmp_path / "other", **given)
    path.write_text("")
    with pytest.raises(BenchmarkError, match="no question"):
        recheck(path, tmp_path / "other", **given)


def test_each_question_comes_with_its_certificate(run: Path) -> None:
    one, two, *_ = accepted(run)
    good = "When did the bridge number 0 open, then? (version 1 target 2)"
    decide(run, one, Decision.EDIT, good, "1800")
    decide(run, two, Decision.EDIT, answer="1066")  # nobody answers it: it is certified too

    def call(*flags: str) -> str:
        shown = CliRunner().invoke(app, ["recheck", str(run), *flags], env={"COLUMNS": "300"})
        assert shown.exit_code == 0, shown.output
        return shown.stdout

    shown = call("--gates", "evidence")
    assert "    Check evidence: passed: " in shown
    assert "    Evidence Bridge 5: rank 1 in the searches of 4 attempts" in shown
    assert "Solved: " not in shown and "Check unique" not in shown  # said once; what was not asked is left out
    missing = "closed-book, evidence, shortcut, unique, single-document, leave-one-out, findable, dated"
    assert f"Not checked: {missing} (questwell gates {run / 'recheck'} --rejected checks them)" in shown
    later = (GateResult(Gate.UNIQUE, GateOutcome.FAILED, "also 1801"),)
    keep_results(run / "recheck" / FOLDER, [Checked("s00000000", True, good, "1800", later)])
    assert "    Check unique: failed: also 1801" in call("--gates", "evidence")
    told = json.loads(call("--gates", "evidence", "--json"))
    assert told["ended"] == {"ending": "complete", "message": "", "go_on": ""}
    first, second = told["questions"]
    assert [(check["gate"], check["outcome"]) for check in first["certificate"]["checks"]] == [
        ("evidence", "passed"),
        ("unique", "failed"),
    ]
    assert second["certificate"]["evidence"][0]["rank_by_attempts"] == 1
    assert (second["accepted"], second["certificate"]["difficulty"], second["certificate"]["solve_rate"]["of"]) == (
        False,
        None,
        4,
    )


def test_without_an_edit_there_is_nothing_to_do(run: Path) -> None:
    with pytest.raises(ConfigError, match="no item"):
        recheck(run, run / "recheck")
    assert examine


def test_a_bug_that_one_question_meets_does_not_lose_the_others(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = "When did the bridge number {} open? (version 0 target 2)"
    rows = [{"question": asked.format(n), "answer": str(1800 + n), "target": 2} for n in (0, 6, 12)]
    path, out = tmp_path / "own.jsonl", tmp_path / "out"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = {key: value for key, value in world.values(library).items() if key in RecheckConfig.model_fields}

    async def buggy(seed, proposal, *rest):
        return await examine(seed, proposal, *rest) if seed.index != 1 else 1 / 0

    with monkeypatch.context() as patch:
        patch.setattr(recipe, "examine", buggy)
        tried, accepted_, left, message = recheck(path, out, **given)
    assert (tried, accepted_, left) == (2, 2, 1)
    assert "ZeroDivisionError" in message and "a bug in Questwell, at recheck_test.py" in message
    assert recheck(path, out, **given) == (3, 3, 0, "")
