"""`questwell harden` as a user runs it: from files and runs, killed and resumed, read by every other verb."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.errors import BenchmarkError, ConfigChanged, ConfigError
from questwell.llm.client import Completion, Request
from questwell.llm.gallery.mock import MockLLM
from questwell.recipes.dataset.export import read_items
from questwell.recipes.generate import loop as generating
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.harden.given import read_given
from questwell.recipes.harden.loop import configure, harden, run
from questwell.recipes.reports.items import items
from questwell.recipes.reports.runs import Kind, find_runs
from questwell.recipes.reports.status import status
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.ending import Ending
from questwell.scoring.intervals import wilson
from questwell.store.reader import RunReader
from questwell.types.game import Accepted, Reason
from questwell.types.gates import Gate

ISLANDS = {"corpus": "islands", "llm": "mock"}


class Watched(MockLLM):
    """The mock, which notes each request and is struck at one of them."""

    def __init__(self, struck_at: int | None = None) -> None:
        self.asked: list[str] = []
        self._struck_at = struck_at

    async def complete(self, request: Request) -> Completion:
        self.asked.append(request.digest())
        if len(self.asked) == self._struck_at:
            raise KeyboardInterrupt
        return await super().complete(request)


@pytest.fixture(scope="module")
def easy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with items that need two searches."""
    folder = tmp_path_factory.mktemp("easy") / "run"
    values = {**ISLANDS, "index": folder.parent / "index", "seeds": 6, "steps": "2", "early_stop": False}
    generating.run(generating.configure(folder, values, resume=False), folder)
    assert len(items(folder)) >= 4
    return folder


def values(easy: Path, **given: object) -> dict[str, object]:
    return {**ISLANDS, "index": easy.parent / "index", "source": str(easy), "steps": 4, **given}


def played(folder: Path) -> list[tuple[object, ...]]:
    with RunReader(folder) as reader:
        return [(play.index, play.status, play.reason, play.question, play.answer) for play in reader.plays()]


