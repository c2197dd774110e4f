"""Hybrid retrieval as a user gets it: by flags of `index` and `generate`, kept in a run, refused when it changes."""

import json
import sqlite3
from pathlib import Path

import pytest
import world
from typer.testing import CliRunner, Result

from questwell.cli.app import app
from questwell.errors import ConfigChanged, ConfigError
from questwell.llm.embeddings import EndpointEmbedder
from questwell.recipes.corpus.embedders import connect_embedder
from questwell.recipes.corpus.index import IndexConfig, open_index, open_ready
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.runs.caller import Caller
from questwell.retrieval.index.hybrid import HybridIndex
from questwell.store.reader import FILE_NAME

pytest.importorskip("onnxruntime")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hybrid")
    towns = [{"id": f"t{n}", "title": f"Town {n}", "text": f"Town {n} was founded by Ada {n}."} for n in range(40)]
    (folder / "c.jsonl").write_text("".join(json.dumps(town) + "\n" for town in towns))
    asked = [
        {
            "question": f"Who founded Town {n}?",
            "gold_doc_ids": [f"t{n}"],
            "decomposition": [{"question": f"Town {n} >> founder", "answer": f"Ada {n}", "gold_doc_id": f"t{n}"}],
        }
        for n in range(10)
    ]
    (folder / "q.jsonl").write_text("".join(json.dumps(one) + "\n" for one in asked))
    return folder


def test_index_makes_vectors_once_and_says_whose(corpus: Path, tmp_path: Path) -> None:
    flags = ["index", corpus / "c.jsonl", "--index", tmp_path, "--retriever", "hybrid", "--embedder", "wordllama"]
    made = call(*flags)
    assert made.exit_code == 0, made.output
    assert "Vectors: wordllama-l2-supercat-256" in made.stdout and "Embedding" in made.stderr
    again = call(*flags, "--dense-candidates", "--json")
    assert json.loads(again.stdout)["embedder"] == "wordllama-l2-supercat-256"
    assert "Embedding" not in again.stderr
    assert list(tmp_path.glob("vectors/*/neighbours.40.usearch"))
    plain = call("index", corpus / "c.jsonl", "--index", tmp_path, "--json")
    assert json.loads(plain.stdout)["embedder"] is None


@pytest.mark.parametrize("retriever", ["lexical", "hybrid"])
def test_evaluate_tells_recall_with_intervals(corpus: Path, tmp_path: Path, retriever: str) -> None:
    flags = ["--index", tmp_path, "--retriever", retriever, "--embedder", "wordllama"]
    shown = call("index", corpus / "c.jsonl", *flags, "--evaluate", corpus / "q.jsonl")
    assert shown.exit_code == 0, shown.output
    assert "10 questions, 10 parts, 40 passages" in shown.stdout and "recall@10" in shown.stdout
    told = json.loads(call("index", corpus / "c.jsonl", *flags, "--evaluate", corpus / "q.jsonl", "--json").stdout)
    assert told["recall"]["5"]["mean"] == told["parts"]["mean"] == 1.0
    assert 0.5 < told["parts"]["low"] < 0.99 < told["parts"]["high"] <= 1.0
    assert ("hybrid" in told["retriever"]) == (retriever == "hybrid")


def test_evaluate_refuses_questions_about_another_corpus(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"question": "x", "gold_doc_ids": ["t1", "elsewhere"]}')
    told = call("index", corpus / "c.jsonl", "--index", tmp_path / "i", "--evaluate", tmp_path / "q.jsonl")
    assert told.exit_code == 2
    assert "1 of 2 gold documents" in told.stderr and "'elsewhere'" in told.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--retriever", "hibrid"], "hybrid"),
        (["--embedder", "http://127.0.0.1:8000/v1"], "name one of: minilm, wordllama"),
        (["--embedder", "m@ftp://x"], "name one of"),
    ],
)
def test_what_is_no_retriever_or_embedder_is_a_usage_error(corpus: Path, flags: list[str], said: str) -> None:
    told = call("index", corpus / "c.jsonl", *flags)
    assert told.exit_code == 2
    assert said in told.stderr


def test_an_endpoint_is_named_by_model_and_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ConfigError, match="set OPENAI_API_KEY"):
        connect_embedder("openai:text-embedding-3-small")
    for named in ("BAAI/bge-m3@http://127.0.0.1:9/v1", "openai:BAAI/bge-m3@http://127.0.0.1:8/v1"):
        embedder = connect_embedder(named)
        assert isinstance(embedder, EndpointEmbedder) and embedder.name == "BAAI/bge-m3"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert connect_embedder("openai:m").name == "m"


async def test_an_index_opens_inside_an_event_loop_too(corpus: Path, tmp_path: Path) -> None:
    config = IndexConfig(corpus=str(corpus / "c.jsonl"), index=tmp_path, retriever="hybrid", embedder="wordllama")
    made = open_index(config)
    assert isinstance(made, HybridIndex)
    ready = open_ready(config)
    assert await ready.search("Who founded Town 7?", 3) == await made.search("Who founded Town 7?", 3)


async def test_a_run_keeps_its_retriever(library: Path, tmp_path: Path) -> None:
    given = world.values(library, seeds=2)
    hybrid = {**given, "retriever": "hybrid", "embedder": "wordllama"}
    config = configure(tmp_path / "run", hybrid, resume=False)
    await generate(config, tmp_path / "run", world.setup(config))
    config = configure(tmp_path / "run", {"seeds": 3}, resume=True)
    assert (config.retriever, config.embedder) == ("hybrid", "wordllama")
    setup = world.setup(config)
    assert "hybrid.1(wordllama-l2-supercat-256,0.3)" in setup.fingerprint()["retriever"]
    assert (await generate(config, tmp_path / "run", setup, Caller(resume=True))).ending == "complete"
    other = configure(tmp_path / "run", {"retriever": "lexical"}, resume=True)
    with pytest.raises(ConfigChanged, match="retriever: 'hybrid' -> 'lexical'"):
        await generate(other, tmp_path / "run", world.setup(other), Caller(resume=True))


async def test_a_run_from_before_these_keys_can_be_resumed(library: Path, tmp_path: Path) -> None:
    config = configure(tmp_path / "run", world.values(library, seeds=2), resume=False)
    await generate(config, tmp_path / "run", world.setup(config))
    with sqlite3.connect(tmp_path / "run" / FILE_NAME) as run:
        saved = json.loads(run.execute("SELECT value FROM meta WHERE key = 'run'").fetchone()[0])
        for key in ("retriever", "embedder", "dense_candidates"):
            del saved["config"][key]
        run.execute("UPDATE meta SET value = ? WHERE key = 'run'", (json.dumps(saved),))
    run.close()
    later = configure(tmp_path / "run", {"seeds": 3}, resume=True)
    assert (await generate(later, tmp_path / "run", world.setup(later), Caller(resume=True))).ending == "complete"
