"""A retriever over HTTP: Search-R1's `POST /retrieve`, `/healthz`, `/docs/{id}`. Needs the extra `serve`.

`POST /retrieve` takes `{"queries": [str], "topk": int, "return_scores": bool}` and gives `{"result": [[...]]}`, see
`wire.py`. `"passages": true` is an extension: documents then hold every field of the passage. What goes wrong is
`{"error": {"type", "message"}}`: 422 no such request, 413 too large, 429 full (with Retry-After), 504 deadline.
"""

import json
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

from questwell.errors import RetrievalBusy, RetrievalError, RetrievalTimeout
from questwell.retrieval.extras import optional
from questwell.retrieval.remote.wire import encode
from questwell.retrieval.retriever import Retriever
from questwell.retrieval.serve.service import Documents, Service, ServiceLimits

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

PROTOCOL = 1
"""Of our extensions; a client finds it in `/healthz`."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What a server answers, and how much of it."""

    top_k: int = 3
    """Passages for a request that does not say how many; that of Search-R1."""
    most_k: int = 1_000
    """Passages a query, at most."""
    most_queries: int = 1_024
    """Queries a request, at most."""
    most_bytes: int = 8_000_000
    """Of a request."""
    mcp: bool = False
    """Serve MCP at /mcp too."""
    host: str = "127.0.0.1"
    """What it is reached by; MCP checks it."""
    limits: ServiceLimits = field(default_factory=ServiceLimits)


def make_app(opening: Callable[[], Retriever], options: ServerOptions | None = None) -> "Starlette":
    """The application of one process; it opens its retriever when it starts and closes it when it ends.

    Raises:
        ConfigError: the extra `serve` is not installed.
    """
    optional("starlette", "serve")
    from starlette.applications import Starlette
    from starlette.routing import Route

    options = options or ServerOptions()
    held: list[Service] = []
    server = _Server(held, options)
    routes = [
        Route("/retrieve", server.retrieve, methods=["POST"]),
        Route("/healthz", server.healthz),
        Route("/docs/{id:path}", server.docs),
    ]
    manager = None
    if options.mcp:
        from questwell.retrieval.serve.mcp_server import mcp_routes

        more, manager = mcp_routes(held, options.host)
        routes += more

    @asynccontextmanager
    async def lifespan(_: "Starlette") -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            service = Service(opening(), options.limits)
            held.append(service)
            stack.push_async_callback(service.aclose)
            if manager is not None:
                await stack.enter_async_context(manager.run())
            yield

    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={RetrievalError: _failed})


class _BadRequestError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Server:
    def __init__(self, held: list[Service], options: ServerOptions) -> None:
        self._held = held
        self._options = options

    async def retrieve(self, request: "Request") -> "Response":
        from starlette.requests import ClientDisconnect

        try:
            body = _parsed(await self._body(request))
            queries, k = self._queries(body), self._k(body)
        except _BadRequestError as error:
            return _error(error.status, "BadRequest", str(error))
        except ClientDisconnect:
            return _respond(b"", 400)
        answers = await self._held[0].search(queries, k)
        scores, whole = body.get("return_scores") is True, body.get("passages") is True
        lists = b",".join(answer.encoded(scores=scores, whole=whole) for answer in answers)
        return _respond(b'{"result":[' + lists + b"]}")

    async def healthz(self, _: "Request") -> "Response":
        service = self._held[0]
        retriever = service.retriever
        passages = len(cast(Any, retriever)) if hasattr(retriever, "__len__") else None
        return _json(
            {
                "status": "ok",
                "questwell": PROTOCOL,
                "retriever": retriever.name,
                "passages": passages,
                "waiting": service.waiting,
                "refused": service.refused,
                "pid": os.getpid(),
            }
        )

    async def docs(self, request: "Request") -> "Response":
        retriever = self._held[0].retriever
        identifier = cast(str, request.path_params["id"])
        if not isinstance(retriever, Documents):
            return _error(404, "NotFound", f"{retriever.name} gives no passages by id")
        passage = retriever.get(identifier)
        if passage is None:
            return _error(404, "NotFound", f"there is no passage {identifier!r}")
        return _json(asdict(passage))

    async def _body(self, request: "Request") -> bytes:
        most = self._options.most_bytes
        chunks: list[bytes] = []
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                raise _BadRequestError(413, f"a request may have {most} bytes; send fewer queries at once")
            chunks.append(chunk)
        return b"".join(chunks)

    def _queries(self, body: dict[str, Any]) -> list[str]:
        queries = body.get("queries")
        if not isinstance(queries, list) or not all(isinstance(query, str) for query in cast(list[object], queries)):
            raise _BadRequestError(422, 'queries must be a list of strings: {"queries": ["..."], "topk": 3}')
        listed = cast(list[str], queries)
        if len(listed) > self._options.most_queries:
            raise _BadRequestError(413, f"a request may have {self._options.most_queries} queries, not {len(listed)}")
        return listed

    def _k(self, body: dict[str, Any]) -> int:
        k = body.get("topk")
        if k is None or k == 0:  # as in Search-R1
            return self._options.top_k
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= self._options.most_k:
            raise _BadRequestError(422, f"topk must be a whole number from 1 to {self._options.most_k}, not {k!r}")
        return k


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        body: object = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _BadRequestError(422, f"the request is no JSON ({type(error).__name__})") from error
    if not isinstance(body, dict):
        raise _BadRequestError(422, 'a JSON object is expected: {"queries": ["..."], "topk": 3}')
    return cast(dict[str, Any], body)


async def _failed(_: "Request", error: Exception) -> "Response":
    """The one place where a failed search becomes a status."""
    kind, message = type(error).__name__, str(error)
    match error:
        case RetrievalBusy():
            return _error(429, kind, message, {"retry-after": str(error.retry_after_s)})
        case RetrievalTimeout():
            return _error(504, kind, message)
        case _:
            return _error(502, kind, message)


def _error(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> "Response":
    response = _json({"error": {"type": kind, "message": message}}, status)
    response.headers.update(headers or {})
    return response


def _json(value: object, status: int = 200) -> "Response":
    return _respond(encode(value), status)


def _respond(body: bytes, status: int = 200) -> "Response":
    from starlette.responses import Response

    return Response(body, status, media_type="application/json")
