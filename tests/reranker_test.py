"""`--reranker` as a user gives it: in a run and its resume, in an evaluation, while serving, and for recall."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
import world
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.errors import ConfigChanged, ConfigError
from questwell.recipes.corpus.rerankers import connect_reranker
from questwell.recipes.corpus.serve import ServeConfig, prepare
from questwell.recipes.evaluate.config import EvalConfig
from questwell.recipes.evaluate.setup import open_eval_setup
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.reports.status import status
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.ending import Ending
from questwell.retrieval import conftest
from questwell.retrieval.embedders.conftest import write_model

SEEDS = 4
serving = conftest.serving


class Endpoint(BaseHTTPRequestHandler):
    """Keeps the order of what it gets, or turns it round."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(asked)  # type: ignore[attr-defined]
        sign = -1 if self.server.keeps else 1  # type: ignore[attr-defined]
        results = [{"index": n, "relevance_score": sign * n} for n in range(len(asked["documents"]))]
        raw = json.dumps({"results": results}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        server.daemon_threads = True
        server.asked, server.keeps = [], True  # type: ignore[attr-defined]
        server.url = f"http://127.0.0.1:{server.server_port}/v1/rerank"  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


async def play(library: Path, run: Path, *, resume: bool = False, **given: object):
    config = configure(run, given if resume else world.values(library, seeds=SEEDS, **given), resume=resume)
    setup = await asyncio.to_thread(world.setup, config)
    try:
        return await generate(config, run, setup, Caller(resume=resume))
    finally:
        await setup.aclose()


async def test_a_run_reranks_pays_and_resumes(library: Path, tmp_path: Path, endpoint) -> None:
    given = {"reranker": f"ranker@{endpoint.url}", "rerank_candidates": 7, "price_rerank": 2.0}
    with pytest.raises(ConfigError, match="--price-rerank"):
        await play(library, tmp_path / "refused", max_cost=1.0, **{**given, "price_rerank": None})
    report = await play(library, tmp_path / "run", max_cost=9.0, **given)
    assert report.ending is Ending.COMPLETE, report.message
    asked = endpoint.asked
    assert asked and {one["model"] for one in asked} == {"ranker"}
    assert max(len(one["documents"]) for one in asked) == 7
    spent, calls = status(tmp_path / "run").spending, len(asked)
    assert spent.searches == calls  # each search was reranked once
    assert spent.searches_cost_usd == pytest.approx(0.002 * calls)
    await play(library, tmp_path / "run", resume=True)
    assert len(asked) == calls
    assert status(tmp_path / "run").spending == spent
    with pytest.raises(ConfigChanged, match="rerank_candidates"):
        await play(library, tmp_path / "run", resume=True, rerank_candidates=8)


async def test_an_evaluation_and_a_cross_encoder(library: Path, tmp_path: Path, endpoint) -> None:
    write_model(tmp_path / "tiny")
    given = {key: world.values(library)[key] for key in ("corpus", "index", "prompts", "llm")}
    bench = tmp_path / "q.jsonl"
    bench.write_text('{"question": "q", "answer": "a"}\n')
    names = []
    for reranker in (str(tmp_path / "tiny"), endpoint.url):
        config = resolve(
            EvalConfig, {**given, "benchmarks": f"plain={bench}", "reranker": reranker, "judge": "exact_match"}
        )
        opened = await asyncio.to_thread(open_eval_setup, config)
        assert len(await opened.retriever.search("bridge number", 3)) == 3
        names.append(opened.fingerprint()["retriever"])
        await opened.aclose()
    assert "+rerank.1(tiny-" in names[0]
    assert names[1].endswith(f"+rerank.1({endpoint.url},50)")


async def test_served_hits_are_reranked(library: Path, endpoint, serving) -> None:
    given = {key: world.values(library)[key] for key in ("corpus", "index")}
    turned = {**given, "reranker": endpoint.url, "rerank_candidates": 5}
    openings = {
        name: await asyncio.to_thread(prepare, resolve(ServeConfig, keys))
        for name, keys in (("plain", given), ("turned", turned))
    }
    endpoint.keeps = False
    found = {}
    for name, opening in openings.items():
        async with serving(opening) as url, httpx2.AsyncClient() as http:
            asked = {"queries": ["bridge number"], "topk": 5, "where": {}}
            reply = (await http.post(f"{url}/retrieve", json=asked)).json()
            found[name] = [one["id"] for one in reply["result"][0]]
            assert (await http.get(f"{url}/docs/{found[name][0]}")).status_code == 200
    assert found["turned"] == found["plain"][::-1]


def test_recall_is_measured_with_it(tmp_path: Path, endpoint) -> None:
    rows = [{"id": f"t{n}", "title": f"Town {n}", "text": f"Town {n} was founded by Ada."} for n in range(40)]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = [{"question": f"Who founded Town {n}?", "gold_doc_ids": [f"t{n}"]} for n in range(5)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    flags = [
        "index",
        str(tmp_path / "c.jsonl"),
        "--index",
        str(tmp_path / "i"),
        "--evaluate",
        str(tmp_path / "q.jsonl"),
    ]
    flags += ["--reranker", endpoint.url, "--json"]
    means = []
    for keeps in (True, False):
        endpoint.keeps = keeps
        told = CliRunner().invoke(app, flags)
        assert told.exit_code == 0, told.output
        report = json.loads(told.stdout)
        assert "+rerank.1(" in report["retriever"]
        means.append(report["recall"]["5"]["mean"])
    assert means == [1.0, 0.0]


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("nowhere", "neither an address nor an existing folder"),
        (".", r"no model\.onnx"),
        ("m@http://", "is not an address"),
    ],
)
def test_what_is_no_reranker(named: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=says):
        connect_reranker(named)


def test_keys_go_to_their_own_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def header(named: str) -> str | None:
        return connect_reranker(named)._caller._connections._headers.get("authorization")  # type: ignore[attr-defined]

    monkeypatch.setenv("COHERE_API_KEY", "of-cohere")
    monkeypatch.setenv("JINA_API_KEY", "of-jina")
    monkeypatch.delenv("QUESTWELL_RERANKER_KEY", raising=False)
    assert header("m@https://api.cohere.com/v2/rerank") == "Bearer of-cohere"
    assert header("m@https://api.jina.ai/v1/rerank") == "Bearer of-jina"
    assert header("m@https://elsewhere.example/rerank") is None
    monkeypatch.setenv("QUESTWELL_RERANKER_KEY", "named")
    assert header("m@https://elsewhere.example/rerank") == "Bearer named"
