"""Documents, figures and a changed index, over HTTP."""

import asyncio
import json
import re
from urllib.parse import quote

import httpx2
import pytest

from questwell.retrieval.corpora.corpus import CorpusSpec
from questwell.retrieval.corpora.documents import Document
from questwell.retrieval.index.indexing import build_index
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.retrieval.index.updating import update
from questwell.retrieval.retriever import PAGE_CHARS

SENTENCES = [
    f"Sentence number {n} tells of {'gold' if n == 90 else 'stone'} in the hills of the north." for n in range(150)
]


@pytest.fixture
def folder(tmp_path):
    documents = [
        {"id": "a", "title": "A", "text": "amber.", "metadata": {"year": 2020, "lang": "en"}},
        {"id": "long/x", "title": "Long", "text": " ".join(SENTENCES), "metadata": {"year": 2021, "lang": "en"}},
        {"id": "b", "title": "B", "text": "amber and gold.", "metadata": {"year": 2021, "lang": "de"}},
    ]
    path = tmp_path / "c.jsonl"
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    build_index(CorpusSpec(str(path)), tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
async def http():
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield client


async def test_a_document_is_read_page_by_page_and_whole(folder, serving, http):
    index = LexicalIndex.open(folder)
    async with serving(lambda: index) as url:
        pages = [(await http.post(f"{url}/open", json={"id": "long/x"})).json()]
        while len(pages) < pages[0]["pages"]:
            asked = {"id": pages[-1]["passages"][-1]["id"], "page": str(len(pages) + 1)}
            pages.append((await http.post(f"{url}/open", json=asked)).json())
        past = await http.post(f"{url}/open", json={"id": "long/x", "page": len(pages) + 1})
        missing = [await http.post(f"{url}/open", json={"id": "none"}), await http.get(f"{url}/docs/none")]
        passage = (await http.get(f"{url}/docs/long%2Fx%233")).json()
        whole = (await http.get(f"{url}/docs/long%2Fx", params={"page": 2})).json()
    assert len(pages) > 2
    texts = [passage["text"] for page in pages for passage in page["passages"]]
    assert " ".join(texts) == " ".join(SENTENCES)
    assert all(sum(len(passage["text"]) for passage in page["passages"]) <= PAGE_CHARS for page in pages)
    assert {(page["document_id"], page["title"], page["pages"]) for page in pages} == {("long/x", "Long", len(pages))}
    assert [page["page"] for page in pages] == list(range(1, len(pages) + 1))
    assert (past.status_code, [reply.status_code for reply in missing]) == (404, [404, 404])
    assert f"has {len(pages)} pages" in past.json()["error"]["message"]
    assert (passage["id"], whole) == ("long/x#3", pages[1])


async def test_a_search_inside_a_document(folder, serving, http):
    index = LexicalIndex.open(folder)
    async with serving(lambda: index) as url:
        found = (await http.post(f"{url}/find", json={"id": "long/x", "query": "gold", "k": 5})).json()["result"]
        nothing = (await http.post(f"{url}/find", json={"id": "a", "query": "gold"})).json()
        missing = await http.post(f"{url}/find", json={"id": "none", "query": "gold"})
        wrong = await http.post(f"{url}/find", json={"id": "a"})
    assert len(found) == 1
    assert "tells of gold" in found[0]["document"]["text"]
    assert nothing == {"result": []}
    assert (missing.status_code, wrong.status_code) == (404, 422)


async def test_filters_over_http(folder, serving, http):
    index = LexicalIndex.open(folder)

    async def ids(url, where):
        reply = await http.post(f"{url}/retrieve", json={"queries": "amber gold", "k": 9, "where": where})
        return {document["id"] for document in reply.json()["result"][0]}

    async with serving(lambda: index) as url:
        assert await ids(url, {}) >= {"a", "b"}
        assert await ids(url, {"year": 2020}) == await ids(url, {"year": "2020"}) == {"a"}
        assert await ids(url, {"year": [2020, 2021], "lang": "de"}) == {"b"}
        assert await ids(url, {"year": 1999}) == set()


async def test_a_changed_index_is_taken_up_without_a_restart(folder, serving, http, monkeypatch):
    monkeypatch.setattr("questwell.retrieval.serve.server._LOOK_S", 0.05)
    async with serving(lambda: LexicalIndex.open(folder)) as url:
        before = (await http.get(f"{url}/healthz")).json()
        assert (await http.post(f"{url}/retrieve", json={"queries": "topaz"})).json() == {"result": [[]]}
        await asyncio.to_thread(update, folder, [Document("new", "New", "topaz and amber.")], ["a"])
        for _ in range(200):
            await asyncio.sleep(0.05)
            after = (await http.get(f"{url}/healthz")).json()
            if after["retriever"] != before["retriever"]:
                break
        assert after["passages"] == before["passages"]
        found = (await http.post(f"{url}/retrieve", json={"queries": ["topaz", "amber"]})).json()["result"]
        assert [document["id"] for document in found[0]] == ["new"]
        assert {document["id"] for document in found[1]} == {"new", "b"}
    assert LexicalIndex.open(folder).name == after["retriever"]


def test_an_index_knows_when_it_is_outdated(folder):
    index = LexicalIndex.open(folder)
    assert not index.outdated()
    update(folder, [Document("new", "New", "topaz.")])
    assert index.outdated()
    assert not LexicalIndex.open(folder).outdated()


async def test_metrics(folder, serving, http):
    index = LexicalIndex.open(folder)
    async with serving(lambda: index) as url:
        for query in ("amber", "amber", "gold"):
            await http.post(f"{url}/retrieve", json={"queries": query})
        await http.get(f"{url}/retrieve")
        await http.get(f"{url}/docs/none")
        reply = await http.get(f"{url}/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    told = dict(re.findall(r"^(questwell_\S+) (\S+)$", reply.text, re.MULTILINE))
    assert told['questwell_requests_total{route="/retrieve",status="200"}'] == "3.0"
    assert told['questwell_requests_total{route="/retrieve",status="405"}'] == "1.0"
    assert told['questwell_requests_total{route="/docs",status="404"}'] == "1.0"
    assert told['questwell_request_seconds_count{route="/retrieve"}'] == "4.0"
    assert (told["questwell_queries_searched_total"], told["questwell_queries_cached_total"]) == ("2.0", "1.0")
    assert float(told["questwell_connections"]) >= 1
    assert float(told["questwell_cache_bytes"]) > 0


ODD_IDS = [
    "a/b",
    "a?b=c",
    "a#b",
    "a%2Fb",
    "../x",
    " a ",
    "a\nb",
    "a\n",
    "//x",
    "/a",
    "a;b&c+d",
    "%",
    "%zz",
    "healthz",
    "\u202ea",
    '"',
]


async def test_documents_are_found_by_ids_of_every_kind(tmp_path, http, serving):
    rows = [{"id": name, "text": f"Zebra{number} lives here."} for number, name in enumerate(ODD_IDS)]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    build_index(CorpusSpec(str(tmp_path / "c.jsonl")), tmp_path / "index")
    index = LexicalIndex.open(tmp_path / "index")
    async with serving(lambda: index) as url:
        for number, name in enumerate(ODD_IDS):
            found = (await http.post(f"{url}/retrieve", json={"queries": f"zebra{number}", "topk": 1})).json()["result"]
            opened = (await http.post(f"{url}/open", json={"id": name})).json()
            got = (await http.get(f"{url}/docs/{quote(name, safe='')}")).json()
            assert (found[0][0]["doc_id"], opened["document_id"], got["document_id"]) == (name, name, name)
