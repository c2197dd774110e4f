"""Serves a retriever over HTTP: Search-R1's `POST /retrieve`, documents, `/healthz`, `/metrics` (extra `serve`).

`POST /retrieve` takes `{"queries": [str], "topk": int, "return_scores": bool}` and returns `{"result": [[...]]}`, see
`wire.py`. Our extensions: `"passages": true` returns every field, `"where"` filters, `POST /open` returns a document
page by page, `POST /find` searches inside it. An error is `{"error": {"type", "message"}}`: 422 invalid request,
413 too large, 503 overloaded (with Retry-After), 504 deadline. `gate.py` is in front of all routes.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

from questwell.errors import ConfigError, RetrievalBusy, RetrievalError, RetrievalTimeout
from questwell.retrieval.extras import optional
from questwell.retrieval.remote.wire import encode
from questwell.retrieval.retriever import Retriever
from questwell.retrieval.serve.asked import AskLimits, BadRequestError, count, parsed, read_search, text
from questwell.retrieval.serve.gate import App, ConnectionLimits, Gate, GateOptions
from questwell.retrieval.serve.metrics import CONTENT_TYPE, Measured, Metrics
from questwell.retrieval.serve.reading import find_in, read_page
from questwell.retrieval.serve.service import Documents, Service, ServiceLimits

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from questwell.retrieval.serve.connections import Guard

PROTOCOL = 2
"""Version of our extensions of the protocol, which clients read in `/healthz`."""
_LOOK_S = 2.0
"""Seconds between two checks for a changed index."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The settings of a server."""

    mcp: bool = False
    """Whether to serve MCP at /mcp too."""
    asking: AskLimits = field(default_factory=AskLimits)
    gate: GateOptions = field(default_factory=GateOptions)
    limits: ServiceLimits = field(default_factory=ServiceLimits)
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)


def make_app(
    opening: Callable[[], Retriever], options: ServerOptions | None = None, guard: "Guard | None" = None
) -> App:
    """The ASGI application of one process. It opens its retriever at the start and closes it at the end.

    Args:
        opening: opens the retriever; called again when the index has changed.
        options: settings of the server.
        guard: counts of the connections, to report in `/metrics`.

    Raises:
        ConfigError: the extra `serve` is not installed.
    """
    optional("starlette", "serve")
    from starlette.applications import Starlette
    from starlette.convertors import PathConvertor, register_url_convertor
    from starlette.routing import Route

    class AnyId(PathConvertor):
        regex = "(?s:.*)"  # line ends too, at which starlette's own stops

    register_url_convertor("id", AnyId())
    options = options or ServerOptions()
    held: list[Service] = []
    metrics = Metrics()
    server = _Server(held, options, metrics, guard)
    routes = [
        Route("/retrieve", server.retrieve, methods=["POST"]),
        Route("/open", server.open, methods=["POST"]),
        Route("/find", server.find, methods=["POST"]),
        Route("/healthz", server.healthz),
        Route("/metrics", server.metrics),
        Route("/docs/{id:id}", server.docs),
    ]
    manager = None
    if options.mcp:
        from questwell.retrieval.serve.mcp_server import mcp_routes

        more, manager = mcp_routes(held)
        routes += more

    @asynccontextmanager
    async def lifespan(_: "Starlette") -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            service = Service(opening(), options.limits)
            held.append(service)
            stack.push_async_callback(service.aclose)
            if manager is not None:
                await stack.enter_async_context(manager.run())
            looking = asyncio.create_task(_look(service, opening, metrics, guard))
            stack.callback(looking.cancel)
            yield

    handlers: dict[Any, Any] = {RetrievalError: _failed, BadRequestError: _bad, ConfigError: _bad}
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    return Measured(Gate(cast(App, app), options.gate), metrics)


async def _look(service: Service, opening: Callable[[], Retriever], metrics: Metrics, guard: "Guard | None") -> None:
    """Every two seconds, open a changed index and record the state of the process."""
    while True:
        await asyncio.sleep(_LOOK_S)
        metrics.note(service, guard)
        with contextlib.suppress(RetrievalError):  # the index is being rebuilt; the open one stays in use
            await service.renew(opening)


class _Server:
    def __init__(self, held: list[Service], options: ServerOptions, metrics: Metrics, guard: "Guard | None") -> None:
        self._held = held
        self._options = options
        self._metrics = metrics
        self._guard = guard

    async def retrieve(self, request: "Request") -> "Response":
        limits = self._options.asking
        asked = read_search(await request.body(), limits)
        answers = await self._held[0].search(asked.queries, asked.k, asked.where)
        size, lists = 0, list[bytes]()
        for answer in answers:
            lists.append(answer.encoded(scores=asked.scores, whole=asked.whole))
            size += len(lists[-1])
            if size > limits.most_reply_bytes:
                raise BadRequestError(
                    413, f"the reply would have more than {limits.most_reply_bytes} bytes: ask for less"
                )
        return _respond(b'{"result":[' + b",".join(lists) + b"]}")

    async def open(self, request: "Request") -> "Response":
        body = parsed(await request.body())
        page = await read_page(self._held[0], text(body, "id"), count(body, ("page",), 1, 1_000_000))
        return _json(asdict(page))

    async def find(self, request: "Request") -> "Response":
        limits = self._options.asking
        body = parsed(await request.body())
        k = count(body, ("topk", "top_k", "k"), limits.top_k, limits.most_k)
        hits = await find_in(self._held[0], text(body, "id"), text(body, "query"), k)
        return _json({"result": [{"document": asdict(hit.passage), "score": hit.score} for hit in hits]})

    async def healthz(self, request: "Request") -> "Response":
        if not request.scope["questwell.known"]:
            return _json({"status": "ok"})
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

    async def metrics(self, _: "Request") -> "Response":
        from starlette.responses import Response

        self._metrics.note(self._held[0], self._guard)
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)

    async def docs(self, request: "Request") -> "Response":
        """A passage by its id, otherwise a page of the document with that id."""
        retriever = self._held[0].retriever
        identifier = cast(str, request.path_params["id"])
        passage = retriever.get(identifier) if isinstance(retriever, Documents) else None
        if passage is not None and "page" not in request.query_params:
            return _json(asdict(passage))
        page = count(dict(request.query_params), ("page",), 1, 1_000_000)
        return _json(asdict(await read_page(self._held[0], identifier, page)))


async def _bad(_: "Request", error: Exception) -> "Response":
    return _error(error.status if isinstance(error, BadRequestError) else 422, "BadRequest", str(error))


async def _failed(_: "Request", error: Exception) -> "Response":
    """The response for a failed search; no other place maps errors to statuses."""
    kind, message = type(error).__name__, str(error)
    match error:
        case RetrievalBusy():  # not 429: some clients retry a 503 but give up after a 429
            return _error(503, kind, message, {"retry-after": str(error.retry_after_s)})
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
