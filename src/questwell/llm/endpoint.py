"""`Endpoint`: makes a call to an HTTP API, with a limiter, a deadline and retries, and returns what it answered.

The caller passes a function that reads the body and returns a result or a `Failure`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, cast

import httpx2

from questwell.errors import ConfigError, LLMError, LLMTimeout, LLMUnavailable, MalformedReply
from questwell.http.bounded import TooLargeError, UnreadableError
from questwell.http.connections import BrokenError, Connections, ConnectTimeoutError, NotConnectedError, Reply
from questwell.http.headers import from_environment
from questwell.http.retrying import SHORTEST_SECRET, Failure, Server, TryFailedError, retry_after_s, retrying
from questwell.http.spread import Spread
from questwell.llm.keys import wants_own_header
from questwell.llm.limiter import Limiter, Slot
from questwell.llm.refusals import read_error

_R = TypeVar("_R")
Refuse = Callable[[int, bytes, float | None], Failure[LLMError]]
"""From (status, body, seconds to wait that the endpoint asks for) to a failure."""


_UNSENT = Failure(LLMUnavailable, "stopped before the request was sent", "resume the run", retriable=False)


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """How long to wait for an endpoint, and how often to retry; the defaults suit most cases."""

    timeout_s: float = 600.0
    """Maximum seconds for one try, from sending to the last byte; a reasoning model may think for minutes."""
    connect_timeout_s: float = 10.0
    max_retries: int = 6
    """Maximum number of further tries after a temporary failure."""
    backoff_s: float = 0.5
    """Seconds to wait before the first retry; doubles with each retry, plus a random wait of up to the same size."""
    max_wait_s: float = 60.0
    """Maximum seconds between two tries, even if the endpoint's Retry-After asks for more."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """More headers for each request, such as an organisation's; `$NAME` is read from the environment."""
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    """More query parameters for the address, such as Azure's `api-version`."""
    key_name: str | None = None
    """The source of the key, for messages."""


@dataclass(frozen=True, slots=True)
class Answered(Generic[_R]):
    """The result of a successful call."""

    result: _R
    latency_s: float
    """Seconds that the successful try took, without the wait for a slot."""


@dataclass(frozen=True, slots=True)
class Address:
    """One of several places where a model is served."""

    base_url: str
    api_key: str | None
    limiter: Limiter
    key_name: str | None = None
    """The source of the key, for messages."""


class _Site:
    """One address of an endpoint, with its connections."""

    def __init__(self, address: Address, options: EndpointOptions) -> None:
        _check(address.base_url, address.api_key)
        self.base_url = address.base_url.rstrip("/")
        self.shown = shown(self.base_url)
        self.limiter = address.limiter
        self.key, self.key_name = address.api_key, address.key_name
        headers = {"content-type": "application/json", "user-agent": "questwell"}
        if self.key and wants_own_header(self.base_url):
            headers["api-key"] = self.key
        elif self.key:
            headers["authorization"] = f"Bearer {self.key}"
        headers |= {name.lower(): from_environment(value) for name, value in options.headers.items()}
        self.connections = Connections(headers, options.connect_timeout_s)
        self._query = dict(options.query)
        self._urls: dict[str, str] = {}

    def url(self, path: str) -> str:
        """The address of `path` under the base URL, with the query parameters. Cached: parsing took 6 % of a call."""
        if (known := self._urls.get(path)) is not None:
            return known
        base = httpx2.URL(self.base_url)
        whole = base.copy_with(path=f"{base.path.rstrip('/')}/{path}")
        found = str(whole.copy_merge_params(self._query) if self._query else whole)
        if len(self._urls) < _KNOWN_PATHS:
            self._urls[path] = found
        return found


_KNOWN_PATHS = 16


