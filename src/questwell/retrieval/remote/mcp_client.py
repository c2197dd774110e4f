"""`McpRetriever`: searches with the search tool of any MCP server over streamable HTTP. Needs the extra `serve`.

`mcp_tools.py` decides how a server's tools are used. The protocol does not report the cost of a search. Filters and
whole documents work only with servers that offer them as ours does.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import httpx2

from questwell.errors import (
    MalformedHits,
    RetrievalError,
    RetrievalRefused,
    RetrievalTimeout,
    RetrievalUnavailable,
)
from questwell.http.loopback import DIRECT
from questwell.http.retrying import Failure, Server, TryFailedError, retry_after_s, retrying, sent
from questwell.retrieval.extras import optional
from questwell.retrieval.remote.calling import PASSING, UNSENT, CallOptions
from questwell.retrieval.remote.counted import Counted
from questwell.retrieval.remote.filters import both, narrowed_by
from questwell.retrieval.remote.mcp_tools import (
    FILTER,
    FIND_TOOL,
    OPEN_TOOL,
    arguments_of,
    read_object,
    read_result,
    search_tool,
    takes,
)
from questwell.retrieval.remote.remote import (
    KEY_PLACE,
    authorization,
    base_url,
    read_document_page,
    searchable,
    shown,
)
from questwell.retrieval.retriever import DocumentPage, Filter, Found
from questwell.text.unicode import without_surrogates
from questwell.types.corpus import Hit

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult, Tool

_QUOTED = 300
"""Maximum number of characters of an SDK's error that a message quotes."""
_CONNECTION_CLOSED, _REQUEST_TIMEOUT = -32000, -32001


_T = TypeVar("_T")