def test_items_of_a_run_become_harder_and_keep_their_answers(easy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hard"
    report = run(configure(folder, values(easy), resume=False), folder)
    assert report.ending is Ending.COMPLETE
    before = {item.id: item for item in items(easy)}
    after = items(folder)
    assert len(after) == len(before)
    for item in after:
        first = before[item.given_id]
        assert (item.answer, item.aliases, item.given_question) == (first.answer, first.aliases, first.question)
        assert item.question != first.question
        assert first.difficulty < 4 <= item.difficulty
        assert [gate.gate.value for gate in item.gates] == ["evidence"]
        assert item.certificate is not None and item.certificate.checks == item.gates
    assert {one.kind for one in find_runs([folder])} == {Kind.HARDEN}


def struck(folder: Path, given: dict[str, object], at: int) -> Watched:
    """Play until the mock is struck at its call number `at`, as Ctrl-C twice or a kill would."""
    llm = Watched(at)
    config = configure(folder, given, resume=True)

    async def whole() -> None:
        setup = open_setup(config, clients={"mock": llm})
        try:
            await harden(config, folder, setup, Caller(resume=True))
        finally:
            await setup.aclose()

    try:
        asyncio.run(whole())
    except* KeyboardInterrupt:
        pass
    return llm


@pytest.mark.parametrize("at", [1, 2, 17, 60, 61])
def test_a_run_that_was_struck_ends_like_one_that_was_not(easy: Path, tmp_path: Path, at: int) -> None:
    given = values(easy, concurrency=1)
    whole = struck(tmp_path / "whole", given, at=10**9)
    first = struck(tmp_path / "hard", given, at)
    assert len(first.asked) == at
    second = struck(tmp_path / "hard", given, at=10**9)
    assert played(tmp_path / "hard") == played(tmp_path / "whole")
    assert first.asked[:-1] + second.asked == whole.asked  # what was answered is never asked again
    assert struck(tmp_path / "hard", given, at=1).asked == []


def test_resume_needs_only_the_folder_and_refuses_other_questions(easy: Path, tmp_path: Path) -> None:
    folder, source = tmp_path / "hard", tmp_path / "q.jsonl"
    rows = [
        {"id": f"q{number}", "question": item.question, "answer": item.answer}
        for number, item in enumerate(items(easy))
    ]
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    config = configure(folder, values(easy, source=str(source), seeds=3), resume=False)
    assert run(config, folder, Caller(limit=1)).ending is Ending.LIMIT
    done = CliRunner().invoke(app, ["resume", str(folder)])
    assert done.exit_code == 0, done.output
    assert len(played(folder)) == 3 == len(items(folder))
    more = configure(folder, {"seeds": 4}, resume=True)
    assert run(more, folder, Caller(resume=True)).progress.done == 4
    with pytest.raises(ConfigError, match="4 questions have been taken already"):
        run(configure(folder, {"seeds": 2}, resume=True), folder, Caller(resume=True))
    with pytest.raises(ConfigChanged, match="steps: 4 -> 5"):
        run(configure(folder, {"steps": 5}, resume=True), folder, Caller(resume=True))
    source.write_text(source.read_text().replace(rows[1]["answer"], "another"))
    with pytest.raises(ConfigChanged, match="questions:"):
        run(configure(folder, {}, resume=True), folder, Caller(resume=True))


def test_what_nobody_solves_is_hard_or_broken(easy: Path, tmp_path: Path) -> None:
    source = tmp_path / "q.csv"
    source.write_text("question,answer\nWho keeps the light of Saltmere?,Orla Finch\n")
    folder = tmp_path / "hard"
    run(configure(folder, values(easy, source=str(source)), resume=False), folder)
    assert status(folder).funnel.rejected == {Reason.HARD_OR_BROKEN: 1}
    shown = CliRunner().invoke(app, ["show", str(folder), "first"])
    assert "HARD_OR_BROKEN" in shown.output and "none of 4 attempts" in shown.output


def test_other_verbs_read_it(easy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hard"
    run(configure(folder, values(easy, seeds=2), resume=False), folder)

    def call(*arguments: object) -> str:
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == 0, done.output
        return done.output

    assert "accepted" in call("status", folder)
    assert "Certificate" in call("show", folder, "first")
    call("export", folder, "--out", tmp_path / "items.parquet")
    assert read_items(tmp_path / "items.parquet") == items(folder)
    assert "Not checked: closed-book" in call("show", folder, "first")
    assert "single-document" in call("gates", folder)
    shown = call("show", folder, "first")
    assert "Check single-document: failed" in shown and "Not checked" not in shown
    (item, *_) = items(folder)  # a later call of gates counts for items, their certificates and the filters of dataset
    assert item.certificate is not None and item.certificate.checks == item.gates
    assert [gate.gate for gate in item.gates] == list(Gate)
    assert item.certificate.closed_book == wilson(0, 1)
    assert item.certificate.evidence[0].rank_by_question is not None
    none = CliRunner().invoke(
        app, ["dataset", str(folder), "--out", str(tmp_path / "none"), "--gates", "single-document"]
    )
    assert none.exit_code == 1 and "2 gate" in none.output
    call("dataset", folder, "--out", tmp_path / "data", "--split", "train:100")
    assert "Certificates" in (tmp_path / "data" / "README.md").read_text()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with rejected plays between its items, some of which were repaired."""
    folder = tmp_path_factory.mktemp("mixed") / "run"
    given = {**ISLANDS, "index": folder.parent / "index", "seeds": 16, "steps": "2..4", "kinds": "bridge"}
    generating.run(generating.configure(folder, given, resume=False), folder)
    return folder


def test_of_a_run_the_last_question_of_each_accepted_play_is_taken(mixed: Path, tmp_path: Path) -> None:
    with RunReader(mixed) as run:
        outcomes = [run.outcome(play.index) for play in run.plays()]
    accepted = [one for one in outcomes if isinstance(one, Accepted)]
    assert any(len(one.rounds) > 1 for one in accepted) and not all(isinstance(one, Accepted) for one in outcomes[:-1])
    config = configure(tmp_path / "x", values(mixed, steps=7, seed=11), resume=False)
    given = read_given(config).questions
    assert [one.proposal for one in given] == [one.rounds[-1].proposal for one in accepted]
    assert [one.proposal.question for one in given] == [item.question for item in items(mixed)]
    assert [one.seed.passage.id for one in given] == [item.id for item in items(mixed)]
    assert [(one.seed.index, one.seed.target, one.seed.random_seed) for one in given] == [
        (number, 7, 11) for number in range(len(accepted))
    ]


def test_the_digest_is_of_all_that_the_source_holds(tmp_path: Path) -> None:
    def digest_of(*rows: tuple[str, str, list[str]], **keys: object) -> str:
        source = tmp_path / "q.jsonl"
        named = [{"id": name, "question": asked, "answer": answers} for name, asked, answers in rows]
        source.write_text("".join(f"{json.dumps(row)}\n" for row in named))
        return read_given(configure(tmp_path / "x", {**ISLANDS, "source": str(source), **keys}, resume=False)).content

    one, two = ("a", "Who is it?", ["A"]), ("b", "Who was it?", ["B"])
    assert digest_of(one, two) == digest_of(one, two, seeds=1) != digest_of(one)
    assert digest_of(one, two) != digest_of(("a", "Who is it?", ["A", "b", "Who was it?", "B"]))
    assert digest_of(one) != digest_of(("a", "Who is it?", ["A", "A'"]))


def test_sources(easy: Path, tmp_path: Path) -> None:
    bench = tmp_path / "dev.jsonl"
    bench.write_text(json.dumps({"id": "2hop__1", "question": "Who?", "answer": "A", "answer_aliases": ["B"]}) + "\n")
    (only,) = read_given(configure(tmp_path / "x", values(easy, source=f"musique={bench}"), resume=False)).questions
    assert (only.seed.passage.id, only.seed.target, only.proposal.answer, only.proposal.aliases) == (
        "2hop__1",
        4,
        "A",
        ("B",),
    )
    with pytest.raises(ConfigError, match="say which questions"):
        read_given(configure(tmp_path / "x", ISLANDS, resume=False))
    bench.write_text("")
    with pytest.raises(BenchmarkError):
        read_given(configure(tmp_path / "x", values(easy, source=str(bench)), resume=False))
