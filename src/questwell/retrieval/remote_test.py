import asyncio
import json

import pytest

from questwell.errors import (
    ConfigError,
    MalformedHits,
    RetrievalRefused,
    RetrievalTimeout,
    RetrievalUnavailable,
)
from questwell.retrieval.remote.calling import CallOptions
from questwell.retrieval.remote.remote import RemoteRetriever
from questwell.retrieval.remote.wire import read_passage
from questwell.retrieval.retriever import DocumentReader
from questwell.retrieval.serve.gate import GateOptions
from questwell.retrieval.serve.server import ServerOptions
from questwell.retrieval.serve.service import ServiceLimits

QUICK = CallOptions(timeout_s=20.0, connect_timeout_s=20.0, max_retries=2, backoff_s=0.01, max_wait_s=0.05)
ORIGINAL = {"result": [[{"document": {"contents": '"Paris"\nParis is a city.'}, "score": 2.5}]]}


@pytest.fixture
async def remote(api):
    opened = RemoteRetriever(api.url, options=QUICK)
    yield opened
    await opened.aclose()


async def test_our_own_server_gives_what_the_index_gives(index, serving):
    async with serving(lambda: index) as url:
        remote = await asyncio.to_thread(RemoteRetriever.connect, f"{url}/retrieve", QUICK)
        assert remote.name == index.name
        for query, k in [("town founded 1703 Ada 3", 3), ("Ada town", 20), ("七", 1), ("\ud800 town", 2)]:
            assert await remote.search(query, k) == index.find(query, k)
        assert await remote.search_many(["town 4", "?!", "town 5"], 2) == [
            index.find("town 4", 2),
            (),
            index.find("town 5", 2),
        ]
        assert await remote.search("town", 0) == ()
        await remote.aclose()


async def test_a_busy_server_is_asked_again(index, serving):
    class Gated:
        name = "gated"

        async def search(self, query, k):
            await asyncio.sleep(0.02)
            return index.find(query, k)

        async def aclose(self):
            pass

    patient = CallOptions(max_retries=50, backoff_s=0.02, max_wait_s=0.1)
    async with serving(Gated, ServerOptions(limits=ServiceLimits(queue=2, batch=1))) as url:
        remote = RemoteRetriever(url, options=patient)
        found = await asyncio.gather(*(remote.search(f"town {n}", 1) for n in range(20)))
        await remote.aclose()
    assert all(len(hits) == 1 for hits in found)


async def test_the_original_server_sends_no_ids(api, remote):
    api.sends(ORIGINAL)
    first = await remote.search("paris", 3)
    second = await remote.search("city", 3)
    assert api.asked[0].body == {"queries": ["paris"], "topk": 3, "return_scores": True}
    (hit,) = first
    assert (hit.passage.title, hit.passage.text, hit.score, hit.rank) == ("Paris", "Paris is a city.", 2.5, 1)
    assert hit.passage.id.startswith("text:")
    assert second[0].passage.id == hit.passage.id
    assert remote.name == api.url


@pytest.mark.parametrize(
    ("held", "title", "text", "identifier"),
    [
        ({"id": 7, "contents": '"A"\nx\ny'}, "A", "x\ny", "7"),
        ({"id": "", "contents": "no title line"}, "", "no title line", None),
        ({"docid": "d1", "title": "A", "text": "x"}, "A", "x", "d1"),
        ({"title": '"A"', "text": "x", "contents": '"A"\nx'}, "A", "x", None),
        ({"id": "e", "contents": '""\nx'}, "", "x", "e"),
        ("just text", "", "just text", None),
        ({"id": "s", "contents": "a\ud800\x00b\u202e"}, "", "a\ufffd b\u202e", "s"),
    ],
)
def test_documents_of_either_layout(held, title, text, identifier):
    passage = read_passage(held)
    assert (passage.title, passage.text) == (title, text)
    assert passage.id == identifier or (identifier is None and passage.id.startswith("text:"))


