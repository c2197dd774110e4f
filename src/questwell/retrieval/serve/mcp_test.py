"""MCP, both ends against the official SDK: its client with our server, its server with our client."""

import asyncio
import os
import socket
import sys
from contextlib import asynccontextmanager

import pytest
from mcp import Client, StdioServerParameters
from mcp.server import MCPServer
from mcp.server.mcpserver import Image

from questwell.errors import (
    ConfigError,
    MalformedHits,
    RetrievalRefused,
    RetrievalTimeout,
    RetrievalUnavailable,
)
from questwell.retrieval.remote.calling import CallOptions
from questwell.retrieval.remote.mcp_client import McpRetriever
from questwell.retrieval.remote.mcp_tools import arguments_of
from questwell.retrieval.serve.server import ServerOptions
from questwell.retrieval.serve.service import ServiceLimits

QUICK = CallOptions(timeout_s=2.0, connect_timeout_s=1.0, max_retries=2, backoff_s=0.01, max_wait_s=0.05)
WITH_MCP = ServerOptions(mcp=True)


async def use_both_tools(client, index):
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"search", "get_document", "open_document", "find_in_document"}
    assert tools["search"].input_schema["required"] == ["query"]
    found = await client.call_tool("search", {"query": "town founded 1703 Ada 3", "k": 2})
    hits = index.find("town founded 1703 Ada 3", 2)
    results = found.structured_content["results"]
    assert [(r["id"], r["title"], r["text"], r["score"]) for r in results] == [
        (hit.passage.id, hit.passage.title, hit.passage.text, hit.score) for hit in hits
    ]
    assert (await client.call_tool("search", {"query": "?!"})).structured_content == {"results": []}
    whole = await client.call_tool("get_document", {"id": "t/7"})
    assert (whole.structured_content["title"], whole.structured_content["licence"]) == ("Town 7", "CC0-1.0")
    page = (await client.call_tool("open_document", {"id": "t/7"})).structured_content
    assert (page["document_id"], page["page"], page["pages"]) == ("t/7", 1, 1)
    assert [passage["id"] for passage in page["passages"]] == ["t/7"]
    inside = await client.call_tool("find_in_document", {"id": "t/7", "query": "Ada founded"})
    assert [r["id"] for r in inside.structured_content["results"]] == ["t/7"]
    for tool, more in (("get_document", {}), ("open_document", {}), ("find_in_document", {"query": "x"})):
        missing = await client.call_tool(tool, {"id": "none", **more})
        assert missing.is_error
        assert "'none'" in missing.content[0].text
    assert (await client.call_tool("open_document", {"id": "t/7", "page": 2})).is_error
    for wrong in ({}, {"query": 3}, {"query": "x", "k": 0}, {"query": "x", "k": 1000}):
        assert (await client.call_tool("search", wrong)).is_error


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_streamable_http(index, serving, mode):
    async with serving(lambda: index, WITH_MCP) as url, Client(f"{url}/mcp", mode=mode) as client:
        await use_both_tools(client, index)


async def test_stdio(corpus, index):
    code = "from questwell.cli.app import main; main()"
    folder = str(corpus.parent / "index")
    command = StdioServerParameters(
        command=sys.executable,
        args=["-c", code, "serve", str(corpus), "--index", folder, "--mcp"],
        env=dict(os.environ),  # else it may be another checkout that answers
    )
    async with Client(command) as client:
        await use_both_tools(client, index)


async def test_both_protocols_beside_each_other(index, serving):
    from questwell.retrieval.remote.remote import RemoteRetriever

    async with serving(lambda: index, WITH_MCP) as url:
        plain, tool = RemoteRetriever(url), McpRetriever(f"{url}/mcp", QUICK)
        assert await plain.search("town 5", 3)
        assert [hit.passage for hit in await tool.search("town 5", 3)] == [
            hit.passage for hit in index.find("town 5", 3)
        ]
        await plain.aclose()
        await tool.aclose()


async def test_a_deadline_is_said_by_the_tool(serving):
    class Stuck:
        name = "stuck"

        async def search(self, query, k):
            await asyncio.sleep(60)

        async def aclose(self):
            pass

    options = ServerOptions(mcp=True, limits=ServiceLimits(deadline_s=0.1))
    async with serving(Stuck, options) as url:
        async with Client(f"{url}/mcp") as client:
            late = await client.call_tool("search", {"query": "x"})
            assert late.is_error
            assert "RetrievalTimeout" in late.content[0].text
        remote = McpRetriever(f"{url}/mcp", QUICK)
        with pytest.raises(RetrievalTimeout):
            await remote.search("x", 1)
        await remote.aclose()


