"""What hostile servers of MCP, OpenSearch and web searches may answer: an error of ours, bounded, no traceback."""

import dataclasses
import gzip
import logging

import pytest

from questwell.errors import MalformedHits, RetrievalError
from questwell.retrieval.conftest import QUICK
from questwell.retrieval.remote.engines import Serper, Tavily
from questwell.retrieval.remote.mcp_client import McpRetriever
from questwell.retrieval.remote.opensearch import OpenSearchRetriever

ONCE = dataclasses.replace(QUICK, max_retries=0, most_bytes=1_000_000)
JSON = {"content-type": "application/json"}
DEEP = b'{"hits":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    ("body", "headers", "says"),
    [
        (gzip.compress(b" " * 9_000_000, mtime=0), {"content-encoding": "gzip"}, "the reply is packed"),
        (b'{"jsonrpc":"2.0","id":1,"result":"' + b"x" * 1_000_000 + b'"}', {}, "more than 1000000 bytes"),
        (DEEP, {}, "Failed to parse JSON"),
        (b"", {}, "Failed to parse JSON"),
    ],
)
async def test_a_reply_of_mcp_is_bounded_and_what_is_wrong_is_one_line(api, caplog, body, headers, says):
    api.sends(body, headers={**JSON, **headers})
    remote = McpRetriever(f"{api.url}/mcp", ONCE)
    with caplog.at_level(logging.DEBUG), pytest.raises(RetrievalError, match=says) as raised:
        await remote.search("tea", 1)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600
    assert [entry for entry in caplog.records if entry.exc_info] == []
    await remote.aclose()


async def test_json_that_is_nested_too_deeply_is_malformed(monkeypatch):
    pytest.importorskip("opensearchpy")
    from questwell.retrieval.remote.opensearch_http import Sending

    async def answered(*_, **__):
        return 200, JSON, DEEP.decode()

    monkeypatch.setattr(Sending, "perform_request", answered)
    remote = OpenSearchRetriever("http://127.0.0.1:1/tea", ONCE)
    try:
        with pytest.raises(MalformedHits, match="not OpenSearch's"):
            await remote.search("tea", 1)
    finally:
        await remote.aclose()


@pytest.mark.parametrize(("engine", "body"), [(Serper(), {"organic": [5, "x"]}), (Tavily(), {"results": [None]})])
def test_results_that_are_none_are_not_no_results(engine, body):
    with pytest.raises(MalformedHits, match=r"nothing in '(organic|results)' is a result"):
        engine.read(body)
    assert engine.read({name: [] for name in body}).results == ()