@pytest.mark.parametrize(
    ("status", "error", "tries"),
    [
        (401, RetrievalRefused, 1),
        (402, RetrievalRefused, 1),
        (404, RetrievalRefused, 1),
        (422, RetrievalRefused, 1),
        (302, RetrievalRefused, 1),
        (429, RetrievalUnavailable, 3),
        (500, RetrievalUnavailable, 3),
        (503, RetrievalUnavailable, 3),
        (504, RetrievalTimeout, 3),
    ],
)
async def test_a_status_is_an_error_of_a_kind_and_only_what_may_pass_is_tried_again(api, remote, status, error, tries):
    api.sends({"error": {"type": "X", "message": "why not"}}, status, headers={"location": f"{api.url}/away"})
    with pytest.raises(error, match="why not") as raised:
        await remote.search("x", 1)
    assert type(raised.value) is error
    assert len(api.asked) == tries


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Sign in</html>",
        b"",
        b"[1",
        b"[" * 50_000,
        [],
        {},
        {"result": []},
        {"result": [[], []]},
        {"result": [{}]},
        {"result": [[{"document": {}, "score": 1}]]},
        {"result": [[{"document": {"contents": "x"}, "score": "high"}]]},
        {"result": [[{"document": {"contents": "x"}, "score": True}]]},
        {"result": [[{"document": None, "score": 1}]]},
        {"result": [[7]]},
        b'{"result": [[{"document": {"contents": "x"}, "score": NaN}]]}',
    ],
)
async def test_what_is_no_list_of_hits_is_malformed(api, remote, body):
    api.sends(body)
    with pytest.raises(MalformedHits):
        await remote.search("x", 1)


async def test_what_passes_is_got_over(api, remote):
    api.sends({}, 503).sends(ORIGINAL, cut_after=20).hangs().sends(ORIGINAL)
    patient = RemoteRetriever(api.url, options=CallOptions(timeout_s=1.0, max_retries=3, backoff_s=0.01))
    assert len(await patient.search("x", 1)) == 1
    assert len(api.asked) == 4
    await patient.aclose()


async def test_retry_after_is_waited_for(api):
    api.sends({}, 429, headers={"retry-after": "0.3"}).sends(ORIGINAL)
    remote = RemoteRetriever(api.url, options=CallOptions(backoff_s=0.01))
    started = asyncio.get_running_loop().time()
    await remote.search("x", 1)
    assert asyncio.get_running_loop().time() - started >= 0.3
    await remote.aclose()


async def test_a_hang_is_a_time_out_and_a_cut_is_unavailable(api, remote):
    api.hangs()
    hasty = RemoteRetriever(api.url, options=CallOptions(timeout_s=0.2, max_retries=0))
    with pytest.raises(RetrievalTimeout, match=r"within 0\.2 s"):
        await hasty.search("x", 1)
    await hasty.aclose()
    api._answers = []
    api.sends(ORIGINAL, cut_after=10)
    with pytest.raises(RetrievalUnavailable, match="broke"):
        await remote.search("x", 1)


async def test_more_than_a_reply_may_hold_is_not_read(api):
    api.sends({"result": [["x" * 5000]]})
    remote = RemoteRetriever(api.url, options=CallOptions(most_bytes=1000, max_retries=0))
    with pytest.raises(MalformedHits, match="more than 1000 bytes"):
        await remote.search("x", 1)
    await remote.aclose()


async def test_never_more_than_k_and_each_id_once(api, remote):
    entries = [{"document": {"id": str(n % 4), "contents": f"t\n{n}"}, "score": n} for n in range(12)]
    api.sends({"result": [entries]})
    hits = await remote.search("x", 3)
    assert [(hit.passage.id, hit.score, hit.rank) for hit in hits] == [("3", 11.0, 1), ("2", 10.0, 2), ("1", 9.0, 3)]


