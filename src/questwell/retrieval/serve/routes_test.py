"""Every route that the application has is behind the gate: they are counted off the application, not off a list."""

import json

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from questwell.retrieval.serve.attacks_test import ROUTES
from questwell.retrieval.serve.gate import Gate, GateOptions
from questwell.retrieval.serve.server import ServerOptions, make_app

TOKEN = GateOptions("0.0.0.0", token="s3cret")
REFUSED = [
    ("another host", GateOptions(), {"host": "evil.example"}, 421),
    ("no host", GateOptions(), {}, 421),
    ("another origin", GateOptions(), {"host": "127.0.0.1", "origin": "http://evil.example"}, 403),
    ("another site", GateOptions(), {"host": "127.0.0.1", "sec-fetch-site": "cross-site"}, 403),
    ("no token", TOKEN, {"host": "127.0.0.1"}, 401),
    ("a form", GateOptions(), {"host": "127.0.0.1", "content-type": "text/plain"}, 415),
]


def within(app) -> tuple[list[object], Starlette]:
    """What a request passes, from the outside in, and the application that has the routes."""
    layers = []
    while not isinstance(app, Starlette):
        layers.append(app)
        app = app._app
    return layers, app


def routes_of(app: Starlette) -> list[tuple[str, str]]:
    """(method, a path) of each route."""
    found = []
    for route in app.routes:
        assert isinstance(route, Route), f"{route} is neither a plain route nor known to this test"
        assert route.methods, f"{route.path} answers every method"
        found += [(method, route.path.replace("{id:id}", "t/7#0")) for method in sorted(route.methods - {"HEAD"})]
    return found


def made(index, gate=None):
    return make_app(lambda: index, ServerOptions(mcp=True, gate=gate or GateOptions()))


def test_the_attacks_know_every_route(index):
    _, app = within(made(index))
    assert sorted(routes_of(app)) == sorted(route for route in ROUTES if route[1] != "/nowhere")


def test_the_gate_is_outside_of_all_routes(index):
    layers, _ = within(made(index))
    assert [type(layer).__name__ for layer in layers] == ["Measured", "Gate"]
    assert isinstance(layers[-1], Gate)


@pytest.mark.parametrize(("what", "gate", "headers", "status"), REFUSED)
async def test_no_route_answers_what_the_gate_refuses(index, what, gate, headers, status):
    app = made(index, gate)
    for method, path in routes_of(within(app)[1]):
        if status == 415 and method != "POST":
            continue
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"{}", "more_body": False}

        async def send(message, sent=sent):
            sent.append(message)

        given = {"content-type": "application/json", **headers}
        encoded = [(name.encode(), value.encode()) for name, value in given.items()]
        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": encoded}
        if status == 401 and path == "/healthz":
            continue  # says only that the server is alive; attacks_test has it
        await app(scope, receive, send)
        assert sent[0]["status"] == status, (what, method, path)
        assert "message" in json.loads(sent[1]["body"])["error"]


async def test_a_client_cannot_hold_connections_by_waiting_for_mcp_events(index, serving):
    import httpx2

    async with (
        serving(lambda: index, ServerOptions(mcp=True)) as url,
        httpx2.AsyncClient(trust_env=False, timeout=5) as http,
    ):
        for method in ("GET", "DELETE", "PUT"):
            headers = {"accept": "text/event-stream", "content-type": "application/json"}
            assert (await http.request(method, f"{url}/mcp", headers=headers)).status_code == 405


async def test_an_error_does_not_repeat_a_long_id(index, serving):
    import httpx2

    async with serving(lambda: index) as url, httpx2.AsyncClient(trust_env=False, timeout=5) as http:
        answer = await http.get(f"{url}/docs/{'a' * 6_000}")
        assert (answer.status_code, len(answer.text) < 400) == (404, True)
