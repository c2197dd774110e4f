"""`Gate`: checks host, origin and token of every request, also to `/mcp`, and reads its body within limits.

A web page that someone on this machine opens can send requests to 127.0.0.1. We recognise it by what a page cannot
change: the Host to which the browser believes it talks (a page whose name was rebound to 127.0.0.1 sends that name),
the Origin, and a content type that needs the server's consent.
"""

import asyncio
import hmac
import ipaddress
import json
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, cast

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

LOCAL = ("localhost", "127.0.0.1", "::1")
KEY_VARIABLE = "QUESTWELL_RETRIEVER_KEY"
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?")
_SCHEMES = ("http", "https")
_OPEN = {"/healthz"}
"""Routes that are answered without the token; they only say that the server is alive."""


@dataclass(frozen=True, slots=True)
class GateOptions:
    """Who may send requests, and how large requests may be."""

    host: str = "127.0.0.1"
    """Host on which the server listens. If it is not loopback, the header Host may be any IP address or this machine's
    name."""
    hosts: tuple[str, ...] = ()
    """More names of the server, and origins of pages that may call it."""
    token: str = field(default="", repr=False)
    """Secret that clients must send; empty for none."""
    most_bytes: int = 8_000_000
    """Maximum size of one request in bytes."""
    most_held: int = 256_000_000
    """Maximum total bytes of all requests that are being read or answered."""
    body_s: float = 30.0
    """Maximum seconds from the end of the headers to the end of the body."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of the connections of one process."""

    connections: int = 1_024
    """Maximum number of open connections. A further one replaces the connection that has been idle longest; if none is
    idle, it gets 503."""
    header_s: float = 10.0
    """Maximum seconds from connecting, or from a request's first byte, to the end of its headers."""
    idle_s: float = 30.0
    """Maximum seconds between two requests. It is longer than clients keep connections open, because a request that is
    sent while the server closes is lost."""
    write_s: float = 30.0
    """Maximum seconds that a client may leave its reply unread."""


class _RefusedError(Exception):
    def __init__(self, status: int, kind: str, message: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(message)
        self.status, self.kind, self.headers = status, kind, tuple(headers)


class Gate:
    """An ASGI application that checks requests before it passes them to another."""

    def __init__(self, app: App, options: GateOptions | None = None) -> None:
        self._app = app
        self._options = options or GateOptions()
        self._local = is_local(self._options.host)
        own = () if self._local else (socket.gethostname(), socket.getfqdn())
        self._names = {name.lower().rstrip(".") for name in (*LOCAL, *own, *self._options.hosts)}
        self._token = self._options.token.encode()
        self._held = 0
        self.refused: dict[int, int] = {}
        """Number of refused requests, by status."""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a WebSocket, which no route has
            await send({"type": "websocket.close", "code": 1008})
            return
        held: list[bytes] = []
        try:
            self._check(scope)
            await self._read(scope, receive, held)
        except _RefusedError as error:
            self._release(held)
            self.refused[error.status] = self.refused.get(error.status, 0) + 1
            await _answer(send, error)
            return
        except ConnectionError:
            self._release(held)
            return
        try:
            await self._app(scope, _again(b"".join(held), receive), send)
        finally:
            self._release(held)

    def _check(self, scope: MutableMapping[str, Any]) -> None:
        headers = _headers(scope)
        known = self._knows(headers)
        scope["questwell.known"] = known
        hosts = headers.get(b"host", [])
        if not known and scope["path"] not in _OPEN:
            message = (
                f"this server needs its token: send Authorization: Bearer TOKEN (with questwell: set {KEY_VARIABLE})"
            )
            raise _RefusedError(401, "Unauthorized", message, [(b"www-authenticate", b"Bearer")])
        proven = known and bool(self._token)  # a rebound page does not know the token
        if not proven and not (len(hosts) == 1 and self._named(_host(hosts[0].decode("latin-1")))):
            shown = hosts[0].decode("latin-1")[:100] if hosts else ""
            message = f"this server is not called {shown!r}; to allow the name: questwell serve --allow-host NAME"
            raise _RefusedError(421, "WrongHost", message)
        self._check_origin(headers, hosts)
        if scope["method"] in ("POST", "PUT", "PATCH"):
            _check_content(headers)

    def _check_origin(self, headers: dict[bytes, list[bytes]], hosts: list[bytes]) -> None:
        for raw in headers.get(b"origin", []):
            origin = raw.decode("latin-1")
            scheme, _, rest = origin.partition("://")
            same = scheme in _SCHEMES and bool(hosts) and rest.lower() == hosts[0].decode("latin-1").lower()
            if not (same or _origin_host(origin) in {*LOCAL, *map(str.lower, self._options.hosts)}):
                raise _RefusedError(403, "WrongOrigin", f"pages of {origin[:100]!r} may not use this server")
        if b"cross-site" in headers.get(b"sec-fetch-site", []):
            raise _RefusedError(403, "WrongOrigin", "pages of other sites may not use this server")

    def _named(self, host: str) -> bool:
        if host in self._names:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or not self._local  # a rebound page has a name, not an address

    def _knows(self, headers: dict[bytes, list[bytes]]) -> bool:
        if not self._token:
            return True
        scheme, _, given = b"".join(headers.get(b"authorization", [])).partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token)

    async def _read(self, scope: MutableMapping[str, Any], receive: Receive, held: list[bytes]) -> None:
        options = self._options
        size = 0
        try:
            async with asyncio.timeout(options.body_s):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ConnectionResetError("the client has disconnected")
                    more, chunk = message.get("more_body", False), message.get("body", b"")
                    size += len(chunk)
                    if size > options.most_bytes:
                        said = f"a request may have {options.most_bytes} bytes; send fewer queries at once"
                        raise _RefusedError(413, "BadRequest", said)
                    if chunk:
                        held.append(chunk)
                        self._held += len(chunk)
                    if self._held > options.most_held:
                        said = "the requests in progress are too large in total; try again"
                        raise _RefusedError(503, "RetrievalBusy", said, [(b"retry-after", b"1")])
        except TimeoutError:
            said = f"the request was not complete within {options.body_s:g} s"
            raise _RefusedError(408, "BadRequest", said) from None

    def _release(self, held: list[bytes]) -> None:
        self._held -= sum(map(len, held))


def is_local(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_content(headers: dict[bytes, list[bytes]]) -> None:
    kind = b"".join(headers.get(b"content-type", [])).partition(b";")[0].strip().lower()
    if kind != b"application/json":
        said = f"send JSON with the header content-type: application/json, not {kind.decode('latin-1')[:60]!r}"
        raise _RefusedError(415, "BadRequest", said)
    if headers.get(b"content-encoding", [b"identity"]) != [b"identity"]:
        raise _RefusedError(415, "BadRequest", "send the request without compression")


def _headers(scope: MutableMapping[str, Any]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in cast(list[tuple[bytes, bytes]], scope["headers"]):
        found.setdefault(name, []).append(value)
    return found


def _host(header: str) -> str:
    """The host in a Host header, without its port; empty if it is not valid, or more than a host (a user, a path)."""
    found = _HOST.fullmatch(header)
    return (found[1] or found[2]).lower().rstrip(".") if found else ""


def _origin_host(origin: str) -> str:
    scheme, found, rest = origin.partition("://")
    return _host(rest) if found and scheme in _SCHEMES else ""


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that first returns the body that was already read, then what `receive` returns."""
    first = True

    async def again() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


async def _answer(send: Send, error: _RefusedError) -> None:
    body = json.dumps({"error": {"type": error.kind, "message": str(error)}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *error.headers]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
