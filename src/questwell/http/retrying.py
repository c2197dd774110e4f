"""`retrying`: the only retry layer for HTTP calls. Decides how often to retry, how long to wait, and the final error.

Each API's client interprets status codes itself, and reports a failed try as a `Failure`.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, Protocol, TypeVar

import stamina

from questwell.errors import QuestwellError

# stamina logs each retry as a warning, which Python prints on the terminal of anyone who has not set up logging.
logging.getLogger("stamina").addHandler(logging.NullHandler())

SHORTEST_SECRET = 8
"""Minimum length of a key that messages hide; a shorter one is a placeholder that may occur in any text."""

_R = TypeVar("_R")
_E = TypeVar("_E", bound=QuestwellError)


@dataclass(frozen=True, slots=True)
class Failure(Generic[_E]):
    """Why one try failed, and what to do next."""

    kind: type[_E]
    what: str
    """What happened, without naming the server."""
    advice: str
    retriable: bool
    overloaded: bool = False
    """Whether the server asked for fewer calls."""
    retry_after_s: float | None = None


class TryFailedError(Exception):
    """One try failed; this error never leaves `retrying`."""

    def __init__(self, failure: Failure[Any]) -> None:
        super().__init__(failure.kind.__name__)  # stamina logs this text, and a body may quote the key
        self.failure = failure


class Patience(Protocol):
    """Number of retries and waiting times."""

    @property
    def max_retries(self) -> int:
        """Maximum number of retries."""
        ...

    @property
    def backoff_s(self) -> float:
        """Wait before the first retry in seconds; it doubles each time, plus jitter of the same size."""
        ...

    @property
    def max_wait_s(self) -> float:
        """Longest wait between two tries in seconds, even if the server asks for more."""
        ...


@dataclass(frozen=True, slots=True)
class Server:
    """The server of a call, as named in messages."""

    name: str
    secret: str | None
    """Secret that no message may contain."""


@dataclass(slots=True)
class _Try:
    """One try of a call, in its own task."""

    loop: asyncio.AbstractEventLoop
    server: str
    since: float
    """Time at which it began, or was sent."""


GRACE_S = 2.0
"""Minimum time in seconds that a stop waits for the answer to a request that was sent."""


class Retries:
    """Coordinates the waits of all calls of a run, so that they can be ended at once.

    A request that was sent may be paid for, so a stop waits for its answer. A dead endpoint would block the run until
    the time-out, so a stop waits at most about twice as long as the endpoint's slowest answer took.
    """

    def __init__(self, grace_s: float = GRACE_S, now: Callable[[], float] = time.monotonic) -> None:
        """Start without waiting calls; `now` is a clock in seconds."""
        self.given_up = False
        self.sending_ended = False
        """Whether no more calls are sent."""
        self.cut_short = False
        """Whether a stop ended a call that would otherwise have been sent or retried."""
        self._grace_s = grace_s
        self._now = now
        self._waiting: dict[asyncio.Task[Any], asyncio.AbstractEventLoop] = {}
        self._unsent: dict[asyncio.Task[Any], _Try] = {}
        self._sent: dict[asyncio.Task[Any], _Try] = {}
        self._slowest_s: dict[str, float] = {}
        self._woken = set[asyncio.Task[Any]]()

    def give_up(self, *, unsent: bool = False) -> None:
        """End all waits with the failure of the last try; nothing is retried after that.

        Args:
            unsent: end also what waits for a slot or a connection, though it was not tried in vain, and what was sent
                and is not answered within `grace_s`, or twice the time of the slowest answer of its server.
        """
        self.given_up = True
        self.sending_ended = self.sending_ended or unsent
        unbegun = {task: one.loop for task, one in self._unsent.items()} if unsent else {}
        for task, loop in (self._waiting | unbegun).items():
            loop.call_soon_threadsafe(self._wake, task)
        if unsent:
            for task, one in self._sent.items():
                one.loop.call_soon_threadsafe(self._wake_later, task, one)

    def begin_wait(self) -> None:
        """Record that the current task waits for its next try."""
        if (task := asyncio.current_task()) is not None:
            self._waiting[task] = asyncio.get_running_loop()

    def begin_try(self, server: Server) -> None:
        """Record that the current task begins a try, which will call `send`."""
        if (task := asyncio.current_task()) is not None:
            self._unsent[task] = _Try(asyncio.get_running_loop(), server.name, self._now())

    def send(self) -> None:
        """Record that the current task's request is being sent."""
        task = asyncio.current_task()
        if task is None or (one := self._unsent.pop(task, None)) is None:
            return
        self._woken.discard(task)
        one.since = self._now()
        self._sent[task] = one
        if self.sending_ended:
            self._wake_later(task, one)

    def answered(self) -> None:
        """Record that the current task's try was answered, and how long its server took."""
        task = asyncio.current_task()
        if task is not None and (one := self._sent.get(task)) is not None:
            self._slowest_s[one.server] = max(self._slowest_s.get(one.server, 0.0), self._now() - one.since)

    def end_wait(self) -> None:
        """Record that the current task no longer waits."""
        if (task := asyncio.current_task()) is not None:
            self._waiting.pop(task, None)
            self._unsent.pop(task, None)
            self._sent.pop(task, None)
            self._woken.discard(task)

    def unanswered(self, unsent: Failure[Any] | None) -> Failure[Any] | None:
        """Return the failure with which a stop ends the current task's try; `unsent` if it was not sent."""
        if unsent is None or asyncio.current_task() not in self._sent:
            return unsent
        return replace(unsent, what="stopped before an answer came")

    def woke(self) -> bool:
        """Return whether we caused the cancellation that the current task just received; then it is not a real one."""
        task = asyncio.current_task()
        if task is None or task not in self._woken:
            return False
        self.end_wait()
        self.cut_short = True
        return task.uncancel() == 0

    def _wake_later(self, task: asyncio.Task[Any], one: _Try) -> None:
        left_s = 2 * self._slowest_s.get(one.server, 0.0) - (self._now() - one.since)
        one.loop.call_later(max(self._grace_s, left_s), self._wake, task)

    def _wake(self, task: asyncio.Task[Any]) -> None:
        if (task in self._waiting or task in self._unsent or task in self._sent) and task not in self._woken:
            self._woken.add(task)
            task.cancel()


