"""`Sending`: requests of Qdrant's client, sent by our own connections.

So they have the same limit of a reply, proxies and certificates as those of every other retriever. Needs the extra
`qdrant`, whose client takes an httpx transport.
"""

import httpx

from questwell.http.connections import Connections

_OURS = {"accept-encoding", "connection", "content-length", "host"}
"""Headers that the connections set themselves."""
_UNPACKED = {"content-encoding", "content-length", "transfer-encoding"}
"""Headers of a reply that no longer hold for its unpacked body."""


class Sending(httpx.AsyncBaseTransport):
    """Given to the client as its `transport`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The whole reply to `request`.

        Raises: as `Connections.send`.
        """
        body = await request.aread()
        headers = {name: value for name, value in request.headers.items() if name not in _OURS}
        reply = await self._connections.send(request.method, str(request.url), body or None, headers)
        told = [(name, value) for name, value in reply.headers.items() if name.lower() not in _UNPACKED]
        return httpx.Response(reply.status, headers=told, content=reply.content, request=request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connections.aclose()
