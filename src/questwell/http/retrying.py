"""`retrying`: the one retry layer of all calls over HTTP: how often, how long to wait, what is told in the end.

What an API means by a status is its client's affair: it says by a `Failure` why a try gave nothing.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
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


class Retries:
    """What all calls of a run wait for before they are sent, so that it can be ended at once."""

    def __init__(self) -> None:
        """Nothing waits yet."""
        self.given_up = False
        self.sending_ended = False
        """No call is sent any more."""
        self.cut_short = False
        """Whether a call ended that would have been made, or made again."""
        self._waiting: dict[asyncio.Task[Any], asyncio.AbstractEventLoop] = {}
        self._unsent: dict[asyncio.Task[Any], asyncio.AbstractEventLoop] = {}
        self._woken = set[asyncio.Task[Any]]()

    def give_up(self, *, unsent: bool = False) -> None:
        """End all waits, with the failure of the last try; nothing is tried again. What was sent goes on.

        Args:
            unsent: end also what waits for a slot or a connection, though it was not tried in vain.
        """
        self.given_up = True
        self.sending_ended = self.sending_ended or unsent
        for task, loop in (self._waiting | (self._unsent if unsent else {})).items():
            loop.call_soon_threadsafe(self._wake, task)

    def begin_wait(self) -> None:
        """The current task begins to wait for its next try."""
        if (task := asyncio.current_task()) is not None:
            self._waiting[task] = asyncio.get_running_loop()

    def begin_try(self) -> None:
        """The current task begins a try, which says when it is sent."""
        if (task := asyncio.current_task()) is not None:
            self._unsent[task] = asyncio.get_running_loop()

    def end_wait(self) -> None:
        """The current task waits no more."""
        if (task := asyncio.current_task()) is not None:
            self._waiting.pop(task, None)
            self._unsent.pop(task, None)
            self._woken.discard(task)

    def woke(self) -> bool:
        """Whether the cancellation that the current task just met was ours: then it is none."""
        task = asyncio.current_task()
        if task is None or task not in self._woken:
            return False
        self.end_wait()
        self.cut_short = True
        return task.uncancel() == 0

    def _wake(self, task: asyncio.Task[Any]) -> None:
        if (task in self._waiting or task in self._unsent) and task not in self._woken:
            self._woken.add(task)
            task.cancel()


_RETRIES: ContextVar[Retries | None] = ContextVar("retries", default=None)


@contextmanager
def giving_up_with(retries: Retries) -> Generator[None]:
    """Within it, calls of the current task and of those it starts wait as long as `retries` lets them."""
    token = _RETRIES.set(retries)
    try:
        yield
    finally:
        _RETRIES.reset(token)


def sent() -> None:
    """The current task's request goes out now: it may be paid for, so a stop lets it end."""
    if (retries := _RETRIES.get()) is not None:
        retries.end_wait()


async def retrying(
    attempt: Callable[[], Awaitable[_R]],
    server: Server,
    patience: Patience,
    closed: Callable[[], bool],
    unsent: Failure[Any] | None = None,
) -> _R:
    """What `attempt` gives, made again while its failures may pass.

    Args:
        attempt: one try; raises `TryFailedError` for a failure that it can name.
        server: whom messages are about.
        patience: of the client.
        closed: whether the client was closed: then nothing is tried again.
        unsent: what a stop makes of a try that was not sent. None: `attempt` does not call `sent`, so it goes on.

    Raises:
        QuestwellError: of the last failure's kind.
    """
    retries = _RETRIES.get() or Retries()
    last: list[TryFailedError] = []
    if unsent is not None and retries.sending_ended:
        retries.cut_short = True
        raise _error(unsent, server, patience)

    def again(error: Exception) -> bool | float:
        wait = wait_before_retry(error, patience)
        if closed() or retries.given_up:
            retries.cut_short = retries.cut_short or (retries.given_up and wait is not False)
            return False
        if wait is not False and isinstance(error, TryFailedError):
            last[:] = [error]
            retries.begin_wait()
        return wait

    tries = stamina.retry_context(
        on=again,
        attempts=patience.max_retries + 1,
        timeout=None,
        wait_initial=patience.backoff_s,
        wait_max=patience.max_wait_s,
        wait_jitter=patience.backoff_s,
    )
    try:
        async for one in tries:
            retries.end_wait()
            if unsent is not None:
                retries.begin_try()
            with one:
                return await attempt()
    except asyncio.CancelledError:
        failure = last[0].failure if last else unsent
        if failure is None or not retries.woke():
            raise
        raise _error(failure, server, patience) from (last[0].__cause__ if last else None)
    except TryFailedError as failed:
        raise _error(failed.failure, server, patience) from failed.__cause__
    finally:
        retries.end_wait()
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
