"""Qdrant by its own client: against the client's in-process mode, which is Qdrant's own code for tests, and against a
loopback server that answers as the documented REST API (`/collections/...`) does.

No registry carries the server itself, so it was not tried against a real one.
"""

import http.server
import json
import threading
import warnings

import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient, models
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.errors import ConfigError, IndexMismatch, RetrievalRefused, RetrievalUnavailable
from questwell.http.retrying import Server
from questwell.retrieval.choose import RetrieverOptions, open_retriever
from questwell.retrieval.conftest import QUICK
from questwell.retrieval.remote.qdrant import QdrantRetriever
from questwell.retrieval.retriever import FilteringRetriever
from questwell.types.corpus import Passage

PASSAGES = [
    Passage("a#0", "Tea", "Tea is hot.", "a", metadata=(("lang", "en"), ("year", "2020"))),
    Passage("b#0", "Kaffee", "Tea ist kein Kaffee.", "b", 3, "CC0-1.0", ("Tea",), (("lang", "de"),)),
    Passage("c#0", "Milk", "Milk is white.", "c"),
]
WORDS = ("tea", "kaffee", "milk", "hot", "white")


class Counting:
    """A vector of how often each word stands in a text."""

    weight, batch, in_flight = 0.5, 8, 1

    def __init__(self, name="counting", size=5):
        self.name, self.size, self.closed = name, size, 0

    async def embed(self, texts):
        rows = np.array([[text.lower().count(word) for word in WORDS] for text in texts], np.float32)[:, : self.size]
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)

    async def aclose(self):
        self.closed += 1


def local(client, embedder=None, collection="passages"):
    return QdrantRetriever(client, collection, embedder or Counting(), Server("qdrant:here/passages", None), QUICK)


@pytest.fixture
async def client():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Payload indexes have no effect")
        yield AsyncQdrantClient(":memory:")


async def test_what_is_put_in_comes_back_whole(client):
    opened = local(client)
    assert await opened.fill(PASSAGES) == 3
    hits = await opened.search("kaffee", 2)
    assert (hits[0].passage, hits[0].rank) == (PASSAGES[1], 1)
    assert hits[0].score == pytest.approx(2 / 5**0.5, abs=1e-5)  # one tea, two kaffee
    assert await opened.fill(PASSAGES[:1]) == 1  # again: no passage twice
    assert len(await opened.search("tea kaffee milk", 9)) == 3
    assert isinstance(opened, FilteringRetriever)
    assert await opened.search("?!", 3) == await opened.search("tea", 0) == ()
    assert opened.name == "qdrant:here/passages+counting"
    embedder = opened._embedder
    await opened.aclose()
    assert embedder.closed == 1


async def test_many_queries_filters_and_narrowing(client):
    opened = local(client)
    await opened.fill(PASSAGES)
    found = await opened.search_many(["milk", "?!", "kaffee \ud800"], 1)
    assert [[hit.passage.id for hit in hits] for hits in found] == [["c#0"], [], ["b#0"]]

    async def ids(where):
        return sorted(hit.passage.id for hit in (await opened.search_where(["tea"], 5, where))[0])

    assert await ids({"lang": "en"}) == ["a#0"]
    assert await ids({"lang": ["en", "de"]}) == ["a#0", "b#0"]
    assert await ids({"lang": ["en", "de"], "year": "2020"}) == ["a#0"]
    assert await ids({"lang": "fr"}) == []
    opened.narrow({"lang": ["en"]})
    assert await ids({}) == ["a#0"]
    assert await ids({"lang": ["de", "en"]}) == ["a#0"]
    assert await ids({"lang": "de"}) == []
    assert opened.name.endswith('+where({"lang": ["en"]})')


async def test_equal_scores_are_ordered_by_id(client):
    opened = local(client)
    await opened.fill([Passage(f"p{n}", "", "tea", "d") for n in (3, 1, 2)])
    assert [hit.passage.id for hit in await opened.search("tea", 3)] == ["p1", "p2", "p3"]