async def test_another_host_name_is_refused(index, serving):
    import httpx2

    async with serving(lambda: index, WITH_MCP) as url, httpx2.AsyncClient() as http:
        headers = {"host": "evil.example", "accept": "application/json, text/event-stream"}
        refused = await http.post(f"{url}/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=headers)
    assert refused.status_code == 421


def shared_socket(port):
    """A socket at a port that a second one of ours may have too."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    opened.bind(("127.0.0.1", port))
    return opened


class Foreign:
    """Another's MCP server over HTTP; `tool` is its only one."""

    def __init__(self, tool, name="web_search", port=0):
        self.server = MCPServer("foreign", log_level="CRITICAL")
        self.server.add_tool(tool, name=name)
        self.port = port

    async def __aenter__(self):
        import uvicorn

        app = self.server.streamable_http_app()
        listening = shared_socket(self.port)
        self._uvicorn = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        self._task = asyncio.create_task(self._uvicorn._serve([listening]))
        while not self._uvicorn.started:
            assert not self._task.done(), self._task
            await asyncio.sleep(0.01)
        self.port = listening.getsockname()[1]
        return f"http://127.0.0.1:{self.port}/mcp"

    async def __aexit__(self, *_):
        self._uvicorn.should_exit = True
        await self._task


async def test_tools_with_other_names_and_forms():
    def texts(q: str, max_results: int = 3) -> list[str]:
        return [f"{q} {n}" for n in range(max_results)]

    def objects(question: str) -> dict:
        rows = [{"url": "https://a.example/x", "title": "A", "content": f"about {question}", "score": 0.5}]
        return {"results": rows}

    def text(query: str) -> str:
        return f"One long answer on {query}"

    found = []
    for tool in (texts, objects, text):
        async with Foreign(tool) as url:
            remote = McpRetriever(url, QUICK)
            found.append(await remote.search_paid("tea", 2))
            assert await remote.search("?!", 2) == ()
            await remote.aclose()
    assert [[hit.passage.text for hit in each.hits] for each in found] == [
        ["tea 0", "tea 1"],
        ["about tea"],
        ["One long answer on tea"],
    ]
    assert found[1].hits[0].passage.document_id == "https://a.example/x"
    assert [each.cost_usd for each in found] == [None] * 3


async def test_a_tool_that_gives_more_than_it_was_asked_for_and_some_of_it_twice():
    def many(query: str, k: int) -> list[str]:
        return [f"{query} {n % 4}" for n in range(12)]

    async with Foreign(many) as url:
        remote = McpRetriever(url, QUICK)
        hits = await remote.search("tea", 3)
        await remote.aclose()
    assert [(hit.passage.text, hit.rank) for hit in hits] == [("tea 0", 1), ("tea 1", 2), ("tea 2", 3)]


async def test_failures_are_typed():
    def failing(query: str) -> str:
        raise ValueError("no luck")

    async with Foreign(failing) as url:
        remote = McpRetriever(url, QUICK)
        with pytest.raises(RetrievalRefused):
            await remote.search("x", 1)
        await remote.aclose()
    async with Foreign(lambda query: query, name="add") as url:
        remote = McpRetriever(url, QUICK)
        with pytest.raises(RetrievalRefused, match="no search tool; its tools are: add"):
            await remote.search("x", 1)
        await remote.aclose()
    nobody = McpRetriever("http://127.0.0.1:9/mcp", QUICK)
    with pytest.raises(RetrievalUnavailable):
        await nobody.search("x", 1)
    await nobody.aclose()


async def test_no_mcp_there(api):
    api.sends(b"<html>hello</html>", headers={"content-type": "text/html"})
    remote = McpRetriever(f"{api.url}/mcp", QUICK)
    with pytest.raises((RetrievalUnavailable, RetrievalRefused)):
        await remote.search("x", 1)
    await remote.aclose()


async def test_nothing_is_no_hits_and_a_picture_is_malformed():
    def empty(query: str) -> list:
        return []

    def picture(query: str) -> Image:
        return Image(data=b"x", format="png")

    async with Foreign(empty) as url:
        remote = McpRetriever(url, QUICK)
        assert await remote.search("x", 1) == ()
        await remote.aclose()
    async with Foreign(picture) as url:
        remote = McpRetriever(url, QUICK)
        with pytest.raises(MalformedHits):
            await remote.search("x", 1)
        await remote.aclose()


async def test_a_connection_that_broke_is_opened_again():
    def search(query: str) -> list[str]:
        return [query]

    with shared_socket(0) as held:  # between the two servers nobody else gets the port, and nobody listens there
        port = held.getsockname()[1]
        async with Foreign(search, "search", port) as url:
            remote = McpRetriever(url, QUICK)
            assert len(await remote.search("a", 1)) == 1
        with pytest.raises((RetrievalUnavailable, RetrievalTimeout)):
            await remote.search("b", 1)
        async with Foreign(search, "search", port):
            found = await asyncio.gather(*(remote.search(f"c{n}", 1) for n in range(10)))
            assert [hits[0].passage.text for hits in found] == [f"c{n}" for n in range(10)]
            await remote.aclose()


async def test_filters_and_documents_over_mcp(index, serving):
    async with serving(lambda: index, WITH_MCP) as url:
        remote = McpRetriever(f"{url}/mcp", QUICK)
        whole = await remote.read_page("t/5", 1)
        assert whole == await index.read_page("t/5", 1)
        assert await remote.read_page(whole.passages[0].id, 1) == whole
        assert await remote.read_page("nowhere", 1) is None and await remote.read_page("t/5", 9) is None
        found = await remote.find_in("t/5", "Ada", 2)
        assert [hit.passage for hit in found] == [hit.passage for hit in await index.find_in("t/5", "Ada", 2)]
        assert found and await remote.find_in("nowhere", "Ada", 2) is None
        assert await remote.find_in("t/5", "?!", 2) == ()
        assert await remote.search_where(["town", "?!"], 2, {"lang": "none"}) == [(), ()]
        (among,) = await remote.search_where(["town 5"], 2, {})
        assert [hit.passage for hit in among] == [hit.passage for hit in index.find("town 5", 2)]
        await remote.aclose()


async def test_filters_and_documents_are_refused_where_the_server_has_none():
    def search(query: str) -> list[str]:
        return [query]

    async with Foreign(search, "search") as url:
        remote = McpRetriever(url, QUICK)
        with pytest.raises(RetrievalRefused, match="cannot filter by metadata"):
            await remote.search_where(["a"], 1, {"lang": "en"})
        with pytest.raises(RetrievalRefused, match="no tool open_document"):
            await remote.read_page("d", 1)
        with pytest.raises(RetrievalRefused, match="no tool find_in_document"):
            await remote.find_in("d", "a", 1)
        assert len(await remote.search("a", 1)) == 1
        with pytest.raises(RetrievalRefused, match="cannot filter by metadata"):  # never the unfiltered hits
            await remote.narrow({"lang": "en"}).search("a", 1)
        assert remote.name.endswith('+where({"lang": ["en"]})')
        await remote.aclose()


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        ({"properties": {"query": {}, "k": {"maximum": 2}}}, {"query": "x", "k": 2}),
        ({"properties": {"q": {}, "limit": {}}}, {"q": "x", "limit": 5}),
        ({"properties": {"what": {}}, "required": ["what"]}, {"what": "x"}),
    ],
)
def test_arguments_are_found_by_their_names(schema, arguments):
    assert arguments_of(schema, "x", 5) == arguments


