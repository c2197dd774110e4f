"""`McpRetriever`: the search tool of any MCP server over streamable HTTP. Needs the extra `serve`.

Servers name the tool and its arguments as they like, and give structured results or plain text; what is taken for what
is decided here. The protocol does not tell what a search costs.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx2

from questwell.errors import (
    ConfigError,
    MalformedHits,
    RetrievalError,
    RetrievalRefused,
    RetrievalTimeout,
    RetrievalUnavailable,
)
from questwell.http.retrying import Failure, Server, TryFailedError, retry_after_s, retrying
from questwell.retrieval.extras import optional
from questwell.retrieval.remote.calling import PASSING, CallOptions
from questwell.retrieval.remote.remote import KEY_VARIABLE, authorization, base_url, searchable, shown
from questwell.retrieval.remote.wire import read_hits
from questwell.retrieval.retriever import Found
from questwell.text.unicode import without_surrogates
from questwell.types.corpus import Hit

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult, Tool

QUERY_ARGUMENTS = ("query", "q", "search_query", "question", "text", "input")
COUNT_ARGUMENTS = ("k", "top_k", "topk", "max_results", "num_results", "numResults", "limit", "count", "num", "n")
LISTS = ("results", "result", "hits", "documents", "passages", "items", "data")
"""Where results may stand in a reply."""

_CONNECTION_CLOSED, _REQUEST_TIMEOUT = -32000, -32001


_T = TypeVar("_T")


class McpRetriever:
    """An MCP server's search tool. Implements `Retriever` and `PaidRetriever`. Belongs to one event loop.

    The connection is opened by the first search and again after it broke; it lives in a task of its own, because the
    SDK wants it opened and closed by the same task.
    """

    def __init__(
        self, url: str, options: CallOptions | None = None, *, price_usd: float | None = None, key: str | None = None
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
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    @property
    def name(self) -> str:
        """The server's address."""
        return f"mcp:{shown(self._url)}"

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
        hits = await self._retrying(lambda connection: connection.search(without_surrogates(query), k))
        return Found(hits, self._price_usd)

    async def _retrying(self, ask: "Callable[[_Connection], Awaitable[_T]]") -> _T:
        """What `ask` gives over a connection; what may pass (429, 5xx, a connection that broke) is tried again."""

        async def attempt() -> _T:
            try:
                connection = await self._connected()
            except RetrievalUnavailable as error:
                raise _try_failed(self.name, error) from error
            try:
                return await ask(connection)
            except RetrievalUnavailable as error:
                if not isinstance(error, _BusyError):
                    await self._drop(connection)
                raise _try_failed(self.name, error) from error

        return await retrying(attempt, Server(self.name, self._key), self._options, lambda: self._closed)

    async def aclose(self) -> None:
        """Close the connection."""
        self._closed = True
        if self._connection is not None:
            await self._drop(self._connection)

    async def _connected(self) -> "_Connection":
        async with self._connecting:
            if self._connection is None:
                connection = _Connection(self._url, self._options, self.name, self._key)
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
    def __init__(self, url: str, options: CallOptions, name: str, key: str | None) -> None:
        self._url = url
        self._key = key
        self._options = options
        self._name = name
        self._opened: asyncio.Future[tuple[Client, Tool]] = asyncio.get_running_loop().create_future()
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
            raise RetrievalTimeout(f"{self._name}: no connection in time; check the address") from error
        except RetrievalError:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect; the end of a broken connection is of no interest."""
        self._closing.set()
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=self._options.connect_timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        client, tool = self._opened.result()
        try:
            async with asyncio.timeout(self._options.timeout_s):
                result = await client.call_tool(tool.name, arguments_of(tool.input_schema, query, k))
        except TimeoutError as error:
            raise RetrievalTimeout(f"{self._name}: no answer within {self._options.timeout_s:g} s") from error
        except Exception as error:  # the SDK's own and its transport's
            raise self._failed(error) from error
        return read_result(self._name, result, k)

    async def _live(self) -> None:
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client

        timeout = httpx2.Timeout(self._options.timeout_s, connect=self._options.connect_timeout_s)
        hooks: dict[str, list[Any]] = {"response": [self._seen]}
        try:
            async with (
                httpx2.AsyncClient(headers=authorization(self._key), timeout=timeout, event_hooks=hooks) as http,
                Client(streamable_http_client(self._url, http_client=http)) as client,
            ):
                tool = search_tool(self._name, (await client.list_tools()).tools)
                if not self._opened.done():
                    self._opened.set_result((client, tool))
                await self._closing.wait()
        except Exception as error:
            if not self._opened.done():
                self._opened.set_exception(self._failed(error))

    async def _seen(self, response: httpx2.Response) -> None:
        """Note a status that says why a call failed: the SDK tells only that it did."""
        if response.status_code >= 400 and response.request.method == "POST":
            self._refusal = response.status_code, response.headers.get("retry-after")

    def _failed(self, error: BaseException) -> RetrievalError:
        refusal, self._refusal = self._refusal, None
        if refusal is not None and not isinstance(error, RetrievalError):
            status, after = refusal
            if status in (401, 403):
                return RetrievalRefused(
                    f"{self._name}: status {status}: it wants a key; set {KEY_VARIABLE} to the server's key"
                )
            if status in PASSING or status >= 500:
                return _BusyError(f"{self._name}: status {status}", retry_after_s(after, datetime.now(UTC)))
        return _classified(self._name, error)


def search_tool(name: str, tools: "list[Tool]") -> "Tool":
    """The tool named search, or the first whose name says that it searches.

    Raises:
        RetrievalRefused: there is none.
    """
    exact = [tool for tool in tools if tool.name == "search"]
    likely = [tool for tool in tools if "search" in tool.name.lower() or "retrieve" in tool.name.lower()]
    if not exact and not likely:
        named = ", ".join(tool.name for tool in tools) or "none"
        raise RetrievalRefused(f"{name}: it has no search tool; its tools: {named}")
    return (exact or likely)[0]


def arguments_of(schema: Mapping[str, Any], query: str, k: int) -> dict[str, object]:
    """What a search tool is called with: its names for query and count.

    Raises:
        ConfigError: no argument of the tool can take the query.
    """
    properties = cast(dict[str, Any], schema.get("properties") or {})
    required = cast(list[str], schema.get("required") or [])
    named = [key for key in QUERY_ARGUMENTS if key in properties] or required
    if not named:
        raise ConfigError(f"the search tool takes no query; its arguments: {', '.join(properties) or 'none'}")
    count = [key for key in COUNT_ARGUMENTS if key in properties]
    most = cast(dict[str, Any], properties[count[0]]).get("maximum") if count else None
    k = min(k, most) if isinstance(most, int) else k
    return {named[0]: query, **({count[0]: k} if count else {})}


def read_result(name: str, result: "CallToolResult", k: int) -> tuple[Hit, ...]:
    """The hits in a tool's result: structured, JSON as text, or each text as one passage.

    Raises:
        RetrievalRefused: the tool said that it failed.
        MalformedHits: there is something, but neither a list nor text.
    """
    texts = [text for block in result.content if isinstance(text := getattr(block, "text", None), str)]
    if result.is_error:
        said = " ".join(texts)[:200]
        if "RetrievalTimeout" in said or "RetrievalBusy" in said:  # of our own server
            raise RetrievalTimeout(f"{name}: {said}")
        raise RetrievalRefused(f"{name}: the search failed: {said}")
    structured = _listed(result.structured_content)
    if structured is None and len(texts) == 1:
        try:
            structured = _listed(json.loads(texts[0]))
        except (ValueError, RecursionError):
            structured = None
    if structured is None:
        if not texts and result.content:
            raise MalformedHits(f"{name}: the search tool gave neither a list of results nor text")
        structured = [text for text in texts if text.strip()]
    return read_hits([_passage_like(entry) for entry in structured], k)


def _listed(value: object) -> list[object] | None:
    if isinstance(value, dict):
        fields = cast(dict[str, object], value)
        value = next((fields[key] for key in LISTS if isinstance(fields.get(key), list)), None)
    return cast(list[object], value) if isinstance(value, list) else None


def _passage_like(entry: object) -> object:
    """`entry` with the score beside the document, and other names for its text understood."""
    if not isinstance(entry, dict):
        return entry
    fields = dict(cast(dict[str, object], entry))
    if "document" in fields:
        return fields
    for key in ("content", "snippet", "description", "body"):
        if "text" not in fields and "contents" not in fields and isinstance(fields.get(key), str):
            fields["text"] = fields[key]
    score = fields.pop("score", None)
    return {"document": fields, "score": score} if isinstance(score, int | float) else fields


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
