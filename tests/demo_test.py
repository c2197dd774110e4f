"""`questwell demo`, and the commands of README with the scripted players."""

import json
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from questwell.cli.app import app
from questwell.recipes.demo.lines import PARTS
from questwell.recipes.demo.play import play_demo
from questwell.recipes.generate.forecast import forecast
from questwell.recipes.reports.items import items
from questwell.recipes.reports.story import story
from questwell.recipes.runs.ending import Ending
from questwell.retrieval.corpora.islands import read_islands
from questwell.store.reader import RunReader
from questwell.types.gates import GateOutcome

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def questwell(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, list(arguments))


@pytest.fixture(autouse=True)
def empty_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cached, no key is set, and the working folder is new."""
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_the_demo_shows_a_repair_and_what_to_do_next() -> None:
    result = questwell("demo")
    assert result.exit_code == 0, result.output
    for line in (
        "Verdict: too_easy: 1 right of 1 scored",
        "Verdict: pass: 3 right of 4 scored",
        "ACCEPTED",
        "The messages of proposer and solver were written in advance",
        "questwell init",
    ):
        assert line in result.output


def test_the_demo_is_a_run_that_is_played_once(tmp_path: Path) -> None:
    first = play_demo(tmp_path / "run")
    assert first.ending is Ending.COMPLETE
    assert first.progress.calls_made == first.progress.spent.calls > 30
    assert play_demo(tmp_path / "run").progress.calls_made == 0
    with RunReader(tmp_path / "run") as run:
        assert [known.reason for known in run.plays()] == [None, None, "no_repair"]
        assert [run.seed(at).passage.title for at in range(3)] == [part.seed for part in PARTS]
    assert [item.difficulty for item in items(tmp_path / "run")] == [3, 3]


def test_every_line_of_the_demo_rests_on_the_corpus() -> None:
    articles = {document.title: document.text for document in read_islands()}
    for part in PARTS:
        assert part.seed in articles
        for pair in part.pairs:
            *_, (_, _, last) = pair.steps
            assert pair.answer in f"{last} {articles[last]}" or pair.answer.split()[0] in articles[last]
        for tries in part.tries:
            begins = {one.queries[0] for one in tries}
            assert len({(one.queries[0], one) for one in tries}) == len(begins)  # what an attempt is known by


def commands() -> list[str]:
    blocks = re.findall(r"^```\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    lines = [line.partition(" # ")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("questwell ")]


def test_every_command_of_readme_works_with_the_mock(tmp_path: Path) -> None:
    """In the order of the document, over the same corpus as a file; only the model and the number of seeds differ."""
    articles = [{"id": one.id, "title": one.title, "text": one.text} for one in read_islands()]
    (tmp_path / "wiki.jsonl").write_text("".join(json.dumps(one) + "\n" for one in articles), encoding="utf-8")
    asked = {"id": "a", "question": "In which year was the Tern Bridge opened?", "answer": "1894"}
    (tmp_path / "questions.jsonl").write_text(json.dumps(asked) + "\n", encoding="utf-8")
    assert len(commands()) >= 6
    for command in commands():
        words = shlex.split(re.sub(r"openai:\S+", "mock", command).replace("--seeds 500", "--seeds 24"))
        result = questwell(*words[1:])
        assert result.exit_code == 0, f"{command}\n{result.output}"
    assert (tmp_path / "wiki.parquet").stat().st_size > 0


def test_the_ten_minutes_of_the_start_page_work_with_the_mock(tmp_path: Path) -> None:
    """All of its commands but the viewer, which does not end by itself."""
    articles = [{"id": one.id, "title": one.title, "text": one.text} for one in read_islands()]
    (tmp_path / "wiki.jsonl").write_text("".join(json.dumps(one) + "\n" for one in articles), encoding="utf-8")
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    section = page.split("\n## Ten minutes\n")[1].split("\n## ")[0]
    lines = [line for line in re.findall(r"^    (questwell .*)$", section, re.MULTILINE) if " view " not in line]
    ends: list[int] = []
    for line in lines:
        words = shlex.split(re.sub(r"openai:\S+", "mock", line).replace("--seeds 100", "--seeds 14"), comments=True)
        ends.append(questwell(*words[1:]).exit_code)
    assert ends == [0, 3, 0], lines
    with RunReader(tmp_path / "runs" / "wiki") as run:
        assert len(run.plays()) == 14


def test_a_pilot_counts_and_says_what_the_rest_will_take(tmp_path: Path) -> None:
    given = ("generate", "--corpus", "islands", "--llm", "mock", "--seeds", "12", "--out", "run", "--pilot", "6")
    pilot = questwell(*given)
    assert pilot.exit_code == 3, pilot.output
    assert "Forecast for the rest, from 6 seeds" in pilot.output
    assert "  seeds        6 (6 to 6)" in pilot.output
    assert "hours" in pilot.output
    with RunReader(tmp_path / "run") as run:
        assert run.usage().calls > 0
        paid = run.usage().calls
    dry = questwell("generate", "--resume", "--out", "run", "--dry-run")
    assert dry.exit_code == 0 and "Forecast for the rest, from 6 seeds" in dry.output
    assert questwell("resume", "run").exit_code == 0
    with RunReader(tmp_path / "run") as run:
        assert len(run.plays()) == 12 and run.usage().calls > paid


def test_a_forecast_counts_items_that_came_and_leaves_errors_out(tmp_path: Path) -> None:
    given = ("generate", "--corpus", "islands", "--llm", "mock", "--items", "30", "--out", "run", "--pilot", "6")
    assert questwell(*given, "--kinds", "intersection", "--steps", "2..4").exit_code == 3
    found = forecast(tmp_path / "run")
    assert found is not None and 0 < found.accepted < found.played
    assert found.items.low == found.items.high == 30 - found.accepted
    with closing(sqlite3.connect(tmp_path / "run" / "run.sqlite")) as db, db:
        db.execute("UPDATE plays SET status = 'rejected', reason = 'errored' WHERE seed_index = "
                   "(SELECT min(seed_index) FROM plays WHERE status = 'rejected')")  # fmt: skip
    after = forecast(tmp_path / "run")
    assert after is not None and (after.played, after.accepted) == (found.played - 1, found.accepted)


def test_the_mock_passes_gates_after_a_repair_and_says_what_it_cannot_write(tmp_path: Path) -> None:
    given = ("generate", "--corpus", "islands", "--llm", "mock", "--seeds", "8")
    gates = questwell(*given, "--out", "gates", "--gates", "evidence,closed-book,shortcut")
    assert gates.exit_code == 0, gates.output
    made = [story(tmp_path / "gates", item.id.rpartition("-")[2]).rounds for item in items(tmp_path / "gates")]
    assert len(made) >= 3
    assert all({gate.outcome for gate in rounds[-1].gates} == {GateOutcome.PASSED} for rounds in made)
    assert all(len(rounds[-1].gates) == 3 for rounds in made)
    before = [one for rounds in made for one in rounds[:-1] if one.gates]
    assert before and all(one.gates[-1].outcome is GateOutcome.FAILED for one in before)
    kinds = questwell(*given, "--out", "kinds", "--kinds", "intersection", "--steps", "9")
    assert kinds.exit_code == 0 and items(tmp_path / "kinds") == [], kinds.output
    with RunReader(tmp_path / "kinds") as run:
        lost = run.plays()[0].seed_id
    said = "The passages that I saw form no intersection of that length"
    assert said in questwell("show", "kinds", lost, "--full").output


def test_python_runs_the_package_as_a_command() -> None:
    run = subprocess.run([sys.executable, "-m", "questwell", "--version"], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("questwell ")
