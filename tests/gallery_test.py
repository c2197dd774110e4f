"""The gallery: each family of endpoints plays a whole game, an evaluation and a judge, as a plain endpoint does."""

import asyncio
import json
import queue
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.cli.status import status as print_status
from questwell.errors import ContextOverflow
from questwell.llm.client import Message, Request
from questwell.llm.connect import connect
from questwell.llm.gallery import FAMILIES, Family, MockLLM, serving
from questwell.recipes.evaluate import loop as evaluating
from questwell.recipes.evaluate.config import EvalConfig
from questwell.recipes.evaluate.setup import open_eval_setup
from questwell.recipes.generate import loop as generating
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.rehearsal import rehearse
from questwell.store.reader import RunReader
from questwell.types.game import Accepted

PEOPLE = ("Ada Brook", "Bela Marsh", "Cora Fenn", "Dora Holt", "Elsa Wynn", "Fred Lowe", "Gita Rao", "Hugo Lind")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Passages that name each other, each with a year, a number and a place."""
    path = tmp_path_factory.mktemp("gallery") / "corpus.jsonl"
    rows = [
        {
            "id": f"p{at}",
            "title": name,
            "text": f"{name} was an engineer who built the docks of Port {name.split()[1]} in the year {1801 + 13 * at}"
            f". The pier that she drew is {40 + at} metres long, and was ended by her friend {PEOPLE[(at + 3) % 8]}.",
        }
        for at, name in enumerate(PEOPLE)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))


async def items(corpus: Path, out: Path, llm: str, *, resume: bool = False, **values: object) -> list[tuple[str, str]]:
    """Question and answer of each item of a game."""
    given = {
        "corpus": str(corpus),
        "llm": llm,
        "seeds": 3,
        "steps": "2..2",
        "attempts": 2,
        "seed_words": 5,
        "concurrency": 2,
    }
    config = resolve(Config, given, values)
    setup = open_setup(config)
    try:
        await generating.generate(config, out, setup, resume=resume)
    finally:
        await setup.aclose()
    with RunReader(out) as run:
        played = [run.outcome(play.index) for play in run.plays()]
    return [
        (one.rounds[-1].proposal.question, one.rounds[-1].proposal.answer)
        for one in played
        if isinstance(one, Accepted)
    ]


@pytest.fixture(scope="module")
def plain() -> dict[str, list[tuple[str, str]]]:
    return {}


@pytest.mark.parametrize("protocol", ["tags", "functions"])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
async def test_a_whole_game_gives_the_same_items_as_with_a_plain_endpoint(
    family: Family, protocol: str, corpus: Path, tmp_path: Path, plain: dict[str, list[tuple[str, str]]]
) -> None:
    async with serving(family) as served:
        found = await items(
            corpus, tmp_path / "run", f"gpt-x@{served.base_url}", protocol=protocol, gates="closed-book,evidence"
        )
    if protocol not in plain:
        plain[protocol] = await items(
            corpus, tmp_path / "mock", "mock", protocol=protocol, gates="closed-book,evidence"
        )
    assert len(found) == 3
    assert found == plain[protocol]
    assert served.refusals <= 8, "it adapts once, and not at every call"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
async def test_an_evaluation_and_its_judge(family: Family, corpus: Path, tmp_path: Path) -> None:
    question = 'Look up "Ada Brook", then "Cora Fenn": in what the last of these finds, '
    question += 'which date comes right after the words "{}"?'
    rows = [
        {"question": question.format("of Port Fenn in the year"), "answer": "1827"},
        {"question": question.format("of Port Brook in the year"), "answer": "the year 1801 or so"},
    ]
    path = tmp_path / "q.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    async with serving(family) as served:
        llm = f"gpt-x@{served.base_url}"
        given = {"corpus": str(corpus), "llm": llm, "judge": llm, "benchmarks": f"plain={path}"}
        config = resolve(EvalConfig, given)
        setup = open_eval_setup(config)
        try:
            await evaluating.evaluate(config, evaluating.questions_of(config), tmp_path / "run", setup)
        finally:
            await setup.aclose()
    with RunReader(tmp_path / "run") as run:
        trials = [(trial.stop.value, trial.answer, trial.searches) for trial in run.trials()]
        labels = [score.judgement.label.value for score in run.scores(0)]
    assert trials == [("finished", "1827", 2), ("finished", "1801", 2)]
    assert labels == ["right", "wrong"]


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
                with pytest.raises(ContextOverflow, match="read 2,048 tokens of a prompt that has 6,000 or more"):
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


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
async def test_each_roles_request_is_taken_and_its_reply_read(family: Family) -> None:
    async with serving(family) as served:
        llm = connect(f"gpt-x@{served.base_url}")
        try:
            rehearsed = await rehearse(llm)
        finally:
            await llm.aclose()
    assert [one.role for one in rehearsed if not (one.taken and one.usable)] == []
    assert len(rehearsed) == 6


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
    table = result.stdout.partition("What the endpoint takes")[2]
    printed = [" ".join(line.split()) for line in table.splitlines()]
    assert "role stop tools schema temperature length" in printed
    for row in rows:
        assert any(line.startswith(row) for line in printed), table
