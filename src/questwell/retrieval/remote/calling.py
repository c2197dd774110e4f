"""`Caller`: makes HTTP calls that return JSON, with pooled connections, a deadline and retries.

Each API can pass a function that interprets its error statuses.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

from yarl import URL

from questwell.errors import (
    MalformedHits,
    RetrievalError,
    RetrievalRefused,
    RetrievalTimeout,
    RetrievalUnavailable,
)
from questwell.http.bounded import TooLargeError, UnreadableError
from questwell.http.connections import BrokenError, Connections, ConnectTimeoutError, NotConnectedError, Reply
from questwell.http.retrying import Failure, Server, TryFailedError, retry_after_s, retrying
from questwell.http.spread import Spread

_QUOTED = 200
"""Maximum number of characters of an error's body that a message quotes."""
PASSING = {408, 425, 429}


@dataclass(frozen=True, slots=True)
class CallOptions:
    """Time-outs, retries and limits of calls to a server; the defaults suit most cases."""

    timeout_s: float = 30.0
    """Maximum time of one try in seconds, from sending to the last byte."""
    connect_timeout_s: float = 5.0
    max_retries: int = 4
    """Maximum number of further tries after a temporary failure."""
    backoff_s: float = 0.5
    """Seconds to wait before the first retry; doubles with each retry, plus a random wait of up to the same size."""
    max_wait_s: float = 30.0
    """Maximum seconds between two tries, even if the server's Retry-After asks for more."""
    in_flight: int = 64
    """Maximum number of calls at the same time."""
    most_bytes: int = 20_000_000
    """Maximum size of one reply in bytes."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request to the server."""

    method: str
    url: str
    params: Mapping[str, str | int] = field(default_factory=dict[str, str | int])
    json: object = None
    """JSON value of the body; None for no body."""


UNSENT = Failure(RetrievalUnavailable, "stopped before the request was sent", "resume the run", False)
"""Failure of a call that was not sent because the run was stopped."""
ReadError = Callable[[int, object], Failure[RetrievalError] | None]
"""From a status and a body (the beginning of its text if it is not JSON) to a failure; None for the usual meaning."""