class Endpoint:
    """One model behind an HTTP API, at one address or several that serve the same model. Belongs to one event loop."""

    def __init__(
        self,
        model: str,
        base_url: str,
        api_key: str | None,
        limiter: Limiter,
        options: EndpointOptions,
        more: Sequence[Address] = (),
    ) -> None:
        """Use the addresses `base_url` and `more`; the parameters are those of `OpenAIClient`.

        Raises:
            ConfigError: `base_url` is not an http address, or `api_key` contains characters that no key contains.
        """
        first = Address(base_url, api_key, limiter, options.key_name)
        sites = [_Site(address, options) for address in (first, *more)]
        self.base_url = sites[0].base_url
        self.shown = ", ".join(site.shown for site in sites)
        """The addresses without passwords, for messages."""
        self._server = Server(f"{model!r} at {self.shown}", api_key)
        self._first = sites[0]
        self._sites = Spread(sites)
        self._options = options

    async def aclose(self) -> None:
        """Close the connections."""
        for site in self._sites.servers:
            await site.connections.aclose()

    def _closed(self) -> bool:
        return self._first.connections.closed

    async def post(
        self,
        path: str,
        body: bytes,
        read: Callable[[bytes], _R | Failure[LLMError]],
        refuse: Refuse = read_error,
    ) -> Answered[_R]:
        """What `read` returns for the body of a successful answer; `refuse` turns any other answer into a failure.

        With several addresses, the call goes to the one with the fewest calls in flight; an address that is down is
        skipped for a while.

        Raises:
            LLMUnavailable: after all retries the endpoint was not reached, or was overloaded or broken.
            LLMTimeout: after all retries there was no answer within `timeout_s`.
            LLMError: any other failure that `read` or `refuse` returned.
        """
        return await retrying(
            lambda: self._sites.ask(lambda site: self._try(site, path, body, read, refuse), _is_down),
            self._server,
            self._options,
            self._closed,
            _UNSENT,
        )

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> bytes:
        """The body of a successful answer from another path of the API; with `once`, without retries.

        With several addresses, the call always goes to the first: what it creates is known only there.

        Raises:
            LLMError: as for `post`.
        """
        url = self._first.url(path)
        whole = str(httpx2.URL(url).copy_merge_params(dict(query))) if query else url
        options = replace(self._options, max_retries=0) if once else self._options

        async def ask() -> bytes:
            try:
                async with asyncio.timeout(options.timeout_s):
                    response = await self._first.connections.send(method, whole, body, headers)
            except (TimeoutError, ConnectTimeoutError) as error:
                raise TryFailedError(self._timed_out(error)) from error
            except (NotConnectedError, BrokenError, TooLargeError, UnreadableError) as error:
                raise TryFailedError(_cut_off(error)) from error
            if not response.is_success:
                raise TryFailedError(self._read_error(self._first, response, read_error))
            return response.content

        return await retrying(ask, self._server, options, self._closed, _UNSENT)

    async def _try(
        self, site: _Site, path: str, body: bytes, read: Callable[[bytes], _R | Failure[LLMError]], refuse: Refuse
    ) -> Answered[_R]:
        async with site.limiter.slot() as slot:
            started = time.perf_counter()
            try:
                async with asyncio.timeout(self._options.timeout_s):
                    response = await site.connections.post(site.url(path), body)
            except (TimeoutError, ConnectTimeoutError) as error:
                slot.overloaded()
                raise TryFailedError(self._timed_out(error)) from error
            except (NotConnectedError, BrokenError, TooLargeError, UnreadableError) as error:
                raise TryFailedError(_cut_off(error)) from error
            latency_s = time.perf_counter() - started
            outcome = read(response.content) if response.is_success else self._read_error(site, response, refuse)
            _tell(slot, outcome)
        if isinstance(outcome, Failure):
            raise TryFailedError(cast(Failure[LLMError], outcome))
        return Answered(outcome, latency_s)

    def _read_error(self, site: _Site, response: Reply, refuse: Refuse) -> Failure[LLMError]:
        wait_s = retry_after_s(response.headers.get("retry-after"), datetime.now(UTC))
        failure = refuse(response.status, response.content, wait_s)
        if response.status == 401:
            failure = replace(failure, advice=_key_advice(site))
        if site is not self._first and site.key and len(site.key) >= SHORTEST_SECRET:  # `retrying` hides the first's
            failure = replace(failure, what=failure.what.replace(site.key, "***"))
        if failure.retry_after_s is None:
            return failure
        return replace(failure, retry_after_s=min(failure.retry_after_s, self._options.max_wait_s))

    def _timed_out(self, error: Exception) -> Failure[LLMError]:
        if isinstance(error, ConnectTimeoutError):
            what = f"no connection within {self._options.connect_timeout_s:g} s"
            return Failure(LLMUnavailable, what, "check base_url and that the server runs", retriable=True)
        what = f"no answer within {self._options.timeout_s:g} s"
        return Failure(LLMTimeout, what, "raise timeout_s, or lower max_in_flight or max_tokens", retriable=True)


def _key_advice(site: _Site) -> str:
    if site.key is not None:
        return f"check the API key ({site.key_name or 'as it was given'})"
    named = site.key_name
    return f"set {named}" if named else "no key was sent: name the variable that holds one with --key-env"


def _is_down(failure: Failure[Any]) -> bool:
    """Whether another address may succeed where this one failed."""
    return failure.retriable and failure.kind is LLMUnavailable


def _tell(slot: Slot, outcome: object) -> None:
    if not isinstance(outcome, Failure):
        slot.succeeded()
    elif outcome.overloaded:
        slot.overloaded(outcome.retry_after_s)


def _cut_off(error: Exception) -> Failure[LLMError]:
    if isinstance(error, NotConnectedError):
        return Failure(
            LLMUnavailable, f"no connection ({error})", "check base_url and that the server runs", retriable=True
        )
    if isinstance(error, TooLargeError):
        advice = "check that base_url is that of a model; lower max_tokens"
        return Failure(MalformedReply, f"a reply of {error}", advice, retriable=False)
    if isinstance(error, UnreadableError):
        return Failure(MalformedReply, str(error), "check base_url", retriable=True)
    what = f"the connection broke before the whole reply was there ({error})"
    return Failure(LLMUnavailable, what, "check the log of the server", retriable=True)


def _check(base_url: str, api_key: str | None) -> None:
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL as error:
        raise ConfigError(f"base_url {base_url!r} is not a valid address: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigError(f"base_url {base_url!r} is not an address of the form http://HOST:PORT/v1 or https://...")
    if api_key and not (api_key.isascii() and api_key.isprintable()):
        raise ConfigError(
            f"the API key for {shown(base_url)} contains a line break or other stray characters; copy it again"
        )


def shown(base_url: str) -> str:
    """`base_url` without a password, for messages."""
    return str(httpx2.URL(base_url).copy_with(userinfo=b""))
