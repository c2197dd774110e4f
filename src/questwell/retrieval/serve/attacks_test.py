"""The attack table: what a server that faces a network or a browser meets, each with bounded load on loopback."""

import asyncio
import gzip
import json
import os
import subprocess
import sys
import time

import httpx2
import pytest

from questwell.retrieval.serve.asked import AskLimits
from questwell.retrieval.serve.gate import ConnectionLimits, GateOptions, is_local
from questwell.retrieval.serve.server import ServerOptions

BODY = json.dumps({"queries": ["town"], "topk": 1}).encode()
JSON = {"content-type": "application/json"}
ROUTES = [("POST", "/retrieve"), ("POST", "/open"), ("POST", "/find"), ("GET", "/docs/t/7#0"), ("GET", "/healthz"),
          ("GET", "/metrics"), ("POST", "/mcp"), ("GET", "/nowhere")]  # fmt: skip


def options(**more):
    return ServerOptions(mcp=True, **more)


async def ask(url, method="POST", path="/retrieve", body=BODY, **headers):
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        sent = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await http.request(method, url + path, content=body if method == "POST" else None, headers=sent)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_page_whose_name_was_rebound_or_of_another_site_gets_nothing(index, serving, method, path):
    async with serving(lambda: index, options()) as url:
        port = url.rsplit(":", 1)[1]
        for host in (
            "evil.example",
            f"evil.example:{port}",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "8.8.8.8",
        ):
            assert (await ask(url, method, path, host=host)).status_code == 421, host
        for origin in ("http://evil.example", "null", "http://127.0.0.1.evil.example", f"http://evil.example:{port}"):
            assert (await ask(url, method, path, origin=origin)).status_code == 403, origin
        assert (await ask(url, method, path, sec_fetch_site="cross-site")).status_code == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
@pytest.mark.parametrize("path", ["/retrieve", "/mcp"])
async def test_what_a_form_can_send_is_refused(index, serving, kind, path):
    async with serving(lambda: index, options()) as url:
        refused = await ask(url, path=path, content_type=kind)
        assert refused.status_code == 415
        assert "application/json" in refused.json()["error"]["message"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:1", "127.9.9.9", "[::1]:8000", "localhost."])
async def test_this_machine_is_let_in(index, serving, host):
    async with serving(lambda: index, options()) as url:
        assert (await ask(url, host=host)).status_code == 200
        assert (await ask(url, origin="http://localhost:3000")).status_code == 200
        assert (await ask(url, host=host, origin=f"http://{host}")).status_code == 200


async def test_names_that_are_allowed(index, serving):
    gate = GateOptions(hosts=("search.example",))
    async with serving(lambda: index, options(gate=gate)) as url:
        assert (await ask(url, host="search.example", origin="https://search.example")).status_code == 200
        assert (await ask(url, host="other.example")).status_code == 421
    async with serving(lambda: index, options(gate=GateOptions("0.0.0.0"))) as url:
        assert (await ask(url, host="10.1.2.3:8000")).status_code == 200
        assert (await ask(url, host="evil.example")).status_code == 421


async def test_the_token(index, serving):
    gate = GateOptions("0.0.0.0", token="s3cret-ü")
    async with serving(lambda: index, options(gate=gate)) as url:
        good = {"authorization": "Bearer s3cret-ü".encode()}
        for method, path in ROUTES:
            for headers in ({}, {"authorization": "Bearer s3cret"}, {"authorization": "Basic s3cret-"}):
                refused = await ask(url, method, path, **headers)
                if path == "/healthz":
                    assert refused.json() == {"status": "ok"}
                else:
                    assert refused.status_code == 401
                    assert refused.headers["www-authenticate"] == "Bearer"
                    assert "QUESTWELL_RETRIEVER_KEY" in refused.json()["error"]["message"]
        assert (await ask(url, **good)).status_code == 200
        assert (await ask(url, host="any.name.example", **good)).status_code == 200
        assert (await ask(url, "GET", "/healthz", **good)).json()["passages"] == len(index)
        assert (await ask(url, origin="http://evil.example", **good)).status_code == 403
    assert "s3cret" not in repr(gate)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *[("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.1.2.3", True)],
        *[("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("me", False)],
    ],
)
def test_which_hosts_only_this_machine_reaches(host, local):
    assert is_local(host) is local


async def connect(url):
    return await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))


async def until_closed(reader, limit_s=10.0):
    async with asyncio.timeout(limit_s):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


HEAD = b"POST /retrieve HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


async def test_slow_headers_are_cut_off_also_when_they_drip_and_after_a_request(index, serving):
    limits = ConnectionLimits(header_s=0.3)
    async with serving(lambda: index, options(connections=limits)) as url:
        silent, dripping, second = [await connect(url) for _ in range(3)]
        second[1].write(HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY)
        assert b"200 OK" in await second[0].readuntil(b"\r\n\r\n")
        closed = [asyncio.create_task(until_closed(reader)) for reader, _ in (silent, dripping, second)]
        for place in range(40):
            for _, writer in (dripping, second):
                writer.write(HEAD[place : place + 1])
            await asyncio.sleep(0.05)
            if all(task.done() for task in closed):
                break
        assert place < 39
        assert [await task for task in closed[:2]] == [b"", b""]
        for _, writer in (silent, dripping, second):
            writer.close()
        assert (await ask(url)).status_code == 200


async def test_a_slow_body_gets_408_and_is_cut_off(index, serving):
    slow = options(gate=GateOptions(body_s=0.2), connections=ConnectionLimits(header_s=0.2))
    async with serving(lambda: index, slow) as url:
        reader, writer = await connect(url)
        writer.write(HEAD + b"content-length: 100\r\n\r\n{")
        assert (await until_closed(reader)).startswith(b"HTTP/1.1 408")
        writer.close()


