"""The gate alone, by ASGI: requests that a client library would not send."""

import json

import pytest

from questwell.retrieval.serve.gate import Gate, GateOptions


async def asked(gate, *headers, path="/retrieve", body=b"{}"):
    """(status, type of the error) of a POST with these headers."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(b"content-type", b"application/json"), *headers],
    }
    await gate(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"]).get("error", {}).get("type")


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


LOCAL = (b"host", b"127.0.0.1:8000")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([LOCAL], 200),
        ([], 421),
        ([LOCAL, LOCAL], 421),  # two names: a proxy and this server may each believe another one
        ([LOCAL, (b"host", b"evil.example")], 421),
        ([(b"host", b"evil.example"), LOCAL], 421),
        ([(b"host", b"127.0.0.1.evil.example")], 421),
        ([(b"host", b"evil.example@127.0.0.1")], 421),
        ([(b"host", b"127.0.0.1@evil.example")], 421),
        ([(b"host", b"127.0.0.1:port")], 421),
        ([(b"host", b"127.0.0.1/evil.example")], 421),
        ([(b"host", b"evil.example/127.0.0.1")], 421),
        ([(b"host", b"127.0.0.1 evil.example")], 421),
        ([(b"host", b"127.0.0.1, evil.example")], 421),
        ([(b"host", b"127.0.0.1\\evil.example")], 421),
        ([(b"host", b"2130706433")], 421),
        ([(b"host", b"0x7f000001")], 421),
        ([(b"host", b"evil.localhost")], 421),
        ([(b"host", b"[::1")], 421),
        ([(b"host", b"")], 421),
        ([LOCAL, (b"origin", b"evil://127.0.0.1:8000")], 403),
        ([LOCAL, (b"origin", b"http://localhost@evil.example")], 403),
        ([LOCAL, (b"origin", b"chrome-extension://localhost")], 403),
        ([LOCAL, (b"origin", b"")], 403),
        ([LOCAL, (b"origin", b"http://127.0.0.1:8000"), (b"origin", b"http://evil.example")], 403),
        ([(b"host", b"[::1]:8000")], 200),
        ([(b"host", b"localhost.")], 200),
        ([LOCAL, (b"origin", b"http://127.0.0.1:8000")], 200),
        ([LOCAL, (b"origin", b"null")], 403),
        ([LOCAL, (b"origin", b"http://127.0.0.1:8000"), (b"origin", b"https://evil.example")], 403),
    ],
)
async def test_hosts_and_origins(headers, status):
    assert (await asked(Gate(app), *headers))[0] == status


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (b"Bearer t-secret", 200),
        (b"bearer  t-secret ", 200),
        (b"Basic t-secret", 401),
        (b"Bearer t-secre", 401),
        (b"t-secret", 401),
        (b"Bearer ", 401),
    ],
)
async def test_tokens(given, status):
    gate = Gate(app, GateOptions(token="t-secret"))
    assert (await asked(gate, (b"host", b"any.example"), (b"authorization", given)))[0] == status


async def test_the_bytes_of_a_request_and_of_all_together():
    gate = Gate(app, GateOptions(most_bytes=10, most_held=15))
    assert (await asked(gate, LOCAL, body=b"x" * 10))[0] == 200
    assert await asked(gate, LOCAL, body=b"x" * 11) == (413, "BadRequest")
    assert (await asked(gate, LOCAL, body=b"x" * 10))[0] == 200  # what was held is released, refused or not
    gate = Gate(app, GateOptions(most_bytes=20, most_held=15))
    assert (await asked(gate, LOCAL, body=b"x" * 15))[0] == 200
    assert await asked(gate, LOCAL, body=b"x" * 16) == (503, "RetrievalBusy")
    assert (await asked(gate, LOCAL, body=b"x" * 15))[0] == 200
    assert gate.refused == {503: 1}


async def test_a_websocket_is_closed_before_any_route_sees_it():
    sent, seen = [], []

    async def route(scope, receive, send):
        seen.append(scope)

    async def send(message):
        sent.append(message)

    await Gate(route)({"type": "websocket", "path": "/retrieve", "headers": [LOCAL]}, None, send)
    assert (sent, seen) == ([{"type": "websocket.close", "code": 1008}], [])