def test_a_tool_without_a_query():
    with pytest.raises(ConfigError):
        arguments_of({"properties": {"n": {}}}, "x", 5)


class Refusing:
    """An ASGI application that refuses the first calls of a tool, and any call without its key."""

    def __init__(self, app, status, times):
        self.app, self.status, self.times, self.refused = app, status, times, 0

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["method"] == "POST":
            body = (await receive())["body"]
            headers = dict(scope["headers"])
            if headers.get(b"authorization") != b"Bearer k-secret":
                await self.refuse(send, 401)
                return
            if b"tools/call" in body and self.refused < self.times:
                self.refused += 1
                await self.refuse(send, self.status)
                return
            given = [{"type": "http.request", "body": body, "more_body": False}]
            await self.app(scope, lambda: _next(given, receive), send)
            return
        await self.app(scope, receive, send)

    async def refuse(self, send, status):
        headers = [(b"content-length", b"0"), (b"retry-after", b"0")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


async def _next(given, receive):
    return given.pop() if given else await receive()


@asynccontextmanager
async def refusing(status, times):
    import uvicorn

    foreign = Foreign(lambda query: [query], "search")
    app = Refusing(foreign.server.streamable_http_app(), status, times)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    task = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/mcp", app
    finally:
        server.should_exit = True
        await task


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_may_pass_is_tried_again(status):
    async with refusing(status, 2) as (url, app):
        remote = McpRetriever(url, QUICK, key="k-secret")
        assert [hit.passage.text for hit in await remote.search("tea", 1)] == ["tea"]
        assert app.refused == 2
        app.refused, app.times = 0, 99
        with pytest.raises(RetrievalUnavailable, match=rf"status {status} \(after 2 retries\)"):
            await remote.search("tea", 1)
        assert app.refused == 3
        await remote.aclose()


@pytest.mark.parametrize("key", [None, "wrong"])
async def test_a_missing_key_is_named(key):
    async with refusing(500, 0) as (url, _):
        remote = McpRetriever(url, QUICK, key=key)
        with pytest.raises(RetrievalRefused, match=r"status 401.*QUESTWELL_RETRIEVER_KEY"):
            await remote.search("tea", 1)
        await remote.aclose()
