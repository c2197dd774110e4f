"""`McpRetriever`: the search tool of any MCP server over streamable HTTP. Needs the extra `serve`.

What of a server's tools is taken for what is decided in `mcp_tools.py`. The protocol does not tell what a search costs.
Filters and whole documents are for servers that have them as ours does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import httpx2

from questwell.errors import (
    RetrievalError,
    RetrievalRefused,
    RetrievalTimeout,
    RetrievalUnavailable,
)
from questwell.http.loopback import DIRECT
from questwell.http.retrying import Failure, Server, TryFailedError, retry_after_s, retrying, sent
from questwell.retrieval.extras import optional
from questwell.retrieval.remote.calling import PASSING, UNSENT, CallOptions
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

_CONNECTION_CLOSED, _REQUEST_TIMEOUT = -32000, -32001


_T = TypeVar("_T")


class McpRetriever:
    """An MCP server's search tool. Implements `Retriever` and `PaidRetriever`. Belongs to one event loop.

    The connection is opened by the first search and again after it broke; it lives in a task of its own, because the
    SDK wants it opened and closed by the same task.
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
        """A client of the server at `url`, such as http://127.0.0.1:8000/mcp.

        Raises:
            ConfigError: `url` is no address, or the extra `serve` is not installed.
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
        """The server's address, and what its passages are narrowed to."""
        return f"mcp:{shown(self._url)}{narrowed_by(self._always)}"

    def narrow(self, where: Filter) -> Self:
        """The same server, from now on as if it held only the passages that `where` lets through."""
        self._always = dict(where)
        return self

    @property
    def priced(self) -> bool:
        """Whether the user said what a search costs."""
        return self._price_usd is not None

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """As `Retriever.search`."""
        return (await self.search_paid(query, k)).hits

    async def search_paid(self, query: str, k: int) -> Found:
        """The hits, and what the user says that a search costs.

        Raises:
            RetrievalUnavailable: the server cannot be reached, or the connection broke twice.
            RetrievalTimeout: no answer in time.
            RetrievalRefused: it has no search tool, or the tool said that it failed.
            MalformedHits: the tool gave nothing that can be read as passages.
        """
        if k < 1 or not searchable(query):
            return Found((), 0.0)
        return Found(await self._search(query, k, self._always), self._price_usd)

    async def search_where(self, queries: Sequence[str], k: int, where: Filter) -> list[tuple[Hit, ...]]:
        """As `FilteringRetriever.search_where`; only for a server whose search tool has the argument `where`.

        Raises:
            RetrievalRefused: it has none.
        """
        among = both(self._always, where)
        if k < 1 or among is None:
            return [() for _ in queries]

        async def one(query: str) -> tuple[Hit, ...]:
            return await self._search(query, k, among) if searchable(query) else ()

        return await asyncio.gather(*map(one, queries))

    async def read_page(self, identifier: str, page: int) -> DocumentPage | None:
        """As `DocumentReader.read_page`; only for a server with our tool for it."""
        reply = await self._read(OPEN_TOOL, {"id": identifier, "page": page})
        found = None if reply is None else read_object(self.name, reply)
        return None if found is None else read_document_page(self.name, found, page)

    async def find_in(self, identifier: str, query: str, k: int) -> tuple[Hit, ...] | None:
        """As `DocumentReader.find_in`; only for a server with our tool for it."""
        if k < 1 or not searchable(query):
            return ()
        reply = await self._read(FIND_TOOL, {"id": identifier, "query": without_surrogates(query), "k": k})
        return None if reply is None else read_result(self.name, reply, k)

    async def _search(self, query: str, k: int, where: Filter) -> tuple[Hit, ...]:
        return await self._retrying(lambda connection: connection.search(without_surrogates(query), k, where))

    async def _read(self, tool: str, asked: Mapping[str, object]) -> "CallToolResult | None":
        """The result of the tool; None if it says that there is no such document."""
        result = await self._retrying(lambda connection: connection.read(tool, asked))
        missing = result.is_error and "BadRequestError" in str(getattr(result.content[0], "text", ""))
        return None if missing else result

    async def _retrying(self, ask: "Callable[[_Connection], Awaitable[_T]]") -> _T:
        """What `ask` gives over a connection; what may pass (429, 5xx, a connection that broke) is tried again."""

        async def attempt() -> _T:
            try:
                connection = await self._connected()
            except RetrievalUnavailable as error:
                raise _try_failed(self.name, error) from error
            sent()  # the session is open: from here on the server may see the call
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
    """The server is there and asks for patience."""

    def __init__(self, message: str, retry_after_s: float | None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def _try_failed(name: str, error: RetrievalUnavailable) -> TryFailedError:
    what, after = str(error).removeprefix(f"{name}: "), getattr(error, "retry_after_s", None)
    return TryFailedError(
        Failure(RetrievalUnavailable, what, "check that an MCP server is there", True, retry_after_s=after)
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
            self._task.cancel()  # nobody waits for this session any more, and it may take long to come about
            raise

    async def close(self) -> None:
        """Disconnect; the end of a broken connection is of no interest."""
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
        except Exception as error:  # the SDK's own and its transport's
            raise self._failed(error) from error

    async def _live(self) -> None:
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client

        timeout = httpx2.Timeout(self._options.timeout_s, connect=self._options.connect_timeout_s)
        hooks: dict[str, list[Any]] = {"response": [self._seen]}
        try:
            async with (
                httpx2.AsyncClient(headers=self._headers, timeout=timeout, event_hooks=hooks, mounts=DIRECT) as http,
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
        """Note a status that says why a call failed: the SDK only reports that it did."""
        if response.status_code >= 400 and response.request.method == "POST":
            self._refusal = response.status_code, response.headers.get("retry-after")

    def _failed(self, error: BaseException) -> RetrievalError:
        refusal, self._refusal = self._refusal, None
        if refusal is not None and not isinstance(error, RetrievalError):
            status, after = refusal
            if status in (401, 403):
                return RetrievalRefused(
                    f"{self._name}: status {status}: it wants a key; set {KEY_PLACE} to the server's key"
                )
            if status in PASSING or status >= 500:
                return _BusyError(f"{self._name}: status {status}", retry_after_s(after, datetime.now(UTC)))
        return _classified(self._name, error)


def _classified(name: str, error: BaseException) -> RetrievalError:
    """The one place where a failure of the SDK becomes ours."""
    if isinstance(error, RetrievalError):
        return error
    if isinstance(error, BaseExceptionGroup):  # of the SDK's task groups
        return _classified(name, cast(BaseExceptionGroup[BaseException], error).exceptions[0])
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return RetrievalTimeout(f"{name}: no answer in time")
    code = getattr(getattr(error, "error", None), "code", None)  # of a JSON-RPC error
    if code == _REQUEST_TIMEOUT:
        return RetrievalTimeout(f"{name}: no answer in time")
    if isinstance(code, int) and code != _CONNECTION_CLOSED:
        return RetrievalRefused(f"{name}: {error}; check what the server's search tool wants")
    return RetrievalUnavailable(f"{name}: {type(error).__name__}: {error}")
