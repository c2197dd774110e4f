"""Qdrant by its own client: against the client's in-process mode, which is Qdrant's own code for tests, and against a
loopback server that answers as the documented REST API (`/collections/...`) does.

No registry carries the server itself, so it was not tried against a real one.
"""

import http.server
import json
import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient, models
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.errors import ConfigError, IndexMismatch, MalformedHits, RetrievalRefused, RetrievalUnavailable
from questwell.http.retrying import Server
from questwell.retrieval.choose import RetrieverOptions, open_retriever
from questwell.retrieval.conftest import QUICK
from questwell.retrieval.remote.qdrant import QdrantRetriever
from questwell.retrieval.retriever import DocumentReader, FilteringRetriever
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
    assert isinstance(opened, FilteringRetriever) and isinstance(opened, DocumentReader)
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
    with pytest.raises(IndexMismatch, match="'counting', but queries are embedded by 'other'"):
        await local(client, Counting("other")).search("tea", 1)
    with pytest.raises(IndexMismatch, match="has vectors of 5 numbers, but small makes 3"):
        await local(client, Counting("small", 3)).fill(PASSAGES)


async def test_a_collection_that_others_filled(client):
    size = models.VectorParams(size=5, distance=models.Distance.COSINE)
    await client.create_collection("theirs", vectors_config={"text": size})
    payload = {"title": "Tea", "content": "x", "text": "Tea is hot."}
    await client.upsert("theirs", [models.PointStruct(id=7, vector={"text": [1.0, 0, 0, 1, 0]}, payload=payload)])
    (hit,) = await local(client, collection="theirs").search("hot tea", 3)
    assert (hit.passage.id, hit.passage.title, hit.passage.text) == ("7", "Tea", "Tea is hot.")
    await client.create_collection("many", vectors_config={"a": size, "b": size})
    with pytest.raises(ConfigError, match="has the vectors a, b"):
        await local(client, collection="many").search("tea", 1)


WHOLE = [Passage(f"tea#{n}", "Tea", f"Leaf {n} of {'hot ' * n}tea {'x' * 900}.", "tea", 1_000 * n) for n in range(12)]


async def test_a_whole_document_page_by_page_and_a_search_inside_it(client, monkeypatch):
    opened = local(client)
    await opened.fill([*PASSAGES, *reversed(WHOLE)])
    for at_once in (500, 5):
        monkeypatch.setattr("questwell.retrieval.remote.qdrant._READ_AT_ONCE", at_once)
        pages = [await opened.read_page(identifier, page) for identifier in ("tea", "tea#11") for page in (1, 2, 3)]
        assert [page.page for page in pages] == [1, 2, 3] * 2 and {page.pages for page in pages} == {3}
        assert [one for page in pages[:3] for one in page.passages] == WHOLE
        assert pages[:3] == pages[3:]
    assert (await opened.read_page("tea", 4)).passages == ()
    for nobody in ("nobody", "7", "5b0c8b8e-6a5e-4b0e-9d43-6f1f6c3e2a10"):
        assert await opened.read_page(nobody, 1) is None
    assert [hit.passage.id for hit in await opened.find_in("tea#2", "hot", 2)] == ["tea#11", "tea#10"]
    assert {hit.passage.document_id for hit in await opened.find_in("a", "hot tea", 9)} == {"a"}
    assert await opened.find_in("tea", "?!", 3) == ()
    assert await opened.find_in("nobody", "tea", 3) is None
    monkeypatch.setattr("questwell.retrieval.remote.stored.MOST_PASSAGES", 11)
    with pytest.raises(RetrievalRefused, match="'tea' has more than 11 passages"):
        await opened.read_page("tea", 1)
    opened.narrow({"lang": ["de"]})
    assert await opened.read_page("tea", 1) is None
    assert (await opened.read_page("b", 1)).passages == (PASSAGES[1],)