async def test_another_embedder_is_refused(client):
    await local(client).fill(PASSAGES)
    with pytest.raises(IndexMismatch, match="'counting', and queries are embedded by 'other'"):
        await local(client, Counting("other")).search("tea", 1)
    with pytest.raises(IndexMismatch, match="holds vectors of 5 numbers, and small makes 3"):
        await local(client, Counting("small", 3)).fill(PASSAGES)


async def test_a_collection_that_others_filled(client):
    size = models.VectorParams(size=5, distance=models.Distance.COSINE)
    await client.create_collection("theirs", vectors_config={"text": size})
    payload = {"title": "Tea", "content": "x", "text": "Tea is hot."}
    await client.upsert("theirs", [models.PointStruct(id=7, vector={"text": [1.0, 0, 0, 1, 0]}, payload=payload)])
    (hit,) = await local(client, collection="theirs").search("hot tea", 3)
    assert (hit.passage.id, hit.passage.title, hit.passage.text) == ("7", "Tea", "Tea is hot.")
    await client.create_collection("many", vectors_config={"a": size, "b": size})
    with pytest.raises(ConfigError, match="holds the vectors a, b"):
        await local(client, collection="many").search("tea", 1)


# --- over HTTP, as documented


class Store(http.server.BaseHTTPRequestHandler):
    """What api.qdrant.tech documents of collections and points, over the client's in-process collection's semantics."""

    protocol_version = "HTTP/1.1"

    def handle_call(self):
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.loads(raw) if raw else None
        self.server.asked.append((self.command, self.path.partition("?")[0], dict(self.headers.items()), body))
        if self.server.failing:
            self.answer(*self.server.failing.pop(0))
            return
        points = self.server.points
        match self.command, self.path.partition("?")[0].split("/")[1:]:
            case "GET", ["collections", _, "exists"]:
                self.answer(200, {"exists": points is not None})
            case "GET", ["collections", name] if points is None:
                self.answer(404, {"error": f"Not found: Collection `{name}` doesn't exist!"}, failed=True)
            case "GET", ["collections", _]:
                self.answer(200, self.server.info)
            case "PUT", ["collections", _]:
                self.server.points = {}
                self.server.info["config"]["params"]["vectors"] = body["vectors"]
                self.answer(200, True)
            case "PUT", ["collections", _, "index"]:
                self.answer(200, {"operation_id": 1, "status": "completed"})
            case "PUT", ["collections", _, "points"]:
                points.update({point["id"]: point for point in body["points"]})
                self.answer(200, {"operation_id": 2, "status": "completed"})
            case "POST", ["collections", _, "points", "query", "batch"]:
                self.answer(200, [{"points": self.nearest(one)} for one in body["searches"]])
            case _:
                self.answer(400, {"error": f"{self.command} {self.path}"}, failed=True)

    def nearest(self, asked):
        def kept(point):
            return all(
                set(must["match"]["any"]) & set(point["payload"][must["key"]])
                for must in (asked.get("filter") or {}).get("must", [])
            )

        scored = [
            {
                "id": point["id"],
                "version": 1,
                "payload": point["payload"],
                "score": float(np.dot(point["vector"], asked["query"]["nearest"])),
            }
            for point in self.server.points.values()
            if kept(point)
        ]
        return sorted(scored, key=lambda one: -one["score"])[: asked["limit"]]

    def answer(self, status, result, *, failed=False, headers=()):
        told = {"status": result} if failed or status >= 400 else {"result": result, "status": "ok"}
        raw = json.dumps(told | {"time": 0.001}).encode()
        self.send_response(status)
        for name, value in (("content-type", "application/json"), ("content-length", str(len(raw))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_PUT = do_POST = handle_call

    def log_message(self, *_):
        pass


INFO = {
    "status": "green",
    "optimizer_status": "ok",
    "points_count": 0,
    "indexed_vectors_count": 0,
    "segments_count": 1,
    "payload_schema": {},
    "config": {
        "params": {"vectors": {}, "shard_number": 1, "replication_factor": 1, "on_disk_payload": True},
        "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
        "optimizer_config": {
            "deleted_threshold": 0.2,
            "vacuum_min_vector_number": 1000,
            "default_segment_number": 0,
            "flush_interval_sec": 5,
        },
        "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
    },
}


@pytest.fixture
def store(monkeypatch):
    monkeypatch.delenv("QUESTWELL_RETRIEVER_KEY", raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        server.daemon_threads = True
        server.points, server.asked, server.failing, server.info = None, [], [], json.loads(json.dumps(INFO))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.spec = f"http://127.0.0.1:{server.server_port}/passages"
        yield server
        server.shutdown()


def opened(store, **more):
    return open_retriever(f"qdrant:{store.spec}", RetrieverOptions(embedder=Counting, calls=QUICK, **more))


async def test_over_http_it_is_the_same(store, client):
    remote, here = opened(store), local(client)
    for one in (remote, here):
        assert await one.fill(PASSAGES) == 3
    for query, where in (("tea kaffee", {}), ("milk", {}), ("tea", {"lang": ["de", "fr"]})):
        (there,) = await remote.search_where([query], 3, where)
        (near,) = await here.search_where([query], 3, where)
        assert [hit.passage for hit in there] == [hit.passage for hit in near]
        assert [hit.score for hit in there] == pytest.approx([hit.score for hit in near], abs=1e-5)
    await remote.aclose()


async def test_key_and_headers(store, monkeypatch):
    store.points = {}
    store.info["config"]["params"]["vectors"] = {"size": 5, "distance": "Cosine"}
    monkeypatch.setenv("MY_KEY", "k-secret-1")
    monkeypatch.setenv("TENANT", "seven")
    remote = opened(store, key_name="MY_KEY", headers={"X-Tenant": "$TENANT"})
    assert await remote.search("tea", 1) == ()
    for _, _, headers, _ in store.asked:
        sent = {name.lower(): value for name, value in headers.items()}
        assert (sent["api-key"], sent["x-tenant"]) == ("k-secret-1", "seven")
    await remote.aclose()


@pytest.mark.parametrize(
    ("status", "headers", "error", "says", "tries"),
    [
        (401, (), RetrievalRefused, "QUESTWELL_RETRIEVER_KEY", 1),
        (404, (), RetrievalRefused, "there is no collection 'passages'.*--to qdrant:http", 1),
        (400, (), RetrievalRefused, "check the address", 1),
        (429, (("retry-after", "0"),), RetrievalUnavailable, "status 429.*after 2 retries", 3),
        (503, (), RetrievalUnavailable, "status 503.*after 2 retries", 3),
    ],
)
async def test_statuses(store, status, headers, error, says, tries):
    class Failing(Store):
        pass

    remote = opened(store)
    store.failing = [(status, {"error": "why"})] * 9
    if headers:
        plain = Store.answer
        store.RequestHandlerClass = type(
            "Headed",
            (Store,),
            {"answer": lambda self, code, result, **more: plain(self, code, result, headers=headers)},
        )
    with pytest.raises(error, match=says):
        await remote.search("tea", 1)
    assert len(store.asked) == tries
    await remote.aclose()


async def test_no_server_no_collection_no_embedder(store):
    nobody = QdrantRetriever.connect("http://127.0.0.1:9/x", Counting, QUICK)
    with pytest.raises(RetrievalUnavailable, match="no connection"):
        await nobody.search("tea", 1)
    await nobody.aclose()
    with pytest.raises(ConfigError, match="add the collection"):
        QdrantRetriever.connect("http://127.0.0.1:6333", Counting, QUICK)
    with pytest.raises(ConfigError, match="needs an embedder"):
        open_retriever(f"qdrant:{store.spec}")


def test_the_command_fills_a_server(store, tmp_path):
    corpus = tmp_path / "c.jsonl"
    corpus.write_text("".join(json.dumps({"id": f"d{n}", "title": "T", "text": f"tea {n}"}) + "\n" for n in range(7)))
    flags = ["index", str(corpus), "--index", str(tmp_path / "index"), "--embedder", "wordllama"]
    done = CliRunner().invoke(app, [*flags, "--to", f"qdrant:{store.spec}"])
    assert done.exit_code == 0, done.output
    assert "7 passages" in done.output
    assert len(store.points) == 7
    assert store.info["config"]["params"]["vectors"]["size"] == 256
    wrong = CliRunner().invoke(app, [*flags, "--to", "elsewhere:x"])
    assert wrong.exit_code == 2 and "qdrant:URL/COLLECTION" in wrong.output
