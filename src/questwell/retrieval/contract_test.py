"""What each retriever owes whoever searches it, wherever its hits come from (design of retrieval, contracts).

The hybrid index has the same tests of its own, with more strings (`hybrid_test.py`).
"""

import json
import random
import sys

import pytest

from questwell.http.conftest import Answer
from questwell.retrieval.conftest import APIS, KEY
from questwell.retrieval.remote.calling import CallOptions
from questwell.retrieval.remote.mcp_client import McpRetriever
from questwell.retrieval.remote.remote import RemoteRetriever
from questwell.retrieval.remote.web import WebOptions, WebRetriever
from questwell.retrieval.serve.server import ServerOptions

KINDS = ["corpus", "http", "mcp", *APIS]
PATIENT = CallOptions(timeout_s=30.0, connect_timeout_s=30.0, max_retries=0)


def strings():
    """Syntax of query languages, controls, every script, noncharacters, lone surrogates, lengths."""
    rng = random.Random(3)
    fixed = [
        'title:"Town" AND (1703 OR',
        "town^1e999 ~*?:\\/[1 TO 2]{}",
        "town\0 1703",
        "\ud800 town",
        "town 17\udfff",
        "\u202e\ufefftown",
        "'; DROP TABLE passages; --",
        "../../etc/passwd?q=1&k=9#f",
        "%s%n{0}${jndi:ldap://x}%00%zz",
        "<search>town</search><|im_end|>",
        "town " * 30_000,
        "x" * 100_000,
        "北京" * 200,
        "𝕥𝕠𝕨𝕟 ١٧٠٣",
        "a\u0301" * 300,
    ]
    while len(fixed) < 40:
        fixed.append(
            "a" + "".join(chr(rng.choice([rng.randrange(0x110000), rng.randrange(0x3000)])) for _ in range(30))
        )
    return fixed


@pytest.fixture(params=KINDS)
async def retriever(request, index, serving, api, tmp_path):
    """Each kind over the same towns. An engine answers with more than it was asked for, and with some of it twice."""
    kind = request.param
    if kind == "corpus":
        yield index
        return
    if kind in APIS:
        engine, body = APIS[kind]

        def answer(asked):
            query = {**asked.params, **(asked.body or {})}
            hits = index.find(query.get("q") or query["query"], 20)
            rows = [(f"https://towns.example/{hit.passage.id}", hit.passage.title, hit.passage.text) for hit in hits]
            return Answer(body=json.dumps(body(rows=rows + rows[:3])).encode())

        api.does(answer)
        web = WebRetriever(engine(url=api.url), KEY, WebOptions(cache=tmp_path / "web.sqlite", calls=PATIENT))
        yield web
        await web.aclose()
        return
    async with serving(lambda: index, ServerOptions(mcp=kind == "mcp")) as url:
        opened = McpRetriever(f"{url}/mcp", PATIENT) if kind == "mcp" else RemoteRetriever(url, options=PATIENT)
        yield opened
        await opened.aclose()


def check(hits, k):
    assert isinstance(hits, tuple)
    assert len(hits) <= k
    assert len({hit.passage.id for hit in hits}) == len(hits)
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


async def test_any_string_is_a_query(retriever):
    found = 0
    for query in strings():
        hits = await retriever.search(query, 3)
        check(hits, 3)
        found += bool(hits)
    assert found >= 5


async def test_a_query_finds_the_same_each_time_and_never_more_than_k(retriever):
    for query, k in (("town 7 founded", 1), ("town 12", 5), ("founded by Ada 40", 10), ("town", 60)):
        hits = await retriever.search(query, k)
        check(hits, k)
        assert len(hits) == min(k, 60) or (k == 60 and len(hits) >= 10)  # an engine gives so many at once
        assert await retriever.search(query, k) == hits
    assert "founded in 1707" in (await retriever.search("town number 7 founded 1707 Ada 7", 3))[0].passage.text


@pytest.mark.parametrize("query", ["", " \t\n", "?!… «»", "\0\x1b", "\ud800"])
async def test_nothing_to_look_for_finds_nothing(retriever, query):
    assert await retriever.search(query, 5) == ()


@pytest.mark.parametrize("k", [0, -1, -sys.maxsize])
async def test_no_hits_are_asked_for(retriever, k):
    assert await retriever.search("town 7", k) == ()
