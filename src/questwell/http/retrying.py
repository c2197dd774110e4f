"""`retrying`: the one retry layer of all calls over HTTP: how often, how long to wait, what is told in the end.

What an API means by a status is its client's affair: it says by a `Failure` why a try gave nothing.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, Protocol, TypeVar

import stamina

from questwell.errors import QuestwellError

# stamina logs each retry as a warning, which Python prints on the terminal of anyone who has not set up logging.
logging.getLogger("stamina").addHandler(logging.NullHandler())

SHORTEST_SECRET = 8
"""Characters of a key from which messages hide it: a shorter one is a placeholder, and stands in any text."""

_R = TypeVar("_R")
_E = TypeVar("_E", bound=QuestwellError)


@dataclass(frozen=True, slots=True)
class Failure(Generic[_E]):
    """Why one try gave nothing, and what to do."""

    kind: type[_E]
    what: str
    """What happened, without naming the server."""
    advice: str
    retriable: bool
    overloaded: bool = False
    """The server asked for fewer calls."""
    retry_after_s: float | None = None


class TryFailedError(Exception):
    """One try failed; never leaves `retrying`."""

    def __init__(self, failure: Failure[Any]) -> None:
        super().__init__(failure.kind.__name__)  # stamina logs it, and a body may quote the key
        self.failure = failure


class Patience(Protocol):
    """How often to try again, and how long to wait."""

    @property
    def max_retries(self) -> int:
        """Tries after the first."""
        ...

    @property
    def backoff_s(self) -> float:
        """Wait before the first retry; doubles each time, with jitter of the same size."""
        ...

    @property
    def max_wait_s(self) -> float:
        """Longest wait between two tries, also where the server asks for more."""
        ...


@dataclass(frozen=True, slots=True)
class Server:
    """Who is asked, as messages name it."""

    name: str
    secret: str | None
    """What no message may hold."""


async def retrying(
    attempt: Callable[[], Awaitable[_R]], server: Server, patience: Patience, closed: Callable[[], bool]
) -> _R:
    """What `attempt` gives, made again while its failures may pass.

    Args:
        attempt: one try; raises `TryFailedError` for a failure that it can name.
        server: whom messages are about.
        patience: of the client.
        closed: whether the client was closed: then nothing is tried again.

    Raises:
        QuestwellError: of the last failure's kind.
    """
    tries = stamina.retry_context(
        on=lambda error: False if closed() else wait_before_retry(error, patience),
        attempts=patience.max_retries + 1,
        timeout=None,
        wait_initial=patience.backoff_s,
        wait_max=patience.max_wait_s,
        wait_jitter=patience.backoff_s,
    )
    try:
        async for one in tries:
            with one:
                return await attempt()
    except TryFailedError as failed:
        raise _error(failed.failure, server, patience) from failed.__cause__
    raise AssertionError("stamina gives at least one attempt")


def wait_before_retry(error: Exception, patience: Patience) -> bool | float:
    """What stamina asks: no retry, its own back-off, or so many seconds."""
    if not isinstance(error, TryFailedError) or not error.failure.retriable:
        return False
    asked = error.failure.retry_after_s
    return True if asked is None else min(asked, patience.max_wait_s)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks to wait, from seconds or an HTTP date; None when it says neither."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _error(failure: Failure[Any], server: Server, patience: Patience) -> QuestwellError:
    after = f" (after {patience.max_retries} retries)" if failure.retriable else ""
    message = f"{server.name}: {failure.what}{after}; {failure.advice}"
    hidden = server.secret is not None and len(server.secret) >= SHORTEST_SECRET
    return failure.kind(message.replace(server.secret or "", "***") if hidden else message)
