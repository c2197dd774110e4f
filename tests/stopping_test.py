"""A stop and the calls of a run: what was sent is paid for and kept, what was not ends at once, nothing runs on."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
import uvicorn
import world
from mcp.server import MCPServer

from questwell.errors import LLMUnavailable, RetrievalUnavailable
from questwell.http.conftest import Answer, Loopback, serving
from questwell.http.retrying import Retries, giving_up_with
from questwell.llm.endpoint import Endpoint, EndpointOptions
from questwell.llm.limiter import Limiter
from questwell.retrieval.remote.calling import Call, Caller, CallOptions
from questwell.retrieval.remote.mcp_client import McpRetriever
from questwell.retrieval.remote.opensearch import OpenSearchRetriever
from questwell.retrieval.remote.qdrant import QdrantRetriever
from questwell.store.reader import RunReader
from questwell.store.records import PlayStatus

PATIENT = EndpointOptions(timeout_s=600, connect_timeout_s=600)


class Slow(Loopback):
    """Answers once it is told to."""

    def __init__(self):
        super().__init__()
        self.go = asyncio.Event()

    async def _serve_one(self, reader, writer):
        first = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(b"{}"))
        self.asked.append(first)
        await self.go.wait()
        writer.write(b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\n[]")
        await writer.drain()
        return True

    def answer(self, asked):
        return Answer()


def ask(endpoint, url):
    return asyncio.create_task(endpoint.post(url, b"{}", json.loads))


async def until(true):
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("reused", [False, True])
async def test_what_was_sent_ends_and_what_waits_for_a_slot_does_not_begin(reused):
    async with serving(Slow()) as server:
        retries, endpoint = Retries(grace_s=60), Endpoint("m", server.url, None, Limiter(1), PATIENT)
        with giving_up_with(retries):
            if reused:
                server.go.set()
                await ask(endpoint, server.url)
                server.go.clear()
            before = len(server.asked)
            flying, queued = ask(endpoint, server.url), ask(endpoint, server.url)
            await until(lambda: len(server.asked) > before)
            retries.give_up(unsent=True)
            with pytest.raises(LLMUnavailable, match="stopped before the request was sent"):
                await asyncio.wait_for(queued, 30)
            assert not flying.done() and retries.cut_short
            server.go.set()
            assert (await asyncio.wait_for(flying, 30)).result == []
        assert len(server.asked) == before + 1
        await endpoint.aclose()


class Embedded:
    """Embeds nothing of interest."""

    name, size, weight, batch, in_flight = "embedded", 2, 0.5, 8, 1

    async def embed(self, texts):
        return np.ones((len(texts), 2), np.float32)

    async def aclose(self):
        pass


def client_of(kind, url):
    """A client of the server at `url`, and a call of it."""
    patient = CallOptions(timeout_s=600, connect_timeout_s=600)
    if kind == "model":
        endpoint = Endpoint("m", url, None, Limiter(1), PATIENT)
        return endpoint, lambda: endpoint.post(url, b"{}", json.loads)
    if kind == "server":
        caller = Caller("s", options=patient)
        return caller, lambda: caller.ask(Call("GET", url))
    found = McpRetriever(f"{url}/mcp", patient)
    if kind == "opensearch":
        found = OpenSearchRetriever(f"{url}/passages", patient)
    if kind == "qdrant":
        found = QdrantRetriever.connect(f"{url}/passages", Embedded, patient)
    return found, lambda: found.search("tea", 2)


KINDS = pytest.mark.parametrize("kind", ["model", "server", "mcp", "qdrant", "opensearch"])


@KINDS
async def test_a_connection_that_never_comes_is_not_waited_for(kind):
    with closing(socket.socket()) as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        taken = []
        for _ in range(4):  # the backlog is full: what connects now gets no answer
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
            taken.append(one)
        url, retries = f"http://127.0.0.1:{deaf.getsockname()[1]}", Retries()
        client, called = client_of(kind, url)
        with giving_up_with(retries):
            call = asyncio.create_task(called())
            await asyncio.sleep(0.1)
            retries.give_up()
            await asyncio.sleep(0.05)
            assert not call.done()  # only waits between two tries end
            retries.give_up(unsent=True)
            with pytest.raises(
                LLMUnavailable if kind == "model" else RetrievalUnavailable, match="before the request was sent"
            ):
                await asyncio.wait_for(call, 30)
        await client.aclose()
        for one in taken:
            one.close()


class Dead(Loopback):
    """Takes every request and answers none."""

    async def _serve_one(self, reader, writer):
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        await reader.read()
        return False


@KINDS
async def test_a_request_to_a_dead_server_is_not_waited_for_until_its_time_out(kind):
    async with serving(Dead()) as server:
        retries = Retries(grace_s=0.01)
        client, called = client_of(kind, server.url)
        with giving_up_with(retries):
            call = asyncio.create_task(called())
            await until(lambda: server.asked)
            await asyncio.sleep(0.05)
            assert not call.done()  # nothing is cut before the stop
            retries.give_up(unsent=True)
            with pytest.raises(LLMUnavailable if kind == "model" else RetrievalUnavailable, match="stopped before"):
                await asyncio.wait_for(call, 30)
        assert retries.cut_short and not call.cancelled()
        await client.aclose()


@pytest.mark.parametrize(("took_s", "ends"), [(1_000.0, False), (0.0, True)])
async def test_an_answer_is_waited_for_as_long_as_its_server_has_taken(took_s, ends):
    """A model that thinks for minutes is not dead: what it is asked for is paid for."""
    clock = [0.0]
    async with serving(Slow()) as server:
        retries, endpoint = (
            Retries(grace_s=0.01, now=lambda: clock[0]),
            Endpoint("m", server.url, None, Limiter(2), PATIENT),
        )
        with giving_up_with(retries):
            first = ask(endpoint, server.url)
            await until(lambda: server.asked)
            clock[0] += took_s
            server.go.set()
            await first
            server.go.clear()
            flying = ask(endpoint, server.url)
            await until(lambda: len(server.asked) == 2)
            retries.give_up(unsent=True)
            if ends:
                with pytest.raises(LLMUnavailable, match="stopped before an answer came"):
                    await asyncio.wait_for(flying, 30)
            else:
                await asyncio.sleep(0.1)
                assert not flying.done()
                server.go.set()
                assert (await flying).result == []
        await endpoint.aclose()


async def test_a_stop_ends_the_wait_after_a_try_that_was_not_sent_and_lets_nothing_begin():
    url, retries = "http://127.0.0.1:1", Retries()
    endpoint = Endpoint("m", url, None, Limiter(1), EndpointOptions(backoff_s=60))
    with giving_up_with(retries):
        call = ask(endpoint, url)
        await asyncio.sleep(0.2)  # refused at once, and waits for its next try
        retries.give_up(unsent=True)
        retries.give_up(unsent=True)  # the budget may be stopped more than once
        with pytest.raises(LLMUnavailable, match="no connection"):
            await asyncio.wait_for(call, 30)
        with pytest.raises(LLMUnavailable, match="stopped before the request was sent"):
            await asyncio.wait_for(ask(endpoint, url), 30)
    await endpoint.aclose()


async def test_a_cancellation_by_another_is_none_of_ours():
    async with serving(Slow()) as server:
        retries, endpoint = Retries(), Endpoint("m", server.url, None, Limiter(1), PATIENT)
        with giving_up_with(retries):
            flying, queued = ask(endpoint, server.url), ask(endpoint, server.url)
            await until(lambda: server.asked)
            queued.cancel()
            with pytest.raises(asyncio.CancelledError):
                await queued
            flying.cancel()
            retries.give_up(unsent=True)
            with pytest.raises(asyncio.CancelledError):
                await flying
        await endpoint.aclose()


async def test_a_search_that_an_mcp_server_has_begun_is_waited_for():
    begun, go = asyncio.Event(), asyncio.Event()

    async def search(query: str) -> list[str]:
        begun.set()
        await go.wait()
        return [f"about {query}"]

    server = MCPServer("slow", log_level="CRITICAL")
    server.add_tool(search, name="search")
    app = uvicorn.Server(uvicorn.Config(server.streamable_http_app(), port=0, log_level="critical"))
    serving_it = asyncio.create_task(app._serve())
    await until(lambda: app.started)
    port, retries = app.servers[0].sockets[0].getsockname()[1], Retries(grace_s=60)
    retriever, called = client_of("mcp", f"http://127.0.0.1:{port}")
    with giving_up_with(retries):
        flying = asyncio.create_task(called())
        await asyncio.wait_for(begun.wait(), 30)
        retries.give_up(unsent=True)
        with pytest.raises(RetrievalUnavailable, match="before the request was sent"):
            await asyncio.wait_for(called(), 30)
        assert not flying.done()
        go.set()
        (hit,) = await asyncio.wait_for(flying, 30)
    assert hit.passage.text == "about tea"
    await retriever.aclose()
    app.should_exit = True
    await serving_it


def test_ctrl_c_ends_a_run_whose_endpoint_is_dead(library, tmp_path):
    """Its time-out of ten minutes would outlive the test."""
    with closing(socket.socket()) as dead:
        dead.bind(("127.0.0.1", 0))
        dead.listen(16)
        values = {**world.values(library, seeds=3), "llm": f"m@http://127.0.0.1:{dead.getsockname()[1]}/v1"}
        keys = [f"--{key.replace('_', '-')}={value}" for key, value in values.items()]
        command = [sys.executable, "-m", "questwell", "generate", *keys, "--out", str(tmp_path / "run")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NO_COLOR": "1"}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        dead.settimeout(60)
        connection, _ = dead.accept()
        connection.recv(1_000)  # a request was sent
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        connection.close()
    assert process.returncode == 3, stderr
    assert "stopped as you asked" in stdout and "Model calls 0" in stdout
    with RunReader(tmp_path / "run") as run:
        assert all(play.status is PlayStatus.PENDING for play in run.plays())
