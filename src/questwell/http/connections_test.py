import asyncio
import base64
import gzip

import pytest

from questwell.errors import ConfigError
from questwell.http.bounded import TooLargeError, UnreadableError
from questwell.http.conftest import Answer, Loopback, serving
from questwell.http.connections import BrokenError, Connections, NotConnectedError, Reply

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Scripted(Loopback):
    """Gives each of `answers` once, the last one for good."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = list(answers)

    def answer(self, asked):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def asked(url, headers=None, **options):
    connections = Connections(headers or {}, 5.0, **options)
    try:
        return await connections.post(url, b"{}")
    finally:
        await connections.aclose()


async def test_a_reply_comes_whole_with_its_headers():
    body = gzip.compress(b"hello")
    async with serving(Scripted(Answer(201, body, {"Content-Encoding": "gzip", "Retry-After": "3"}))) as server:
        reply = await asked(server.url, {"authorization": "Bearer k"})
    assert (reply.status, reply.content, reply.headers["retry-after"]) == (201, b"hello", "3")
    assert reply.is_success
    assert server.asked[0].headers["authorization"] == "Bearer k"
    assert "cookie" not in server.asked[0].headers


async def test_a_reply_larger_than_the_limit_is_not_read():
    body = gzip.compress(b"0" * 1_001)
    async with serving(Scripted(Answer(200, body, {"Content-Encoding": "gzip"}))) as server:
        with pytest.raises(TooLargeError):
            await asked(server.url, most_bytes=1_000)
        assert len((await asked(server.url, most_bytes=1_001)).content) == 1_001


async def test_a_reply_in_an_encoding_that_was_not_asked_for():
    async with serving(Scripted(Answer(200, b"x", {"Content-Encoding": "br"}))) as server:
        with pytest.raises(UnreadableError):
            await asked(server.url)


async def test_a_reply_that_is_cut():
    async with serving(Scripted(Answer(200, b"x" * 100, cut_after=50))) as server:
        with pytest.raises(BrokenError):
            await asked(server.url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://[::1", "http://no-such-host.invalid/"])
async def test_no_connection(url):
    with pytest.raises(NotConnectedError):
        await asked(url)


async def test_closing_ends_a_call_that_waits_for_its_reply():
    async with serving(Scripted(Answer(hang=True))) as server:
        connections = Connections({}, 5.0)
        call = asyncio.ensure_future(connections.post(server.url, b"{}"))
        while not server.asked:
            await asyncio.sleep(0.01)
        await connections.aclose()
        with pytest.raises((BrokenError, NotConnectedError)):
            await asyncio.wait_for(call, 5)
        with pytest.raises(NotConnectedError, match="closed"):
            await connections.post(server.url, b"{}")


async def test_a_proxy_of_the_environment_is_asked_with_its_login(monkeypatch):
    async with serving(Scripted(Answer(200, b"by proxy"))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://me:s%20t@"))
        assert (await asked("http://models.example/v1/chat")).content == b"by proxy"
        login = proxy.asked[0].headers["proxy-authorization"].removeprefix("Basic ")
        assert base64.b64decode(login) == b"me:s t"
        monkeypatch.setenv("no_proxy", "models.invalid")
        with pytest.raises(NotConnectedError):
            await asked("http://models.invalid/v1/chat")
        assert len(proxy.asked) == 1


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
async def test_this_machine_is_asked_past_any_proxy(monkeypatch, variable):
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    async with serving(Scripted(Answer(200, b"direct"))) as server:
        assert (await asked(server.url)).content == b"direct"


async def test_a_proxy_of_a_kind_that_is_not_spoken_is_named(monkeypatch):
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(ConfigError, match="socks5"):
        await asked("http://models.example/v1")


async def test_a_redirect_keeps_its_body_and_takes_no_key_to_another_host():
    async with serving(Scripted(Answer(200, b"there"))) as target:
        elsewhere = target.url.replace("127.0.0.1", "localhost")
        for where, key in ((elsewhere, None), (target.url, "Bearer k")):
            async with serving(Scripted(Answer(307, b"", {"Location": where}))) as server:
                assert (await asked(server.url, {"authorization": "Bearer k"})).content == b"there"
            assert (target.asked[-1].method, target.asked[-1].body) == ("POST", {})
            assert target.asked[-1].headers.get("authorization") == key


async def test_redirects_end():
    async with serving(Scripted(Answer(307, b"", {"Location": "/again"}))) as server:
        assert (await asked(server.url)).status == 307
        assert len(server.asked) == 4


async def test_a_redirect_that_would_lose_the_body_is_not_followed():
    async with serving(Scripted(Answer(301, b"", {"Location": "/there"}))) as server:
        assert (await asked(server.url)).status == 301
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("target", "followed"),
    [("http://models.example/there", False), ("file:///etc/hosts", False), ("https://models.example/there", True)],
)
async def test_a_redirect_leaves_no_https(monkeypatch, target, followed):
    connections, sent = Connections({}, 5.0), []

    async def send(method, url, body, headers):
        sent.append(str(url))
        return Reply(307, {"location": target}, b"") if len(sent) == 1 else Reply(200, {}, b"there")

    monkeypatch.setattr(connections, "_send", send)
    reply = await connections.post("https://models.example/v1", b"{}")
    assert (reply.status, sent[1:]) == ((200, [target]) if followed else (307, []))
