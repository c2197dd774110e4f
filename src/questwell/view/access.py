"""Access control: Host, token, origin and page token are checked before any page is rendered.

Our pages load nothing from elsewhere and run only our scripts, whatever text a run contains. Other sites cannot write
here: the browser sends the origin of each request, and each form carries a token of this process.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
COOKIE = "questwell_view"
_HEADERS = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    # `no-referrer` would make the browser send `Origin: null` with our own forms.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@dataclass(frozen=True, slots=True)
class Access:
    """The hosts, token and page token that requests must have."""

    hosts: frozenset[str] = LOOPBACK
    """Allowed host names of the server; another name may be a foreign domain that points to this address."""
    token: str | None = None
    """Secret that every visitor must send; None only if the server listens on a loopback address."""
    page_token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    """Token that every form carries."""

    def fits(self, given: str) -> bool:
        """Return whether a form was created by this process."""
        return hmac.compare_digest(given.encode(), self.page_token.encode())


class Gate:
    """Middleware that rejects a request, or passes it on and adds headers to the response."""

    def __init__(self, app: App, access: Access) -> None:
        """Check requests in front of `app`."""
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        problem = self._problem(scope, headers)
        if problem is not None:
            await _refuse(guarded, *problem)
        elif (cookie := self._welcome(scope)) is not None:
            extra = [(b"location", scope["path"].encode()), (b"set-cookie", cookie.encode())]
            await _answer(guarded, 303, "", extra)
        else:
            await self._app(scope, receive, guarded)

    def _problem(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if _name(host) not in self._access.hosts:
            return 400, f"this server is not called {host[:100]!r}"
        if self._access.token is not None and not self._known(scope, headers):
            return 401, "open the address that questwell view printed, with its token"
        if scope["method"] in ("GET", "HEAD"):
            return None
        if not _same_origin(headers, host):
            return 403, "a page from elsewhere may not write here"
        return None

    def _known(self, scope: Scope, headers: dict[str, str]) -> bool:
        token = self._access.token or ""
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        given = cookie.value if cookie is not None else _query_token(scope)
        return hmac.compare_digest(given.encode(), token.encode())

    def _welcome(self, scope: Scope) -> str | None:
        """Return the cookie to set if the token was in the URL, so that later URLs need no token; else None."""
        if self._access.token is None or not _query_token(scope):
            return None
        return f"{COOKIE}={self._access.token}; Path=/; HttpOnly; SameSite=Strict"


def _same_origin(headers: dict[str, str], host: str) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == host


def _query_token(scope: Scope) -> str:
    return parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]


def _name(host: str) -> str:
    """Return the host without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


async def _refuse(send: Send, status: int, why: str) -> None:
    await _answer(send, status, f"{why}\n", [])


async def _answer(send: Send, status: int, text: str, extra: list[tuple[bytes, bytes]]) -> None:
    body = text.encode("utf-8", "replace")
    kind = (b"content-type", b"text/plain; charset=utf-8")
    await send({"type": "http.response.start", "status": status, "headers": [kind, *extra]})
    await send({"type": "http.response.body", "body": body})