class McpRetriever:
    """A client of an MCP server's search tool. Implements `Retriever` and `PaidRetriever`. Belongs to one event loop.

    The first search opens the connection, and it is reopened after it breaks. It lives in its own task, because the
    SDK requires the same task to open and close it.
    """

    def __init__(
        self,
        url: str,
        options: CallOptions | None = None,
        *,
        price_usd: float | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Use the server at `url`, such as http://127.0.0.1:8000/mcp.

        Raises:
            ConfigError: `url` is not an address, or the extra `serve` is not installed.
        """
        base_url(url)
        optional("mcp", "serve")
        self._url = url
        self._options = options or CallOptions()
        self._price_usd = price_usd
        self._key = key
        self._headers = {**authorization(key), **(headers or {})}
        self._always: Filter = {}
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    @property
    def name(self) -> str:
        """The server's address and the filter of its passages."""
        return f"mcp:{shown(self._url)}{narrowed_by(self._always)}"

    def narrow(self, where: Filter) -> Self:
        """The same retriever, restricted from now on to passages with the metadata `where`."""
        self._always = dict(where)
        return self

    @property
    def priced(self) -> bool:
        """Whether the user stated the price of a search."""
        return self._price_usd is not None

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """At most `k` hits for `query`, best first, as `Retriever.search`."""
        return (await self.search_paid(query, k)).hits

    async def search_paid(self, query: str, k: int) -> Found:
        """The hits, and the price of a search as the user stated it.

        Raises:
            RetrievalUnavailable: the server cannot be reached, or the connection broke twice.
            RetrievalTimeout: no answer in time.
            RetrievalRefused: the server has no search tool, or the tool reported a failure.
            MalformedHits: the tool's result cannot be read as passages.
        """
        if k < 1 or not searchable(query):
            return Found((), 0.0)
        return Found(await self._search(query, k, self._always), self._price_usd)

    async def search_where(self, queries: Sequence[str], k: int, where: Filter) -> list[tuple[Hit, ...]]:
        """The hits of each query among the passages with `where`; the search tool needs the argument `where`.

        Raises:
            RetrievalRefused: the search tool does not have it.
        """
        among = both(self._always, where)
        if k < 1 or among is None:
            return [() for _ in queries]

        async def one(query: str) -> tuple[Hit, ...]:
            return await self._search(query, k, among) if searchable(query) else ()

        return await asyncio.gather(*map(one, queries))

    async def read_page(self, identifier: str, page: int) -> DocumentPage | None:
        """A page of a document, as `DocumentReader.read_page`; only for servers with our tool for it."""
        reply = await self._read(OPEN_TOOL, {"id": identifier, "page": page})
        found = None if reply is None else read_object(self.name, reply)
        return None if found is None else read_document_page(self.name, found, page)

    async def find_in(self, identifier: str, query: str, k: int) -> tuple[Hit, ...] | None:
        """Passages inside a document, as `DocumentReader.find_in`; only for servers with our tool for it."""
        if k < 1 or not searchable(query):
            return ()
        reply = await self._read(FIND_TOOL, {"id": identifier, "query": without_surrogates(query), "k": k})
        return None if reply is None else read_result(self.name, reply, k)

    async def _search(self, query: str, k: int, where: Filter) -> tuple[Hit, ...]:
        return await self._retrying(lambda connection: connection.search(without_surrogates(query), k, where))

    async def _read(self, tool: str, asked: Mapping[str, object]) -> "CallToolResult | None":
        """The result of the tool; None if the tool reports that there is no such document."""
        result = await self._retrying(lambda connection: connection.read(tool, asked))
        missing = result.is_error and "BadRequestError" in str(getattr(result.content[0], "text", ""))
        return None if missing else result

    async def _retrying(self, ask: "Callable[[_Connection], Awaitable[_T]]") -> _T:
        """The result of `ask`; after a temporary failure (429, 5xx, a broken connection) it is tried again."""

        async def attempt() -> _T:
            try:
                connection = await self._connected()
            except RetrievalUnavailable as error:
                raise _try_failed(self.name, error) from error
            sent()  # the session is open, so the server may see the call from here on
            try:
                return await ask(connection)
            except RetrievalUnavailable as error:
                if not isinstance(error, _BusyError):
                    await self._drop(connection)
                raise _try_failed(self.name, error) from error

        return await retrying(attempt, Server(self.name, self._key), self._options, lambda: self._closed, UNSENT)

    async def aclose(self) -> None:
        """Close the connection."""
        self._closed = True
        if self._connection is not None:
            await self._drop(self._connection)

    async def _connected(self) -> "_Connection":
        async with self._connecting:
            if self._connection is None:
                connection = _Connection(self._url, self._options, self.name, self._headers)
                await connection.open()
                self._connection = connection
            return self._connection

    async def _drop(self, connection: "_Connection") -> None:
        if self._connection is connection:
            self._connection = None
        await connection.close()


class _BusyError(RetrievalUnavailable):
    """The server is busy and asks the client to wait."""

    def __init__(self, message: str, retry_after_s: float | None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def _try_failed(name: str, error: RetrievalUnavailable) -> TryFailedError:
    what, after = str(error).removeprefix(f"{name}: "), getattr(error, "retry_after_s", None)
    return TryFailedError(
        Failure(RetrievalUnavailable, what, "check that an MCP server runs at this address", True, retry_after_s=after)
    )


class _Connection:
    def __init__(self, url: str, options: CallOptions, name: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = dict(headers)
        self._options = options
        self._name = name
        self._opened: asyncio.Future[tuple[Client, Tool, frozenset[str]]] = asyncio.get_running_loop().create_future()
        self._closing = asyncio.Event()
        self._refusal: tuple[int, str | None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect and find the search tool."""
        self._task = asyncio.create_task(self._live())
        try:
            async with asyncio.timeout(self._options.connect_timeout_s + self._options.timeout_s):
                await asyncio.shield(self._opened)
        except TimeoutError as error:
            await self.close()
            raise RetrievalTimeout(f"{self._name}: could not connect in time; check the address") from error
        except RetrievalError:
            await self.close()
            raise
        except asyncio.CancelledError:
            self._task.cancel()  # opening may take long, and nobody waits for this session any more
            raise

    async def close(self) -> None:
        """Disconnect, ignoring errors of a connection that is already broken."""
        self._closing.set()
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=self._options.connect_timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def search(self, query: str, k: int, where: Filter) -> tuple[Hit, ...]:
        _, tool, _ = self._opened.result()
        arguments = arguments_of(tool.input_schema, query, k)
        if where and not takes(tool.input_schema, FILTER):
            raise RetrievalRefused(f"{self._name}: its tool {tool.name} cannot filter by metadata; leave out where")
        if where:
            arguments[FILTER] = {key: value if isinstance(value, str) else list(value) for key, value in where.items()}
        return read_result(self._name, await self._call(tool.name, arguments), k)

    async def read(self, tool: str, asked: Mapping[str, object]) -> "CallToolResult":
        if tool not in self._opened.result()[2]:
            raise RetrievalRefused(f"{self._name}: it has no tool {tool}, so it cannot return whole documents")
        return await self._call(tool, asked)

    async def _call(self, tool: str, arguments: Mapping[str, object]) -> "CallToolResult":
        client = self._opened.result()[0]
        try:
            async with asyncio.timeout(self._options.timeout_s):
                return await client.call_tool(tool, dict(arguments))
        except TimeoutError as error:
            raise RetrievalTimeout(f"{self._name}: no answer within {self._options.timeout_s:g} s") from error
        except Exception as error:  # errors of the SDK and of its transport
            raise self._failed(error) from error

    async def _live(self) -> None:
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client

        logging.getLogger("mcp.client").setLevel(logging.CRITICAL)  # what goes wrong is raised, without its traceback
        timeout = httpx2.Timeout(self._options.timeout_s, connect=self._options.connect_timeout_s)
        hooks: dict[str, list[Any]] = {"response": [self._seen]}
        try:
            async with (
                httpx2.AsyncClient(
                    headers={**self._headers, "accept-encoding": "identity"},
                    timeout=timeout,
                    event_hooks=hooks,
                    mounts=DIRECT,
                ) as http,
                Client(streamable_http_client(self._url, http_client=http)) as client,
            ):
                tools = (await client.list_tools()).tools
                tool = search_tool(self._name, tools)
                if not self._opened.done():
                    self._opened.set_result((client, tool, frozenset(one.name for one in tools)))
                await self._closing.wait()
        except Exception as error:
            if not self._opened.done():
                self._opened.set_exception(self._failed(error))

    async def _seen(self, response: httpx2.Response) -> None:
        """Note the HTTP status of a failed call, because the SDK does not report it; bound the reply to a call."""
        if response.request.method == "POST":
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise MalformedHits(f"{self._name}: the reply is packed, although it was asked for without")
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = Counted(response.stream, self._options.most_bytes, self._name)
        if response.status_code >= 400 and response.request.method == "POST":
            self._refusal = response.status_code, response.headers.get("retry-after")

    def _failed(self, error: BaseException) -> RetrievalError:
        refusal, self._refusal = self._refusal, None
        if refusal is not None and not isinstance(error, RetrievalError):
            status, after = refusal
            if status in (401, 403):
                return RetrievalRefused(f"{self._name}: status {status}: the server needs a key; set {KEY_PLACE} to it")
            if status in PASSING or status >= 500:
                return _BusyError(f"{self._name}: status {status}", retry_after_s(after, datetime.now(UTC)))
        return _classified(self._name, error)


def _classified(name: str, error: BaseException) -> RetrievalError:
    """The domain error for a failure of the SDK; no other place translates them."""
    if isinstance(error, RetrievalError):
        return error
    if isinstance(error, BaseExceptionGroup):  # from the SDK's task groups
        return _classified(name, cast(BaseExceptionGroup[BaseException], error).exceptions[0])
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return RetrievalTimeout(f"{name}: no answer in time")
    told = " ".join(str(error).split())[:_QUOTED]
    code = getattr(getattr(error, "error", None), "code", None)  # code of a JSON-RPC error
    if code == _REQUEST_TIMEOUT:
        return RetrievalTimeout(f"{name}: no answer in time")
    if isinstance(code, int) and code != _CONNECTION_CLOSED:
        return RetrievalRefused(f"{name}: {told}; check the arguments of the server's search tool")
    return RetrievalUnavailable(f"{name}: {type(error).__name__}: {told}")