@pytest.mark.parametrize(
    ("identifier", "payload", "says"),
    [
        ("7", {"text": "Tea is hot."}, "no field 'document_id'"),
        ("nobody", {"text": "Tea is hot."}, "no field 'document_id'"),
        ("d", {"text": "Tea is hot.", "document_id": "d"}, "no field 'offset'"),
        ("7", {"text": "Tea is hot.", "document_id": "d"}, "no field 'offset'"),
    ],
)
async def test_a_collection_that_others_filled_says_what_it_lacks(client, identifier, payload, says):
    size = models.VectorParams(size=5, distance=models.Distance.COSINE)
    await client.create_collection("theirs", vectors_config=size)
    points = [models.PointStruct(id=n, vector=[1.0, 0, 0, n, 0], payload=payload) for n in (7, 8)]
    await client.upsert("theirs", points)
    opened = local(client, collection="theirs")
    with pytest.raises(RetrievalRefused, match=says):
        await opened.read_page(identifier, 1)


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
            case "POST", ["collections", _, "points", "scroll"]:
                held = sorted(points.values(), key=lambda point: point["id"])
                held = [
                    point
                    for point in held
                    if self.kept(point, body["filter"]) and point["id"] >= (body.get("offset") or "")
                ]
                page, rest = held[: body["limit"]], held[body["limit"] :]
                listed = [{"id": point["id"], "payload": point["payload"]} for point in page]
                self.answer(200, {"points": listed, "next_page_offset": rest[0]["id"] if rest else None})
            case _:
                self.answer(400, {"error": f"{self.command} {self.path}"}, failed=True)

    def nearest(self, asked):
        scored = [
            {
                "id": point["id"],
                "version": 1,
                "payload": point["payload"],
                "score": float(np.dot(point["vector"], asked["query"]["nearest"])),
            }
            for point in self.server.points.values()
            if self.kept(point, asked.get("filter"))
        ]
        return sorted(scored, key=lambda one: -one["score"])[: asked["limit"]]

    def kept(self, point, among):
        def lets_through(must):
            match must:
                case {"key": key, "match": {"any": values}}:
                    return set(values) & set(point["payload"][key])
                case {"key": key, "match": {"value": value}}:
                    return point["payload"].get(key) == value
                case {"has_id": ids}:
                    return point["id"] in ids

        return all(map(lets_through, (among or {}).get("must") or ()))

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


async def test_over_http_it_is_the_same(store, client, monkeypatch):
    remote, here = opened(store), local(client)
    for one in (remote, here):
        assert await one.fill(PASSAGES) == 3
    for query, where in (("tea kaffee", {}), ("milk", {}), ("tea", {"lang": ["de", "fr"]})):
        (there,) = await remote.search_where([query], 3, where)
        (near,) = await here.search_where([query], 3, where)
        assert [hit.passage for hit in there] == [hit.passage for hit in near]
        assert [hit.score for hit in there] == pytest.approx([hit.score for hit in near], abs=1e-5)
    for one in (remote, here):
        assert await one.fill(WHOLE) == 12
    monkeypatch.setattr("questwell.retrieval.remote.qdrant._READ_AT_ONCE", 5)
    assert await remote.read_page("tea#3", 2) == await here.read_page("tea", 2)
    assert len(await remote.find_in("tea", "hot", 3)) == 3
    await remote.aclose()


async def test_a_reply_is_bounded(store):
    store.points = {}
    store.failing = [(200, {"filler": "x" * 100_000})]
    small = open_retriever(
        f"qdrant:{store.spec}", RetrieverOptions(embedder=Counting, calls=replace(QUICK, most_bytes=50_000))
    )
    with pytest.raises(MalformedHits, match="more than 50000 bytes"):
        await small.search("tea", 1)
    await small.aclose()