async def test_nobody_there(api):
    with pytest.raises(RetrievalUnavailable, match="questwell serve"):
        await asyncio.to_thread(RemoteRetriever.connect, "http://127.0.0.1:9", QUICK)
    gone = RemoteRetriever("http://127.0.0.1:9", options=QUICK)
    with pytest.raises(RetrievalUnavailable, match="no connection"):
        await gone.search("x", 1)
    await gone.aclose()


@pytest.mark.parametrize("health", [b"<html>", b"[]", b"{}", json.dumps({"questwell": "1"}).encode()])
async def test_a_server_without_our_health_is_called_by_its_address(api, health):
    api.sends(health).sends(ORIGINAL)
    remote = await asyncio.to_thread(RemoteRetriever.connect, api.url, QUICK)
    assert remote.name == api.url
    await remote.search("x", 1)
    assert "passages" not in api.asked[-1].body
    await remote.aclose()


@pytest.mark.parametrize("url", ["ftp://x", "http://", "localhost:8000", "http://a b\n", ""])
def test_what_is_no_address(url):
    with pytest.raises(ConfigError):
        RemoteRetriever(url)


async def test_a_password_in_the_address_is_not_shown(api):
    api.sends({}, 401)
    remote = RemoteRetriever(api.url.replace("http://", "http://me:hunter2@"), options=QUICK)
    with pytest.raises(RetrievalRefused) as raised:
        await remote.search("x", 1)
    assert "hunter2" not in str(raised.value) + remote.name
    await remote.aclose()


async def test_a_key_is_sent_and_a_refusal_names_it(api, serving, index):
    api.sends({"error": "who are you"}, 401).sends(ORIGINAL)
    remote = RemoteRetriever(api.url, options=QUICK, key="k-secret")
    with pytest.raises(RetrievalRefused, match=r"who are you.*set QUESTWELL_RETRIEVER_KEY"):
        await remote.search("paris", 1)
    assert await remote.search("paris", 1)
    assert [asked.headers["authorization"] for asked in api.asked] == ["Bearer k-secret"] * 2
    await remote.aclose()
    async with serving(lambda: index, ServerOptions(gate=GateOptions("0.0.0.0", token="k-secret"))) as url:
        for key, name in (("k-secret", index.name), ("wrong", url)):
            ours = await asyncio.to_thread(RemoteRetriever.connect, url, QUICK, key)
            assert ours.name == name
            await ours.aclose()


async def test_a_query_in_the_address_stays_at_its_end(api):
    api.sends(ORIGINAL)
    for given in ("/base?tenant=7", "/base/retrieve?tenant=7", "/base/?tenant=7"):
        remote = RemoteRetriever(api.url + given, options=QUICK)
        await remote.search("paris", 1)
        await remote.aclose()
    assert {(asked.path, asked.params["tenant"]) for asked in api.asked} == {("/base/retrieve", "7")}


async def test_documents_and_filters_of_our_own_server(serving, index):
    async with serving(lambda: index) as url:
        ours = await asyncio.to_thread(RemoteRetriever.connect, url, QUICK)
        assert isinstance(ours, DocumentReader)
        assert await ours.read_page("t/7", 1) == await index.read_page("t/7", 1)
        whole = await index.read_page("t/7", 1)
        assert await ours.read_page(whole.passages[0].id, 1) == whole
        assert await ours.read_page("none", 1) is None
        found = await ours.find_in("t/7", "founded by Ada", 3)
        assert [hit.passage for hit in found] == list(whole.passages)
        assert await ours.find_in("none", "Ada", 3) is None
        assert await ours.search_where(["town"], 3, {"year": "1"}) == [()]
        assert await ours.search_where(["town 5"], 3, {}) == [index.find("town 5", 3)]
        await ours.aclose()
    another = RemoteRetriever("http://127.0.0.1:9", options=QUICK)
    for asked in (another.read_page("x", 1), another.find_in("x", "y", 1), another.search_where(["x"], 1, {"a": "b"})):
        with pytest.raises(RetrievalRefused):
            await asked
    await another.aclose()
