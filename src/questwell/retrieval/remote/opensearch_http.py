"""`Sending`: sends the requests of OpenSearch's client over our own connections.

So they have the same size limit, proxies and certificates as the requests of every other retriever. Needs the extra
`opensearch`.
"""

import base64
from collections.abc import Collection, Mapping
from typing import Any, cast
from urllib.parse import urlencode

from opensearchpy.connection import Connection

from questwell.http.connections import Connections


class Sending(Connection):
    """The client's `connection_class`; `connections` is passed with the client's own arguments."""

    def __init__(self, *, connections: Connections, http_auth: str | None = None, **given: Any) -> None:  # noqa: ANN401
        """Send over `connections`; `http_auth` is USER:PASSWORD from the address."""
        super().__init__(**given)
        self._connections = connections
        login = {"authorization": f"Basic {base64.b64encode(http_auth.encode()).decode()}"} if http_auth else {}
        self._always: dict[str, str] = {**login, **cast(Any, self).headers}

    async def perform_request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        timeout: float | None = None,  # the caller has a deadline
        ignore: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Any:  # noqa: ANN401  as the library has it
        """(status, headers, text) of the reply.

        Raises the errors of `Connections.send`, and the library's own for a status that is not a success.
        """
        address = f"{self.host}{self.url_prefix}{url}" + (f"?{urlencode(params)}" if params else "")
        reply = await self._connections.send(method, address, body, {**self._always, **(headers or {})})
        text = reply.content.decode("utf-8", "replace")
        if not reply.is_success and reply.status not in ignore:
            self._raise_error(reply.status, text, reply.headers.get("content-type"))
        return reply.status, reply.headers, text

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.aclose()
