"""The HTTP server over a real socket, in one process and in several."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import httpx2
import pytest

from questwell.retrieval.serve.asked import AskLimits
from questwell.retrieval.serve.gate import GateOptions
from questwell.retrieval.serve.server import ServerOptions
from questwell.retrieval.serve.service import ServiceLimits
from questwell.retrieval.serve.workers import Address, _listen
from questwell.types.corpus import Hit, Passage

JSON = {"content-type": "application/json"}


@pytest.fixture
async def http():
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield client


class Stuck:
    name = "stuck"

    async def search(self, query, k):
        if query == "fast":
            return (Hit(Passage("p", "T", "x", "d"), 1.0, 1),)
        await asyncio.sleep(60)

    async def aclose(self):
        pass


async def test_retrieve_speaks_the_protocol_exactly(serving, index, http):
    async with serving(lambda: index) as url:
        asked = {"queries": ["town founded 1703 Ada 3", "?!"], "topk": 2, "return_scores": True}
        scored = await http.post(f"{url}/retrieve", json=asked)
        plain = await http.post(f"{url}/retrieve", json=asked | {"return_scores": False})
        unsaid = await http.post(f"{url}/retrieve", json={"queries": ["town"]})
        zero = await http.post(f"{url}/retrieve", json={"queries": ["town"], "topk": 0})
        none = await http.post(f"{url}/retrieve", json={"queries": []})
    hits = index.find("town founded 1703 Ada 3", 2)
    expected = [
        {"id": h.passage.id, "doc_id": h.passage.document_id, "contents": f'"{h.passage.title}"\n{h.passage.text}'}
        for h in hits
    ]
    assert expected[0] == {
        "id": "t/3",
        "doc_id": "t/3",
        "contents": '"Town 3"\nTown number 3 was founded in 1703 by Ada 3 «七».',
    }
    assert scored.json() == {
        "result": [[{"document": d, "score": h.score} for d, h in zip(expected, hits, strict=True)], []]
    }
    assert scored.headers["content-type"] == "application/json"
    assert plain.json() == {"result": [expected, []]}
    assert len(unsaid.json()["result"][0]) == len(zero.json()["result"][0]) == 3
    assert none.json() == {"result": []}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[" * 1_900, 422),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"queries": {"x": 1}}', 422),
        (b'{"queries": [1]}', 422),
        (b'{"queries": ["x"], "topk": -1}', 422),
        (b'{"queries": ["x"], "topk": true}', 422),
        (b'{"queries": ["x"], "topk": 1.5}', 422),
        (b'{"queries": ["x"], "topk": 1000000000}', 422),
        (b"\xff\xfe", 422),
        (json.dumps({"queries": ["x"] * 5}).encode(), 413),
        (json.dumps({"queries": ["x" * 5_000]}).encode(), 413),
    ],
)
async def test_what_is_no_request_is_refused_with_a_reason(serving, index, http, body, status):
    options = ServerOptions(asking=AskLimits(most_queries=4), gate=GateOptions(most_bytes=2_000))
    async with serving(lambda: index, options) as url:
        refused = await http.post(f"{url}/retrieve", content=body, headers=JSON)
        assert refused.status_code == status
        assert set(refused.json()["error"]) == {"type", "message"}
        assert (await http.get(f"{url}/healthz")).json()["status"] == "ok"


async def test_hostile_queries_are_answered(serving, index, http):
    hostile = [
        "\ud800 town",
        "a:b AND (",
        '"',
        "\0",
        "x" * 100_000,
        "*",
        "town~2^3",
        "', DROP",
        "<script>",
        "\u202etown",
    ]
    async with serving(lambda: index) as url:
        body = json.dumps({"queries": hostile, "topk": 5})
        answered = await http.post(f"{url}/retrieve", content=body.encode(), headers=JSON)
    assert answered.status_code == 200
    assert len(answered.json()["result"]) == len(hostile)


async def test_docs_and_healthz(serving, index, http):
    async with serving(lambda: index) as url:
        found = (await http.get(f"{url}/docs/t%2F7")).json()
        missing = await http.get(f"{url}/docs/none")
        health = (await http.get(f"{url}/healthz")).json()
        wrong = await http.get(f"{url}/retrieve")
    assert (found["id"], found["title"], found["document_id"]) == ("t/7", "Town 7", "t/7")
    assert missing.status_code == 404
    assert "'none'" in missing.json()["error"]["message"]
    assert (health["retriever"], health["passages"]) == (index.name, len(index))
    assert wrong.status_code == 405


async def test_a_deadline_is_504_and_does_not_hang_the_server(serving, http):
    async with serving(Stuck, ServerOptions(limits=ServiceLimits(deadline_s=0.1, batch=1))) as url:
        started = time.monotonic()
        late = await http.post(f"{url}/retrieve", json={"queries": ["slow"]})
        assert time.monotonic() - started < 5
        assert (late.status_code, late.json()["error"]["type"]) == (504, "RetrievalTimeout")
        assert (await http.get(f"{url}/healthz")).status_code == 200
        assert (await http.get(f"{url}/docs/p")).status_code == 404


async def test_overload_is_503_with_retry_after_and_passes(serving, index, http):
    class Gated:
        name = "gated"
        gate = asyncio.Event()

        async def search(self, query, k):
            await self.gate.wait()
            return index.find(query, k)

        async def aclose(self):
            pass

    async with serving(Gated, ServerOptions(limits=ServiceLimits(queue=3, batch=1))) as url:
        calls = [asyncio.create_task(http.post(f"{url}/retrieve", json={"queries": [f"town {n}"]})) for n in range(20)]
        await asyncio.sleep(0.3)
        Gated.gate.set()
        statuses = [(await call).status_code for call in calls]
        assert set(statuses) == {200, 503}
        assert 3 <= statuses.count(200) <= 4
        refused = next(call.result() for call in calls if call.result().status_code == 503)
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["type"] == "RetrievalBusy"
        assert (await http.post(f"{url}/retrieve", json={"queries": ["town 99"]})).status_code == 200


def command(corpus, *flags):
    code = "from questwell.cli.app import main; main()"
    return [sys.executable, "-c", code, "serve", str(corpus), "--index", str(corpus.parent / "index"), *flags]


def until_listening(process):
    told = []
    for line in process.stderr:
        told.append(line)
        if "Serving" in line:
            return line.split("http://")[1].split("/retrieve")[0]
    raise AssertionError("".join(told))


def test_several_processes_share_a_port_one_that_dies_is_replaced_and_sigterm_ends_all(corpus, index):
    arguments = command(corpus, "--port", "0", "--workers", "2")
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = until_listening(process)

            def pid():
                return httpx2.get(f"http://{address}/healthz", timeout=30, trust_env=False).json()["pid"]

            pids = set()
            while len(pids) < 2:
                pids.add(pid())
            time.sleep(5.2)  # a process that ends right after its start would end the server
            victim = pids.pop()
            os.kill(victim, signal.SIGKILL)
            seen = set()
            until = time.monotonic() + 40
            while len(seen - {victim}) < 2 and time.monotonic() < until:
                try:
                    seen.add(pid())
                except httpx2.RequestError:
                    time.sleep(0.05)
            assert len(seen - {victim}) == 2
            counted = httpx2.get(f"http://{address}/metrics", trust_env=False).text  # of all processes, whoever answers
            assert int(re.search(r'route="/healthz",status="200"} (\d+)', counted)[1]) >= 4
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
    for left in seen:
        with pytest.raises(ProcessLookupError):
            os.kill(left, 0)


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_answer_is_sent_at_once_and_does_not_wait_for_the_client_to_acknowledge(workers):
    first, *others = _listen(Address("127.0.0.1", 0), workers)
    for other in others:  # else the kernel may deal it the connection
        other.close()
    sent_at_once: list[int] = []

    async def accepted(reader, writer):
        sent_at_once.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async with await asyncio.start_server(accepted, sock=first):
        reader, writer = await asyncio.open_connection(*first.getsockname())
        assert await reader.read() == b""
        writer.close()
    assert sent_at_once == [1]


def test_a_taken_port_is_a_usage_error(corpus, index):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = subprocess.run(command(corpus, "--port", port), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "name another --host or --port" in ended.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_machines_are_let_in_only_with_a_token_or_when_that_is_said(corpus, index, host):
    environment = {key: value for key, value in os.environ.items() if key != "QUESTWELL_SERVE_TOKEN"}
    flags = command(corpus, "--port", "0", "--workers", "1", "--host", host)
    ended = subprocess.run(flags, capture_output=True, text=True, timeout=60, env=environment)
    assert ended.returncode == 2
    assert "QUESTWELL_SERVE_TOKEN" in ended.stderr


def test_beyond_this_machine_the_address_and_a_warning_are_shown(corpus, index):
    environment = {**os.environ, "QUESTWELL_SERVE_TOKEN": "a-secret"}
    flags = command(corpus, "--port", "0", "--workers", "1", "--host", "0.0.0.0")
    with subprocess.Popen(flags, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            address = until_listening(process)
            warning = process.stderr.readline()
            assert not address.startswith("0.0.0.0")
            assert "Other machines can reach this server; they need the token." in warning
            url = f"http://127.0.0.1:{address.rsplit(':', 1)[1]}/metrics"
            refused = httpx2.get(url, trust_env=False)
            let_in = httpx2.get(url, headers={"authorization": "Bearer a-secret"}, trust_env=False)
            assert [refused.status_code, let_in.status_code] == [401, 200]
        finally:
            process.terminate()
            assert process.wait(20) == 0
