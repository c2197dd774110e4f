"""Text of a web page, fetched so that a hostile address or page does no harm. Needs the extra `web`.

Only http and https on their own ports, only public addresses, also after a redirect. The name is resolved once and the
connection goes to the address that was checked. Size, time and kind of content are limited.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from questwell.retrieval.corpora.documents import clean
from questwell.retrieval.extras import optional
from questwell.retrieval.remote.calling import certificates

TYPES = ("text/html", "application/xhtml+xml", "text/plain")


def is_public(address: str) -> bool:
    """Whether an IP address is on the open internet: not private, local, reserved or a way to one of these."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What is taken; the defaults suit most."""

    timeout_s: float = 10.0
    """For all of it, redirects included."""
    most_bytes: int = 2_000_000
    redirects: int = 3
    in_flight: int = 16
    allowed: Callable[[str], bool] = is_public
    """Which IP addresses may be connected to."""
    ports: frozenset[int] = frozenset({80, 443})


class PageRefusedError(Exception):
    """A page was not fetched or has no text; says why. Never leaves retrieval: the snippet stands."""


class Pages:
    """Fetches pages. Belongs to one event loop."""

    def __init__(self, options: PageOptions | None = None) -> None:
        """Fetch within `options`.

        Raises:
            ConfigError: the extra `web` is not installed.
        """
        self._options = options or PageOptions()
        self._trafilatura = optional("trafilatura", "web")
        self._slots = asyncio.Semaphore(self._options.in_flight)
        self._http = httpx2.AsyncClient(
            headers={
                "user-agent": "questwell (research; +https://arxiv.org/abs/2601.18202)",
                "accept": ", ".join(TYPES),
            },
            timeout=httpx2.Timeout(self._options.timeout_s),
            follow_redirects=False,
            verify=certificates(),
            trust_env=False,  # a proxy would resolve the name again
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def text(self, url: str) -> str:
        """The page's main text.

        Raises:
            PageRefusedError: it may not be fetched, could not be, or has none.
        """
        async with self._slots:
            try:
                async with asyncio.timeout(self._options.timeout_s):
                    kind, body = await self._fetch(url)
            except TimeoutError as error:
                raise PageRefusedError(f"no page within {self._options.timeout_s:g} s") from error
            except (httpx2.RequestError, httpx2.InvalidURL, OSError, UnicodeError) as error:
                raise PageRefusedError(f"{type(error).__name__}: {error}") from error
            text = await asyncio.to_thread(self._extract, kind, body)
        if not text.strip():
            raise PageRefusedError("the page has no text")
        return clean(text)

    async def _fetch(self, url: str) -> tuple[str, bytes]:
        for _ in range(self._options.redirects + 1):
            kind, body, onward = await self._get(httpx2.URL(url))
            if onward is None:
                return kind, body
            url = str(httpx2.URL(url).join(onward))
        raise PageRefusedError(f"more than {self._options.redirects} redirects")

    async def _get(self, url: httpx2.URL) -> tuple[str, bytes, str | None]:
        address = await self._checked(url)
        pinned = url.copy_with(host=address, fragment=None, userinfo=b"")
        request = self._http.build_request(
            "GET", pinned, headers={"host": url.netloc.decode("ascii")}, extensions={"sni_hostname": url.host}
        )
        response = await self._http.send(request, stream=True)
        try:
            if response.has_redirect_location:
                return "", b"", response.headers["location"]
            if response.status_code != 200:
                raise PageRefusedError(f"status {response.status_code}")
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind not in TYPES:
                raise PageRefusedError(f"content type {kind!r}")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > self._options.most_bytes:
                    raise PageRefusedError(f"more than {self._options.most_bytes} bytes")
            return kind, bytes(body), None
        finally:
            await response.aclose()

    async def _checked(self, url: httpx2.URL) -> str:
        """The address to connect to, all that the name has being allowed."""
        if url.scheme not in ("http", "https") or not url.host:
            raise PageRefusedError(f"scheme {url.scheme!r}")
        port = url.port or (443 if url.scheme == "https" else 80)
        if port not in self._options.ports:
            raise PageRefusedError(f"port {port}")
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(map(self._options.allowed, addresses)):
            raise PageRefusedError(f"{url.host} is no public address")
        return addresses[0]

    def _extract(self, kind: str, body: bytes) -> str:
        if kind == "text/plain":
            return body.decode("utf-8", "replace")
        try:
            found: Any = self._trafilatura.extract(body, include_comments=False, include_tables=True)
        except Exception as error:  # of whatever kind the parser has for a broken page
            raise PageRefusedError(f"no text could be read from it ({type(error).__name__})") from error
        return found if isinstance(found, str) else ""
