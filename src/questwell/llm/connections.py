"""Keep-alive HTTP connections to one endpoint, spread over small pools.

httpx2 looks through its whole pool at every request and every response: measured at 256 calls in flight, one pool costs
1.3 ms of CPU a call, pools of 8 connections 0.8 ms. Pools are opened as calls pile up, so a quiet client has one.
"""

import os
import ssl
from dataclasses import dataclass

import httpx2

from questwell.http.bounded import ACCEPT_ENCODING, read_bounded

POOL_SIZE = 8
KEEPALIVE_S = 4.0
"""Seconds that an idle connection is kept: fewer than the 5 after which vLLM and SGLang (uvicorn) close it, because a
request that meets the closing is lost."""
MOST_REDIRECTS = 3
MOST_BYTES = 64_000_000
"""Of one reply, unpacked: the longest answer with its log-probabilities takes a fraction of it."""
_OF_THE_LINE = ("content-encoding", "content-length", "transfer-encoding")
"""Headers that hold no more once the body is unpacked."""
_SECRET = ("authorization", "api-key", "x-api-key", "cookie")


@dataclass(slots=True)
class _Pool:
    http: httpx2.AsyncClient
    busy: int = 0


class Connections:
    """HTTP pools to one endpoint; a call goes to the first pool that has a free connection."""

    def __init__(self, headers: dict[str, str], connect_timeout_s: float, *, direct: bool = False) -> None:
        """`direct`: past any proxy of the environment, for an endpoint on this machine."""
        self.closed = False
        self._headers = headers
        self._timeout = httpx2.Timeout(None, connect=connect_timeout_s)
        self._verify = _certificates()  # 50 ms: made once for all pools
        self._direct = direct
        self._pools: list[_Pool] = []

    async def post(self, url: httpx2.URL, body: bytes) -> httpx2.Response:
        """The whole response to a POST of `body`; the caller sets the deadline.

        A redirect that keeps the method (307, 308) is followed; what is secret goes to no other host.

        Raises:
            TooLargeError: the reply has more than `MOST_BYTES`; no more of it is read.
            UnreadableError: it is packed in a way that was not asked for.
            httpx2.RequestError: no complete response came, or the connections are closed.
        """
        pool = self._pick()
        pool.busy += 1
        try:
            response = await _whole(pool.http, pool.http.build_request("POST", url, content=body))
            for _ in range(MOST_REDIRECTS):
                if response.status_code not in (307, 308) or "location" not in response.headers:
                    break
                target = url.join(response.headers["location"])
                if target.scheme not in ("http", "https") or (url.scheme == "https" and target.scheme == "http"):
                    break
                response = await self._follow(pool.http, url, target, body)
                url = target
            return response
        finally:
            pool.busy -= 1

    async def _follow(
        self, http: httpx2.AsyncClient, url: httpx2.URL, target: httpx2.URL, body: bytes
    ) -> httpx2.Response:
        request = http.build_request("POST", target, content=body)
        if target.host != url.host:
            for name in _SECRET:
                request.headers.pop(name, None)
        return await _whole(http, request)

    def _pick(self) -> _Pool:
        if self.closed:
            raise httpx2.CloseError("the client is closed")
        for pool in self._pools:
            if pool.busy < POOL_SIZE:
                return pool
        limits = httpx2.Limits(max_connections=POOL_SIZE, keepalive_expiry=KEEPALIVE_S)
        http = httpx2.AsyncClient(
            headers={"accept-encoding": ACCEPT_ENCODING} | self._headers,
            timeout=self._timeout,
            verify=self._verify,
            limits=limits,
            trust_env=not self._direct,
        )
        self._pools.append(_Pool(http))
        return self._pools[-1]

    async def aclose(self) -> None:
        """Close every connection, those in use too."""
        self.closed = True
        for pool in self._pools:
            await pool.http.aclose()


async def _whole(http: httpx2.AsyncClient, request: httpx2.Request) -> httpx2.Response:
    """The response with its body read, as long as that is within the limit."""
    response = await http.send(request, stream=True)
    try:
        content = await read_bounded(response, MOST_BYTES)
    finally:
        await response.aclose()
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_LINE]
    return httpx2.Response(response.status_code, headers=headers, content=content, request=request)


def _certificates() -> ssl.SSLContext:
    """Whom to trust: the usual authorities, and those of the variables that requests and curl read."""
    context = httpx2.create_ssl_context()
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        path = os.environ.get(variable)
        if path and os.path.isfile(path):
            context.load_verify_locations(cafile=path)
        elif path and os.path.isdir(path):
            context.load_verify_locations(capath=path)
    return context