class Caller:
    """Calls one server, or several with the same content. Belongs to one event loop."""

    def __init__(
        self,
        name: str,
        headers: Mapping[str, str] | None = None,
        secret: str | None = None,
        options: CallOptions | None = None,
        read_error: ReadError = lambda status, body: None,
        addresses: int = 1,
    ) -> None:
        """Use `name`, but never `secret`, in messages; every request comes as one call for each of `addresses`."""
        self._server = Server(name, secret)
        self._options = options or CallOptions()
        self._read_error = read_error
        self._slots = asyncio.Semaphore(self._options.in_flight * addresses)
        self._addresses = Spread(range(addresses))
        self._connections = Connections(
            {"user-agent": "questwell", "accept": "application/json"} | dict(headers or {}),
            self._options.connect_timeout_s,
            most_bytes=self._options.most_bytes,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connections.aclose()

    async def ask(self, *calls: Call, missing: bool = False) -> object:
        """The JSON that the server answered; with `missing`, None if it answers 404.

        `calls` has one call for each address. The address with the fewest calls in flight is used; one that is down
        is skipped for a while.

        Raises:
            RetrievalUnavailable: after all retries the server was not reached, or was overloaded or broken.
            RetrievalTimeout: after all retries there was no answer in time.
            MalformedHits: after all retries the answer was not JSON.
            RetrievalRefused: the server will never accept this call.
        """

        async def attempt() -> object:
            async with self._slots:
                return await self._addresses.ask(lambda at: self._try(calls[at], missing=missing), _is_down)

        return await retrying(attempt, self._server, self._options, lambda: self._connections.closed, UNSENT)

    async def _try(self, call: Call, *, missing: bool) -> object:
        try:
            async with asyncio.timeout(self._options.timeout_s):
                reply = await self._send(call)
        except UNANSWERED as error:
            raise TryFailedError(unanswered(error, self._options)) from error
        return None if missing and reply.status == 404 else self._read(reply)

    async def _send(self, call: Call) -> Reply:
        body = None if call.json is None else json.dumps(call.json).encode()
        headers = {"content-type": "application/json"} if body is not None else {}
        url = URL(call.url).update_query(dict(call.params)) if call.params else URL(call.url)
        return await self._connections.send(call.method, str(url), body, headers)

    def _read(self, reply: Reply) -> object:
        status, raw = reply.status, reply.content
        body = _json(raw)
        if status == 200 and not isinstance(body, _NoJson):
            return body
        body = body.text if isinstance(body, _NoJson) else body
        failure = self._read_error(status, body) or _usual(status, body)
        if failure.retriable:
            seconds = retry_after_s(reply.headers.get("retry-after"), datetime.now(UTC))
            failure = failure if seconds is None else replace(failure, retry_after_s=seconds)
        raise TryFailedError(failure)


def _is_down(failure: Failure[Any]) -> bool:
    """Whether another address may succeed where this one failed."""
    return failure.retriable and failure.kind is RetrievalUnavailable


UNANSWERED = (TimeoutError, NotConnectedError, BrokenError, TooLargeError, UnreadableError)
"""Errors of `Connections` if there is no complete reply, or if a deadline has passed."""


def unanswered(error: Exception, options: CallOptions) -> Failure[RetrievalError]:
    """The domain error for one of `UNANSWERED`."""
    match error:
        case TimeoutError():
            what = f"no answer within {options.timeout_s:g} s"
            return Failure(RetrievalTimeout, what, "try again later", True)
        case ConnectTimeoutError():
            what = f"no connection within {options.connect_timeout_s:g} s"
            return Failure(RetrievalUnavailable, what, "check the address", True)
        case NotConnectedError():
            return Failure(RetrievalUnavailable, f"no connection ({error})", "check that the server runs", True)
        case TooLargeError():
            return Failure(MalformedHits, f"a reply of {error}", "ask for fewer passages", False)
        case UnreadableError():
            return Failure(MalformedHits, str(error), "check the address", True)
        case _:
            what = f"the connection broke before the whole reply was there ({error})"
            return Failure(RetrievalUnavailable, what, "check the log of the server", True)


def said(body: object) -> str:
    """The message in an error's body, shortened; each API has it in another place."""
    for key in ("error", "detail", "message"):
        while isinstance(body, dict):
            fields = cast(dict[str, Any], body)
            inner = fields.get(key)
            if inner is None:
                break
            body = inner
    if isinstance(body, dict):
        fields = cast(dict[str, Any], body)
        body = fields.get("message") or fields.get("detail") or fields
    text = body if isinstance(body, str) else json.dumps(body, default=str)
    return " ".join(text.split())[:_QUOTED]


@dataclass(frozen=True, slots=True)
class _NoJson:
    """A body that is not JSON."""

    text: str
    """The beginning of the body."""


def _json(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return _NoJson(raw[:_QUOTED].decode("utf-8", "replace"))


def _usual(status: int, body: object) -> Failure[RetrievalError]:
    """The failure that a status means for most servers."""
    if status == 200:
        return Failure(MalformedHits, f"not JSON but {said(body)!r}", "check the address", True)
    what = f"status {status}: {said(body)}"
    if status == 504:
        return Failure(RetrievalTimeout, what, "try again later", True)
    if status in PASSING or status >= 500:
        return Failure(RetrievalUnavailable, what, "try again later, or ask for less at once", True)
    if status in (401, 403):
        return Failure(RetrievalRefused, what, "check the key", False)
    if status == 402:
        return Failure(RetrievalRefused, what, "the quota is used up", False)
    if 300 <= status < 400:
        return Failure(RetrievalRefused, what, "redirects are not followed; name the address that it leads to", False)
    return Failure(RetrievalRefused, what, "check the address and the request", False)
