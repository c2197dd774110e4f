"""`Sending`: sends the requests of Qdrant's client over our own connections.

So they have the same size limit, proxies and certificates as the requests of every other retriever. Needs the extra
`qdrant`, whose client accepts an httpx transport.
"""

import httpx

from questwell.http.connections import Connections

_OURS = {"accept-encoding", "connection", "content-length", "host"}
"""Request headers that our connections set themselves."""
_UNPACKED = {"content-encoding", "content-length", "transfer-encoding"}
"""Reply headers that are no longer true of the uncompressed body."""


class Sending(httpx.AsyncBaseTransport):
    """The client's `transport`, which sends over our connections."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The complete reply to `request`.

        Raises the errors of `Connections.send`.
        """
        body = await request.aread()
        headers = {name: value for name, value in request.headers.items() if name not in _OURS}
        reply = await self._connections.send(request.method, str(request.url), body or None, headers)
        told = [(name, value) for name, value in reply.headers.items() if name.lower() not in _UNPACKED]
        return httpx.Response(reply.status, headers=told, content=reply.content, request=request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connections.aclose()