_RETRIES: ContextVar[Retries | None] = ContextVar("retries", default=None)


@contextmanager
def giving_up_with(retries: Retries) -> Generator[None]:
    """Within the context, `retries` controls the waits of the current task and of tasks that it starts."""
    token = _RETRIES.set(retries)
    try:
        yield
    finally:
        _RETRIES.reset(token)


def sent() -> None:
    """Report that the current task's request is being sent; from now on a stop waits for its answer."""
    if (retries := _RETRIES.get()) is not None:
        retries.send()


async def retrying(
    attempt: Callable[[], Awaitable[_R]],
    server: Server,
    patience: Patience,
    closed: Callable[[], bool],
    unsent: Failure[Any] | None = None,
) -> _R:
    """Return the result of `attempt`, retried as long as its failures are temporary.

    Args:
        attempt: makes one try; raises `TryFailedError` for a known failure.
        server: the server, as named in messages.
        patience: number of retries and waiting times.
        closed: returns whether the client was closed; then nothing is retried.
        unsent: failure of a try that a stop ends before it is sent. None: `attempt` does not call `sent`, and a stop
        waits for it.

    Raises:
        QuestwellError: the error class that the last failure names.
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

    async def once() -> _R:
        retries.end_wait()
        if unsent is not None:
            retries.begin_try(server)
        result = await attempt()
        retries.answered()
        return result

    try:
        return await _again_after(once, again, patience)
    except asyncio.CancelledError:
        failure = last[0].failure if last else retries.unanswered(unsent)
        if failure is None or not retries.woke():
            raise
        raise _error(failure, server, patience) from (last[0].__cause__ if last else None)
    except TryFailedError as failed:
        raise _error(failed.failure, server, patience) from failed.__cause__
    finally:
        retries.end_wait()


async def _again_after(
    once: Callable[[], Awaitable[_R]], again: Callable[[Exception], bool | float], patience: Patience
) -> _R:
    """Return the result of `once`, retried as long as `again` says so.

    The first try is made outside stamina, which is then given its error. stamina creates 60 objects with reference
    cycles per call, and with 1,000 calls in flight collecting those took a third of the CPU time.
    """
    untold = list[TryFailedError]()
    try:
        return await once()
    except TryFailedError as error:
        untold.append(error)
    tries = stamina.retry_context(
        on=again,
        attempts=patience.max_retries + 1,
        timeout=None,
        wait_initial=patience.backoff_s,
        wait_max=patience.max_wait_s,
        wait_jitter=patience.backoff_s,
    )
    async for one in tries:
        with one:
            if untold:
                raise untold.pop()
            return await once()
    raise AssertionError("stamina gives at least one attempt")


def wait_before_retry(error: Exception, patience: Patience) -> bool | float:
    """Tell stamina whether to retry: no (False), with its own back-off (True), or after this many seconds."""
    if not isinstance(error, TryFailedError) or not error.failure.retriable:
        return False
    asked = error.failure.retry_after_s
    return min(asked, patience.max_wait_s) if asked else True  # 0 or a past date would use up all tries at once


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Return the wait in seconds from a Retry-After header (seconds or an HTTP date); None if it is neither."""
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
