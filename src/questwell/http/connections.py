"""`Connections`: keep-alive connections to one HTTP API, and one request over them.

We use aiohttp because its parser is in C: with 256 calls in flight a call costs 0.13 ms of CPU, against 1.3 ms for
httpx2 with one pool and 0.7 ms with small pools (`benchmarks/overhead.py`).
"""

import functools
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
from aiohttp.tracing import Trace
from yarl import URL

from questwell.errors import ConfigError
from questwell.http.bounded import ACCEPT_ENCODING, read_bounded
from questwell.http.loopback import is_loopback
from questwell.http.retrying import sent

KEEPALIVE_S = 4.0
"""Seconds that an idle connection is kept. vLLM and SGLang (uvicorn) close it after 5 s, and a request sent while the
server closes the connection is lost."""
MOST_REDIRECTS = 3
MOST_BYTES = 64_000_000
"""Default limit of one decompressed reply. The longest answer with its log-probabilities takes a fraction of it."""
_KNOWN_PROXIES = 16
_SECRET: tuple[str, ...] = ("authorization", "api-key", "x-api-key", "cookie")


class NotConnectedError(Exception):
    """No connection could be opened."""


class ConnectTimeoutError(NotConnectedError):
    """No connection could be opened in time."""


class BrokenError(Exception):
    """The connection ended before the whole reply had arrived."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete reply to a request."""

    status: int
    headers: Mapping[str, str]
    """Headers of the reply; look-ups ignore case."""
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


class Connections:
    """Connections to one API, opened as needed. Belongs to one event loop; the caller limits the number of calls."""

    def __init__(
        self,
        headers: Mapping[str, str],
        connect_timeout_s: float,
        *,
        most_bytes: int | None = None,
    ) -> None:
        """Create connections that send `headers` with each request.

        Args:
            headers: headers of each request.
            connect_timeout_s: limit for opening a connection; the caller sets the deadline of the whole call.
            most_bytes: limit of one reply, compressed or not; `MOST_BYTES` by default.
        """
        self.closed = False
        self._headers = {"accept-encoding": ACCEPT_ENCODING} | dict(headers)
        self._connect_timeout_s = connect_timeout_s
        self._proxies = getproxies()
        self._proxy = functools.lru_cache(_KNOWN_PROXIES)(self._look_up_proxy)
        self._most_bytes = MOST_BYTES if most_bytes is None else most_bytes
        self._certificates = certificates()
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes) -> Reply:
        """POST `body` and return the reply.

        Redirects that keep the method (307, 308) are followed; secrets are not sent to another host.

        Raises: as `send`.
        """
        here = _parsed(url)
        headers: dict[str, str] = {}
        reply = await self._send("POST", here, body, headers)
        for _ in range(MOST_REDIRECTS):
            if reply.status not in (307, 308) or "location" not in reply.headers:
                break
            target = here.join(URL(reply.headers["location"]))
            if target.scheme not in ("http", "https") or (here.scheme == "https" and target.scheme == "http"):
                break
            if target.host != here.host:
                headers = dict.fromkeys(_SECRET, "")
            reply = await self._send("POST", target, body, headers)
            here = target
        return reply

    async def send(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send one request and return the reply; redirects are not followed.

        Raises:
            ConnectTimeoutError: no connection within `connect_timeout_s`.
            NotConnectedError: no connection could be opened, or `aclose` was called.
            BrokenError: the connection ended before the whole reply had arrived.
            TooLargeError: the reply has more than `most_bytes`.
            UnreadableError: the reply is not encoded as its header says.
            ConfigError: the environment names a proxy of an unsupported kind.
        """
        return await self._send(method, _parsed(url), body, dict(headers or {}))

    async def aclose(self) -> None:
        """Close all connections, also those in use."""
        self.closed = True
        if self._session is not None:
            await self._session.close()

    async def _send(self, method: str, url: URL, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        """Send one request, as `send`; headers with an empty value are left out."""
        if self.closed:
            raise NotConnectedError("the client is closed")
        all_headers = {name: value for name, value in (self._headers | dict(headers)).items() if value}
        if url.user:
            all_headers["authorization"] = _login(url)
        proxy = self._proxy(url)
        login = {"proxy-authorization": _login(proxy)} if proxy and proxy.user else {}
        if url.scheme == "http":
            all_headers |= login  # an http proxy reads the request itself; with https it sees only its CONNECT
        try:
            async with self._opened().request(
                method,
                url.with_user(None),
                data=body,
                headers=all_headers,
                proxy=proxy.with_user(None) if proxy else None,
                proxy_headers=login,
                allow_redirects=False,
            ) as response:
                encoding = response.headers.get("content-encoding", "")
                content = await read_bounded(encoding, response.content.iter_any(), self._most_bytes)
                return Reply(response.status, response.headers.copy(), content)
        except aiohttp.ConnectionTimeoutError as error:
            raise ConnectTimeoutError(str(error)) from error
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError) as error:
            raise NotConnectedError(str(error)) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise BrokenError(f"{type(error).__name__}: {error}") from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(limit=0, keepalive_timeout=KEEPALIVE_S, ssl=self._certificates),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # aiohttp would decompress bodies beyond the limit
                trust_env=False,  # it would send credentials from ~/.netrc; we look up proxies ourselves
            )
        return self._session

    def _look_up_proxy(self, url: URL) -> URL | None:
        """Return the proxy for `url`, or None. A look-up takes 13 to 54 µs, so the latest results are cached."""
        named = self._proxies.get(url.scheme) or self._proxies.get("all")
        if not named or url.host is None or is_loopback(str(url)) or proxy_bypass(url.host):
            return None
        proxy = URL(named if "://" in named else f"http://{named}")
        if proxy.scheme not in ("http", "https"):
            raise ConfigError(
                f"the environment names a proxy of the kind {proxy.scheme}://, but only http:// and https:// are "
                "supported; set HTTP_PROXY and HTTPS_PROXY to one of these, or unset ALL_PROXY"
            )
        return proxy


class _Connector(aiohttp.TCPConnector):
    """Calls `sent` as soon as a request has its connection, since it is written immediately afterwards.

    A `TraceConfig` could do the same, but costs 0.15 ms of CPU per call.
    """

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.connector.Connection:
        """Return a connection, as aiohttp's own connector."""
        connection = await super().connect(req, traces, timeout)
        sent()
        return connection


def _login(url: URL) -> str:
    return aiohttp.encode_basic_auth(url.user or "", url.password or "")


def certificates() -> ssl.SSLContext:
    """Return the trusted certificates: the system's, and those in the variables of OpenSSL, requests and curl."""
    return _certificates(*(os.environ.get(variable) for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")))


@functools.cache
def _certificates(*bundles: str | None) -> ssl.SSLContext:
    """Return the SSL context with these bundles; creating it takes 50 ms, so it is cached."""
    context = httpx2.create_ssl_context()
    for path in bundles:
        if path and os.path.isfile(path):
            context.load_verify_locations(cafile=path)
        elif path and os.path.isdir(path):
            context.load_verify_locations(capath=path)
    return context


def _parsed(url: str) -> URL:
    try:
        return URL(url, encoded=True)
    except ValueError as error:
        raise NotConnectedError(f"{url!r} is not a valid address: {error}") from error
