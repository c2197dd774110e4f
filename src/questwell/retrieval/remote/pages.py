"""Fetches the text of a web page so that a hostile address or page does no harm. Needs the extra `web`.

Only http and https on their usual ports, public addresses and sites that are not blocked are allowed, also after a
redirect. A name is resolved once, and we connect to the address that was checked. Size (compressed and not), time and
content type are limited, and the text is extracted in a separate process.
"""

import asyncio
import codecs
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2

from questwell.http.bounded import ACCEPT_ENCODING, TooLargeError, UnreadableError, read_bounded
from questwell.http.connections import certificates
from questwell.retrieval.corpora.documents import clean
from questwell.retrieval.extras import optional
from questwell.retrieval.remote.addresses import is_public
from questwell.retrieval.remote.charsets import decode_as
from questwell.retrieval.remote.extracting import ExtractLimits, Extractor, NoTextError

TYPES = ("text/html", "application/xhtml+xml", "text/plain")


@dataclass(frozen=True, slots=True)
class PageOptions:
    """The limits of fetching a page; the defaults suit most cases."""

    timeout_s: float = 10.0
    """Maximum seconds for a page, redirects included."""
    most_bytes: int = 2_000_000
    """Maximum size of the uncompressed page in bytes."""
    redirects: int = 3
    in_flight: int = 16
    allowed: Callable[[str], bool] = is_public
    """Whether we may connect to an IP address."""
    ports: frozenset[int] = frozenset({80, 443})
    extract: ExtractLimits = field(default_factory=ExtractLimits)


class PageRefusedError(Exception):
    """A page was not fetched or has no text. It is caught in retrieval, which then uses the engine's snippet."""


class PageBlockedError(PageRefusedError):
    """The page leads to a blocked site, so its snippet must not be shown either."""


class Pages:
    """Fetches web pages. Belongs to one event loop."""

    def __init__(self, options: PageOptions | None = None, blocks: Callable[[str], bool] = lambda url: False) -> None:
        """Fetch within the limits of `options`, except addresses that `blocks` forbids.

        Raises:
            ConfigError: the extra `web` is not installed.
        """
        self._options = options or PageOptions()
        optional("trafilatura", "web")
        self._blocks = blocks
        self._extractor = Extractor(self._options.extract)
        self._slots = asyncio.Semaphore(self._options.in_flight)
        self._http = httpx2.AsyncClient(
            headers={
                "user-agent": "questwell (research; +https://arxiv.org/abs/2601.18202)",
                "accept": ", ".join(TYPES),
                "accept-encoding": ACCEPT_ENCODING,
            },
            timeout=httpx2.Timeout(self._options.timeout_s),
            follow_redirects=False,
            verify=certificates(),
            trust_env=False,  # a proxy would resolve the name again
        )

    async def aclose(self) -> None:
        """Close the connections and end the parser's process."""
        await self._extractor.aclose()
        await self._http.aclose()

    async def text(self, url: str) -> str:
        """The page's main text.

        Raises:
            PageRefusedError: the page must not or could not be fetched, or has no text.
        """
        async with self._slots:
            try:
                async with asyncio.timeout(self._options.timeout_s):
                    page = await self._fetch(url)
            except TimeoutError as error:
                raise PageRefusedError(f"no page within {self._options.timeout_s:g} s") from error
            except (httpx2.RequestError, httpx2.InvalidURL, OSError, UnicodeError) as error:
                raise PageRefusedError(f"{type(error).__name__}: {error}") from error
            except (TooLargeError, UnreadableError) as error:
                raise PageRefusedError(str(error)) from error
            try:
                plain = page.kind == "text/plain"
                text = (
                    decoded(page.body, page.charset) if plain else await self._extractor.text(page.body, page.charset)
                )
            except NoTextError as error:
                raise PageRefusedError(str(error)) from error
        if not text.strip():
            raise PageRefusedError("the page has no text")
        return clean(text)

    async def _fetch(self, url: str) -> "_Page":
        for _ in range(self._options.redirects + 1):
            self._check_blocked(url)
            found = await self._get(httpx2.URL(url))
            if isinstance(found, _Page):
                return found
            url = str(httpx2.URL(url).join(found))
        self._check_blocked(url)
        raise PageRefusedError(f"more than {self._options.redirects} redirects")

    def _check_blocked(self, url: str) -> None:
        if self._blocks(url):
            raise PageBlockedError(f"{url[:200]} is blocked")

    async def _get(self, url: httpx2.URL) -> "_Page | str":
        """The page, or the address to which it redirects."""
        address = await self._checked(url)
        pinned = url.copy_with(host=address, fragment=None, userinfo=b"")
        request = self._http.build_request(
            "GET", pinned, headers={"host": url.netloc.decode("ascii")}, extensions={"sni_hostname": url.host}
        )
        response = await self._http.send(request, stream=True)
        try:
            if response.has_redirect_location:
                return response.headers["location"]
            if response.status_code != 200:
                raise PageRefusedError(f"status {response.status_code}")
            kind, _, parameters = response.headers.get("content-type", "").partition(";")
            kind = kind.strip().lower()
            if kind not in TYPES:
                raise PageRefusedError(f"content type {kind!r}")
            encoding = response.headers.get("content-encoding", "")
            body = await read_bounded(encoding, response.aiter_raw(), self._options.most_bytes)
            return _Page(kind, _charset(parameters), body)
        finally:
            await response.aclose()

    async def _checked(self, url: httpx2.URL) -> str:
        """The IP address to connect to, if all addresses of the host are allowed."""
        if url.scheme not in ("http", "https") or not url.host:
            raise PageRefusedError(f"scheme {url.scheme!r}")
        port = url.port or (443 if url.scheme == "https" else 80)
        if port not in self._options.ports:
            raise PageRefusedError(f"port {port}")
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(map(self._options.allowed, addresses)):
            raise PageRefusedError(f"{url.host} is not a public address")
        return addresses[0]


@dataclass(frozen=True, slots=True)
class _Page:
    kind: str
    charset: str
    """Encoding that the server stated; empty if it stated none."""
    body: bytes


def _charset(parameters: str) -> str:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'")
    return ""


_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def decoded(body: bytes, charset: str) -> str:
    """`body` as text, decoded by its byte order mark, as the server says, as UTF-8, or by the likeliest encoding."""
    marked = [(name, body[len(mark) :]) for mark, name in _MARKS if body.startswith(mark)]
    for name, rest in [*marked, (charset, body), ("utf-8", body)]:
        if (text := decode_as(rest, name)) is not None:
            return text
    from charset_normalizer import from_bytes  # installed with trafilatura

    best = from_bytes(body).best()
    return str(best) if best is not None else body.decode("utf-8", "replace")
