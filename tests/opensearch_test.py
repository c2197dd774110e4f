"""OpenSearch by its own client, against a server that speaks its documented API (`_msearch`, `_bulk`, indices).

No registry carries the server itself, so this is a contract as the documentation has it, not the real server.
"""

import gzip
import http.server
import json
import socket
import threading
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.errors import ConfigError, MalformedHits, RetrievalRefused, RetrievalTimeout, RetrievalUnavailable
from questwell.retrieval.choose import RetrieverOptions, open_retriever, retriever_key
from questwell.retrieval.conftest import QUICK
from questwell.retrieval.remote.calling import CallOptions
from questwell.retrieval.remote.opensearch import FACETS, OpenSearchRetriever
from questwell.retrieval.retriever import DocumentReader, FilteringRetriever
from questwell.types.corpus import Passage

PASSAGES = [
    Passage("a#0", "Tea", "Tea is hot.", "a", metadata=(("lang", "en"), ("year", "2020"))),
    Passage("b#0", "Kaffee", "Tea ist kein Kaffee.", "b", 3, "CC0-1.0", ("Tea",), (("lang", "de"),)),
    Passage("c#0", "Milk", "Milk is white.", "c"),
]


class Cluster(http.server.BaseHTTPRequestHandler):
    """Keeps documents by index; a query finds those that hold one of its words, scored by how many."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(None, 200 if self.path.strip("/") in self.server.indices else 404)

    def do_PUT(self):
        self.server.indices[self.path.strip("/")] = {}
        self.server.mapping = self.body()
        self.answer({"acknowledged": True, "shards_acknowledged": True, "index": self.path.strip("/")})

    def do_GET(self):
        index = self.path.split("/")[1]
        if index not in self.server.indices:
            error = {"type": "index_not_found_exception", "reason": f"no such index [{index}]"}
            self.answer({"error": error, "status": 404}, 404)
        else:
            self.answer({index: self.server.mapping})

    def do_POST(self):
        self.server.asked.append((self.path, self.headers.get("authorization")))
        self.server.tenants.append(self.headers.get("x-tenant"))
        if self.server.failing:
            status, body = self.server.failing.pop(0)
            self.body()
            self.answer(body, status)
        elif self.path.endswith("/_bulk"):
            lines = self.lines()
            for action, source in zip(lines[::2], lines[1::2], strict=True):
                self.server.indices[action["index"]["_index"]][action["index"]["_id"]] = source
            done = [{"index": {**action["index"], "status": 201, "result": "created"}} for action in lines[::2]]
            self.answer({"took": 1, "errors": False, "items": done})
        elif self.path.endswith("/_msearch"):
            lines = self.lines()
            found = [self.search(head["index"], body) for head, body in zip(lines[::2], lines[1::2], strict=True)]
            self.answer({"took": 1, "responses": found})
        elif self.path.endswith("/_search"):
            index = self.path.split("/")[1]
            self.answer(self.search(index, self.body()))
        else:
            self.answer({"_shards": {"total": 2, "successful": 2, "failed": 0}})

    def search(self, index, body):
        if index not in self.server.indices:
            reason = f"no such index [{index}]"
            return {"error": {"type": "index_not_found_exception", "reason": reason}, "status": 404}
        asked = body["query"]["bool"]
        must = asked.get("must")
        words = set(must[0]["multi_match"]["query"].lower().split()) if must else None
        hits = []
        for identifier, source in self.server.indices[index].items():
            held = set(f"{source['title']} {source['text']}".lower().strip(".").split())
            score = 0.0 if words is None else float(len(words & held))
            kept = all(self.lets_through(one, identifier, source) for one in asked["filter"])
            if (score or words is None) and kept:
                hits.append(
                    {
                        "_index": index,
                        "_id": identifier,
                        "_score": score,
                        "_source": source,
                        "sort": [score, identifier],
                    }
                )
        hits.sort(key=lambda hit: (-hit["_score"], hit["_id"]))
        total, first = {"value": len(hits), "relation": "eq"}, body.get("from", 0)
        hits = hits[first : first + body["size"]]
        return {"took": 1, "timed_out": False, "hits": {"total": total, "hits": hits}, "status": 200}

    def lets_through(self, asked, identifier, source):
        match asked:
            case {"terms": {"questwell_facets": values}}:
                return bool(set(values) & set(source.get(FACETS, ())))
            case {"ids": {"values": values}}:
                return identifier in values
            case {"term": term}:
                ((field, value),) = term.items()
                return source.get(field.partition(".")[0]) == value

    def body(self):
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        return json.loads(raw) if raw.strip().startswith(b"{") and b"\n{" not in raw else raw

    def lines(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        return [json.loads(line) for line in raw.splitlines() if line]

    def answer(self, body, status=200):
        raw = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


@pytest.fixture
def cluster():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cluster) as server:
        server.daemon_threads = True
        server.indices, server.asked, server.failing = {}, [], []
        server.tenants = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.spec = f"http://127.0.0.1:{server.server_port}/passages"
        yield server
        server.shutdown()


@pytest.fixture
async def filled(cluster):
    opened = OpenSearchRetriever(cluster.spec, QUICK)
    assert await opened.fill(PASSAGES) == 3
    yield opened
    await opened.aclose()


async def test_what_is_put_in_comes_back_whole(cluster, filled):
    assert cluster.mapping["mappings"]["properties"]["title"] == {"type": "text"}
    hits = await filled.search("tea kaffee", 5)
    assert [(hit.passage, hit.score, hit.rank) for hit in hits] == [(PASSAGES[1], 2.0, 1), (PASSAGES[0], 1.0, 2)]
    assert [hit.passage.id for hit in await filled.search("tea", 1)] == ["a#0"]  # equal scores: by id
    assert await filled.fill(PASSAGES) == 3  # again: the same index, no passage twice
    assert len(await filled.search("tea kaffee milk", 9)) == 3
    assert isinstance(filled, FilteringRetriever) and isinstance(filled, DocumentReader)


async def test_many_queries_are_one_call_and_what_cannot_be_searched_is_none(cluster, filled):
    before = len(cluster.asked)
    found = await filled.search_many(["milk", "?!", "nothing", "kaffee OR (", "\ud800 tea"], 3)
    assert [[hit.passage.id for hit in hits] for hits in found] == [["c#0"], [], [], ["b#0"], ["a#0", "b#0"]]
    assert len(cluster.asked) == before + 1
    assert await filled.search("?!", 3) == await filled.search("tea", 0) == ()
    assert len(cluster.asked) == before + 1


async def test_filters(filled):
    async def ids(where):
        return [hit.passage.id for hit in (await filled.search_where(["tea"], 5, where))[0]]

    assert await ids({"lang": "en"}) == ["a#0"]
    assert await ids({"lang": ["en", "de"]}) == ["a#0", "b#0"]
    assert await ids({"lang": ["en", "de"], "year": "2020"}) == ["a#0"]
    assert await ids({"lang": "fr"}) == []


WHOLE = [Passage(f"tea#{n}", "Tea", f"Leaf {n} of tea {'x' * 900}.", "tea", 1_000 * n) for n in range(12)]


async def test_a_whole_document_page_by_page_and_a_search_inside_it(filled, monkeypatch):
    await filled.fill(reversed(WHOLE))
    for at_once in (1_000, 5):
        monkeypatch.setattr("questwell.retrieval.remote.opensearch._READ_AT_ONCE", at_once)
        pages = [await filled.read_page(identifier, page) for identifier in ("tea", "tea#11") for page in (1, 2, 3)]
        assert [page.page for page in pages] == [1, 2, 3] * 2 and {page.pages for page in pages} == {3}
        assert [one for page in pages[:3] for one in page.passages] == WHOLE  # not by id, where #10 is before #2
        assert pages[:3] == pages[3:]
    assert (await filled.read_page("tea", 4)).passages == ()
    assert await filled.read_page("nobody", 1) is None
    assert [hit.passage.id for hit in await filled.find_in("tea#2", "11 leaf", 2)] == ["tea#11", "tea#0"]
    assert await filled.find_in("c", "tea", 3) == await filled.find_in("tea", "?!", 3) == ()
    assert await filled.find_in("nobody", "tea", 3) is None
    filled.narrow({"lang": ["de"]})
    assert await filled.read_page("tea", 1) is None
    assert (await filled.read_page("b", 1)).passages == (PASSAGES[1],)


async def test_what_is_too_long_to_read_whole_is_refused(filled, monkeypatch):
    await filled.fill(WHOLE)
    monkeypatch.setattr("questwell.retrieval.remote.stored.MOST_PASSAGES", 11)
    with pytest.raises(RetrievalRefused, match="'tea' has more than 11 passages"):
        await filled.read_page("tea", 1)


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"text": {"type": "text"}}, "no field 'document_id'"),
        ({"document_id": {"type": "text"}}, "no field 'document_id'"),
        ({"document_id": {"type": "text", "fields": {"raw": {"type": "keyword"}}}}, "no field 'offset'"),
        ({"document_id": {"type": "keyword"}}, "no field 'offset'"),
    ],
)
async def test_an_index_that_others_filled_says_what_it_lacks(cluster, properties, says):
    cluster.mapping = {"mappings": {"properties": properties}}
    cluster.indices["passages"] = {
        str(n): {"title": "Tea", "text": f"tea {n}", "document_id": "d" if n else "alone"} for n in range(3)
    }
    opened = OpenSearchRetriever(cluster.spec, QUICK)
    with pytest.raises(RetrievalRefused, match=says):
        await opened.read_page("d", 1)
    if "offset" in says:
        assert [one.text for one in (await opened.read_page("alone", 1)).passages] == ["tea 0"]
        assert len(await opened.find_in("d", "tea", 5)) == 2
    await opened.aclose()


@pytest.mark.parametrize("packed", [False, True])
async def test_a_reply_is_bounded(cluster, filled, packed):
    cluster.failing = [(200, {"responses": [], "filler": "x" * 100_000})]
    if packed:
        cluster.RequestHandlerClass = type("Packed", (Cluster,), {"answer": packed_answer})
    small = OpenSearchRetriever(cluster.spec, replace(QUICK, most_bytes=50_000))
    with pytest.raises(MalformedHits, match="more than 50000 bytes"):
        await small.search("tea", 1)
    await small.aclose()


def packed_answer(self, body, status=200):
    raw = gzip.compress(json.dumps(body).encode())
    assert len(raw) < 1_000
    self.send_response(status)
    for name, value in (("content-type", "application/json"), ("content-encoding", "gzip")):
        self.send_header(name, value)
    self.send_header("content-length", str(len(raw)))
    self.end_headers()
    self.wfile.write(raw)


async def test_no_proxy_is_asked_and_the_login_of_the_address_is_sent(cluster, monkeypatch):
    cluster.indices["passages"] = {}
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    opened = OpenSearchRetriever(cluster.spec.replace("http://", "http://u:p@"), QUICK)
    assert await opened.search("tea", 1) == ()
    assert cluster.asked == [("/_msearch", "Basic dTpw")]
    await opened.aclose()


@pytest.mark.parametrize(
    ("key", "header"),
    [("u:p", "Basic dTpw"), ("ApiKey abc", "ApiKey abc"), ("abc", "Bearer abc"), (None, None)],
)
async def test_the_key(cluster, monkeypatch, key, header):
    monkeypatch.delenv("QUESTWELL_RETRIEVER_KEY", raising=False)
    if key:
        monkeypatch.setenv("QUESTWELL_RETRIEVER_KEY", key)
    cluster.indices["passages"] = {}
    opened = open_retriever(f"opensearch:{cluster.spec}")
    assert opened.name == f"opensearch:{cluster.spec}"
    assert await opened.search("tea", 1) == ()
    assert cluster.asked == [("/_msearch", header)]
    await opened.aclose()
    monkeypatch.setenv("QUESTWELL_RETRIEVER_KEY", "two words")
    with pytest.raises(ConfigError):
        retriever_key()


async def test_other_headers_and_a_filter_that_holds_for_all(cluster, filled, monkeypatch):
    monkeypatch.setenv("TENANT", "seven")
    options = RetrieverOptions(calls=QUICK, headers={"X-Tenant": "$TENANT"})
    opened = open_retriever(f"opensearch:{cluster.spec}", options).narrow({"lang": ["en"]})
    assert [hit.passage.id for hit in await opened.search("tea", 5)] == ["a#0"]
    assert cluster.tenants[-1] == "seven"
    assert opened.name == f'opensearch:{cluster.spec}+where({{"lang": ["en"]}})'
    await opened.aclose()


@pytest.mark.parametrize(
    ("status", "error", "says", "tries"),
    [
        (401, RetrievalRefused, "QUESTWELL_RETRIEVER_KEY", 1),
        (400, RetrievalRefused, "check the address", 1),
        (429, RetrievalUnavailable, "status 429.*after 2 retries", 3),
        (503, RetrievalUnavailable, "status 503.*after 2 retries", 3),
    ],
)
async def test_statuses(cluster, filled, status, error, says, tries):
    before = len(cluster.asked)
    cluster.failing = [(status, {"error": {"type": "x", "reason": "why"}, "status": status})] * 9
    with pytest.raises(error, match=says):
        await filled.search("tea", 1)
    assert len(cluster.asked) == before + tries


async def test_what_passes_is_got_over_and_what_is_no_reply_is_malformed(cluster, filled):
    cluster.failing = [(503, {"error": "x"})]
    assert len(await filled.search("tea", 1)) == 1
    for body in (
        {},
        {"responses": []},
        {"responses": [{"hits": {}}]},
        {"responses": [{"hits": {"hits": [{"_id": "x"}]}}]},
    ):
        cluster.failing = [(200, body)]
        with pytest.raises(MalformedHits):
            await filled.search("tea", 1)


async def test_no_index_and_no_server(cluster):
    opened = OpenSearchRetriever(cluster.spec, QUICK)
    with pytest.raises(RetrievalRefused, match="no such index"):
        await opened.search("tea", 1)
    await opened.aclose()
    nobody = OpenSearchRetriever("http://127.0.0.1:9/x", QUICK)
    with pytest.raises(RetrievalUnavailable, match="no connection"):
        await nobody.search("tea", 1)
    await nobody.aclose()
    with pytest.raises(ConfigError, match="add the index"):
        OpenSearchRetriever("http://127.0.0.1:9200", QUICK)


async def test_a_server_that_hangs():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        options = CallOptions(timeout_s=0.2, max_retries=0)
        opened = OpenSearchRetriever(f"http://127.0.0.1:{silent.getsockname()[1]}/x", options)
        with pytest.raises(RetrievalTimeout):
            await opened.search("tea", 1)
        await opened.aclose()


def test_the_command_fills_a_server(cluster, tmp_path, monkeypatch):
    monkeypatch.delenv("QUESTWELL_RETRIEVER_KEY", raising=False)
    corpus = tmp_path / "c.jsonl"
    corpus.write_text("".join(json.dumps({"id": f"d{n}", "title": "T", "text": f"tea {n}"}) + "\n" for n in range(7)))
    flags = ["index", str(corpus), "--index", str(tmp_path / "index"), "--to"]
    done = CliRunner().invoke(app, [*flags, f"opensearch:{cluster.spec}"])
    assert done.exit_code == 0, done.output
    assert "7 passages" in done.output
    assert len(cluster.indices["passages"]) == 7
    monkeypatch.setenv("MINE", "ApiKey k1")
    more = ["--retriever-key-env", "MINE", "--retriever-headers", "X-Tenant=seven"]
    done = CliRunner().invoke(app, [*flags, f"opensearch:{cluster.spec}", *more])
    assert done.exit_code == 0, done.output
    assert cluster.asked[-1] == ("/passages/_refresh", "ApiKey k1")
    assert cluster.tenants[-1] == "seven"
    assert CliRunner().invoke(app, [*flags, "elsewhere:http://x/y"]).exit_code == 2