@pytest.mark.parametrize("path", ["/retrieve", "/mcp"])
async def test_large_bodies_are_refused_however_they_are_sent(index, serving, path):
    async def chunks():
        for _ in range(50):
            yield b"x" * 1_000

    async with serving(lambda: index, options(gate=GateOptions(most_bytes=2_000))) as url:
        assert (await ask(url, path=path, body=b"x" * 2_001)).status_code == 413
        assert (await ask(url, path=path, body=chunks())).status_code == 413
    async with serving(lambda: index, options(gate=GateOptions(most_held=1_000))) as url:
        busy = await ask(url, path=path, body=b"x" * 2_000)
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
        assert (await ask(url)).status_code == 200


async def test_a_compressed_body_is_not_unpacked(index, serving):
    async with serving(lambda: index, options()) as url:
        assert (await ask(url, body=gzip.compress(b"0" * 1_000_000), content_encoding="gzip")).status_code == 415


async def test_a_reply_is_bounded(index, serving):
    asking = AskLimits(most_passages=100, most_reply_bytes=2_000)
    async with serving(lambda: index, options(asking=asking)) as url:
        many = await ask(url, body=json.dumps({"queries": ["town"] * 11, "topk": 10}).encode())
        large = await ask(url, body=json.dumps({"queries": ["town"], "topk": 60, "passages": True}).encode())
        assert [many.status_code, large.status_code] == [413, 413]
        assert "11 queries times 10" in many.json()["error"]["message"]
        assert "2000 bytes" in large.json()["error"]["message"]
        assert (await ask(url)).status_code == 200


class Gated:
    name = "gated"

    def __init__(self):
        self.gate = asyncio.Event()

    async def search(self, query, k):
        await self.gate.wait()
        return ()

    async def aclose(self):
        pass


async def test_idle_connections_make_room_and_busy_ones_do_not(serving):
    gated = Gated()
    async with serving(lambda: gated, options(connections=ConnectionLimits(connections=4))) as url:
        idle = [await connect(url) for _ in range(12)]  # more than may be open: the first ones are closed
        await asyncio.sleep(0.1)
        assert sum(reader.at_eof() for reader, _ in idle) == 8
        busy = [asyncio.create_task(ask(url)) for _ in range(4)]
        for _ in range(100):
            await asyncio.sleep(0.05)
            if all(reader.at_eof() for reader, _ in idle):  # each has made room for one of them
                break
        await asyncio.sleep(0.5)
        refused = await ask(url)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        gated.gate.set()
        assert [(await call).status_code for call in busy] == [200] * 4
        assert (await ask(url)).status_code == 200
        for _, writer in idle:
            writer.close()


async def test_a_reply_that_nobody_reads_is_dropped(index, serving, corpus):
    limits = ConnectionLimits(connections=1, write_s=0.2, idle_s=60)
    query = {"queries": [f"town {n}" for n in range(200)], "topk": 60, "passages": True}
    body = json.dumps(query).encode()
    async with serving(lambda: index, options(connections=limits)) as url:
        reader, writer = await connect(url)
        writer.write(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        reader._transport.pause_reading()
        for _ in range(100):
            await asyncio.sleep(0.05)
            if (await ask(url)).status_code == 200:
                break
        else:
            raise AssertionError("the only place is still taken")
        writer.transport.abort()


@pytest.mark.parametrize("more", [[], ["--mcp", "--transport", "http"]])
def test_without_file_descriptors_it_neither_dies_nor_fills_the_log(corpus, index, tmp_path, more):
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64));"
        "from questwell.cli.app import main; main()"
    )
    flags = ["--index", str(corpus.parent / "index"), "--port", "0", "--workers", "1", *more]
    log = tmp_path / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen([sys.executable, "-c", code, "serve", str(corpus), *flags], stderr=stderr)
    try:
        until = time.monotonic() + 60
        while "/retrieve" not in log.read_text() and time.monotonic() < until:
            time.sleep(0.05)
        port = int(log.read_text().split("/retrieve")[0].rsplit(":", 1)[1])
        asyncio.run(flood(port))
        assert process.poll() is None
        url = f"http://127.0.0.1:{port}/healthz"
        for _ in range(50):
            try:
                assert httpx2.get(url, trust_env=False, timeout=2).json()["status"] == "ok"
                break
            except httpx2.RequestError:
                time.sleep(0.1)
        else:
            raise AssertionError("it does not answer any more")
        assert len(log.read_text().splitlines()) < 20
    finally:
        process.terminate()
        assert process.wait(20) == 0


async def flood(port):
    """120 connections that say nothing, for 1.5 seconds."""
    opened = []
    for _ in range(120):
        try:
            async with asyncio.timeout(0.5):
                opened.append(await asyncio.open_connection("127.0.0.1", port))
        except (OSError, TimeoutError):
            break
    await asyncio.sleep(1.5)
    for _, writer in opened:
        writer.close()
    assert len(opened) > 64


def test_the_file_limit_is_raised():
    code = (
        "import resource; from questwell.retrieval.serve.connections import most_connections as most;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 400));"
        "print(most(1_000), resource.getrlimit(resource.RLIMIT_NOFILE), most(50))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    most, limits, few = told.stdout.strip().partition(" ")[0], "(400, 400)", "50"
    assert 300 < int(most) < 352
    assert limits in told.stdout and told.stdout.strip().endswith(few)