async def test_this_machine_is_asked_past_any_proxy(store, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    remote = opened(store)
    assert await remote.fill(PASSAGES) == 3
    await remote.aclose()


def test_doctor_tries_a_collection_with_the_embedder_of_a_run(store, tmp_path, monkeypatch):
    corpus = tmp_path / "c.jsonl"
    corpus.write_text('{"id": "a", "title": "T", "text": "The capital of France is Paris."}\n')
    flags = ["index", str(corpus), "--index", str(tmp_path / "index"), "--embedder", "wordllama"]
    assert CliRunner().invoke(app, [*flags, "--to", f"qdrant:{store.spec}"]).exit_code == 0
    check = ["doctor", "--retriever", f"qdrant:{store.spec}", "--embedder"]
    monkeypatch.setenv("MINE", "k-secret-1")
    more = ["--retriever-key-env", "MINE", "--retriever-headers", "X-Tenant=seven"]
    done = CliRunner().invoke(app, [*check, "wordllama", *more])
    assert "gave 1 hits" in done.output and done.exit_code == 0, done.output
    sent = {name.lower(): value for name, value in store.asked[-1][2].items()}
    assert (sent["api-key"], sent["x-tenant"]) == ("k-secret-1", "seven")
    for point in store.points.values():
        point["payload"]["questwell_embedder"] = "other"
    done = CliRunner().invoke(app, [*check, "wordllama"])
    assert "name the embedder that filled the collection by --embedder" in " ".join(done.output.split())
    assert done.exit_code == 1
    assert "unknown embedder" in CliRunner().invoke(app, [*check, "nonsense"]).output


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


def test_the_command_fills_a_server(store, tmp_path, monkeypatch):
    corpus = tmp_path / "c.jsonl"
    corpus.write_text("".join(json.dumps({"id": f"d{n}", "title": "T", "text": f"tea {n}"}) + "\n" for n in range(7)))
    flags = ["index", str(corpus), "--index", str(tmp_path / "index"), "--embedder", "wordllama"]
    done = CliRunner().invoke(app, [*flags, "--to", f"qdrant:{store.spec}"])
    assert done.exit_code == 0, done.output
    assert "7 passages" in done.output
    assert len(store.points) == 7
    monkeypatch.setenv("MINE", "k-secret-1")
    more = ["--retriever-key-env", "MINE", "--retriever-headers", "X-Tenant=seven"]
    done = CliRunner().invoke(app, [*flags, "--to", f"qdrant:{store.spec}", *more])
    assert done.exit_code == 0, done.output
    sent = {name.lower(): value for name, value in store.asked[-1][2].items()}
    assert (sent["api-key"], sent["x-tenant"]) == ("k-secret-1", "seven")
    assert store.info["config"]["params"]["vectors"]["size"] == 256
    wrong = CliRunner().invoke(app, [*flags, "--to", "elsewhere:x"])
    assert wrong.exit_code == 2 and "qdrant:URL/COLLECTION" in wrong.output


@pytest.mark.parametrize(("again", "expected"), [(True, None), (False, 12)])
async def test_a_server_whose_pages_never_end_is_left(client, monkeypatch, again, expected):
    """It names a next page for ever: the same points again, or none any more."""
    opened = local(client)
    await opened.fill([*PASSAGES, *WHOLE])
    whole, asked = client.scroll, []

    async def endless(*given, offset=None, **more):
        asked.append(offset)
        points, _ = await whole(*given, offset=None, **more)
        return (points if again or len(asked) == 1 else []), "5b0c8b8e-6a5e-4b0e-9d43-6f1f6c3e2a10"

    monkeypatch.setattr(client, "scroll", endless)
    monkeypatch.setattr("questwell.retrieval.remote.stored.MOST_PASSAGES", 40)
    if expected is None:
        with pytest.raises(RetrievalRefused, match="'tea' has more than 40 passages"):
            await opened.passages_of("tea")
        assert len(asked) == 4
    else:
        assert len(await opened.passages_of("tea")) == expected and len(asked) == 2
