"""The gallery: each family of endpoints plays a game, an evaluation, a judge and the gates, as a plain one does."""

import asyncio
import queue
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from gallery_world import GATES, Conformance, cells, items, play, row, rows_of_the_page, write_corpus
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.cli.status import status as print_status
from questwell.errors import ContextOverflow
from questwell.llm.client import Message, Request
from questwell.llm.connect import connect
from questwell.llm.gallery import FAMILIES, Family, MockLLM, serving


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("gallery") / "corpus.jsonl")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))


PLAIN: list[Conformance] = []
"""What the script does without an endpoint, once it is known."""


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
async def test_a_family_does_all_that_a_plain_endpoint_does_and_the_page_says_so(
    family: Family, tmp_path: Path
) -> None:
    if not PLAIN:
        (tmp_path / "plain").mkdir()
        PLAIN.append(await play(None, tmp_path / "plain"))
    (plain,) = PLAIN
    assert {outcome for _, _, outcome in plain.gates} == {"passed", "failed"}, "gates decide, and not all the same"
    (tmp_path / "family").mkdir()
    found = await play(family, tmp_path / "family")
    assert [role for role, usable in found.rehearsed.items() if not usable] == []
    assert found.items == plain.items
    assert found.gates == plain.gates
    assert (found.trials, found.labels) == ([("finished", "1827", 2), ("finished", "1801", 2)], ["right", "wrong"])
    assert set(cells(found, plain)) == {"right"}
    assert found.refusals <= 8, "it adapts once, and not at every call"
    assert row(family, found, plain) in rows_of_the_page(), "python tests/gallery_world.py writes the page again"


def test_the_page_has_a_row_for_each_family_and_no_other() -> None:
    assert [line.split(" | ")[0].strip("| ") for line in rows_of_the_page()] == [family.name for family in FAMILIES]


def test_a_cell_is_right_only_where_everything_is(tmp_path: Path) -> None:
    played = {"tags": [("q", "a")] * 3, "functions": [("q", "b")] * 3}
    checked = [("q", gate, "passed") for gate in GATES.split(",")]
    trials = [("finished", "1827", 2), ("finished", "1801", 2)]
    plain = Conformance({str(at): True for at in range(6)}, played, checked, trials, ["right", "wrong"], (), 0)
    assert cells(plain, plain) == ("right",) * 6
    wrong = [
        replace(plain, rehearsed={**plain.rehearsed, "3": False}),
        replace(plain, items={**played, "tags": []}),
        replace(plain, items={**played, "functions": played["tags"]}),
        replace(plain, labels=["right", "right"]),
        replace(plain, trials=trials[:1]),
        replace(plain, gates=[("q", gate, "failed") for gate in GATES.split(",")]),
    ]
    for at, found in enumerate(wrong):
        assert cells(found, plain) == ("right",) * at + ("wrong",) + ("right",) * (5 - at)


async def test_a_resume_meets_no_refusal_again_and_status_says_how_requests_are_changed(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    family = next(family for family in FAMILIES if family.name == "openai-reasoning")
    async with serving(family) as served:
        llm = f"gpt-x@{served.base_url}"
        await items(corpus, tmp_path / "run", llm)
        refused = served.refusals
        await items(corpus, tmp_path / "run", llm, resume=True, seeds=4)
    assert refused == served.refusals > 0
    print_status(tmp_path / "run")
    said = capsys.readouterr().out
    assert f"Requests adapted for gpt-x at {served.base_url} are changed: " in said
    assert "rename max_tokens max_completion_tokens" in said and "omit stop" in said
    assert "omit max_tokens" not in said, "calls in flight learn one change between them"


@pytest.mark.parametrize("words", [4000, 6000])
async def test_a_prompt_that_ollama_cuts_without_a_word_is_an_overflow(words: int) -> None:
    family = next(family for family in FAMILIES if family.name == "ollama")
    request = Request((Message("user", f"Question: {'rain ' * (words - 1)}"),), max_tokens=64)
    async with serving(family) as served:
        llm = connect(f"gpt-x@{served.base_url}")
        try:
            if words > 4096:
                with pytest.raises(ContextOverflow, match="read only 2,048 tokens of a prompt of at least 6,000"):
                    await llm.complete(request)
            else:
                assert (await llm.complete(request)).prompt_tokens == words
        finally:
            await llm.aclose()
    assert len(served.asked) == 1, "asking again would be paid for and cut again"
    assert served.refusals == 0


async def test_the_mock_says_what_it_is() -> None:
    assert MockLLM().name == "mock"


def test_each_family_has_a_source() -> None:
    assert all(family.source for family in FAMILIES)
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("plain", ["proposer, tags yes - - yes yes", "solver, functions - yes - yes", "gates, JSON schema - - yes"]),
        ("openai-reasoning", ["solver, tags left out - - left out renamed", "judge - - - left out renamed"]),
        ("vllm", ["solver, tags yes - - yes yes", "solver, functions - calls as text - yes yes"]),
    ],
)  # fmt: skip
def test_doctor_prints_what_the_endpoint_takes_of_each_roles_request(name: str, rows: list[str]) -> None:
    address: queue.Queue[str] = queue.Queue()
    done = threading.Event()

    async def serve() -> None:
        async with serving(next(family for family in FAMILIES if family.name == name)) as served:
            address.put(served.base_url)
            while not done.is_set():
                await asyncio.sleep(0.01)

    server = threading.Thread(target=asyncio.run, args=(serve(),))
    server.start()
    try:
        result = CliRunner().invoke(
            app, ["doctor", "--llm", f"gpt-x@{address.get(timeout=30)}"], env={"COLUMNS": "160"}
        )
    finally:
        done.set()
        server.join()
    table = result.stdout.partition("What the endpoint accepts")[2]
    printed = [" ".join(line.split()) for line in table.splitlines()]
    assert "role stop tools schema temperature length" in printed
    for wanted in rows:
        assert any(line.startswith(wanted) for line in printed), table
