"""`retrying`: the one retry layer of all calls over HTTP: how often, how long to wait, what is told in the end.

What an API means by a status is its client's affair: it says by a `Failure` why a try gave nothing.
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


@dataclass(slots=True)
class _Try:
    """One try of a call, in a task of its own."""

    loop: asyncio.AbstractEventLoop
    server: str
    since: float
    """When it began, or was sent."""


GRACE_S = 2.0
"""How long a stop waits at least for the answer to a request that was sent."""


class Retries:
    """What all calls of a run wait for before they are sent, so that it can be ended at once.

    A request that was sent may be paid for, so a stop lets it end. But a dead endpoint would hold the run until its
    time-out, so no request is waited for much longer than its endpoint has taken for its slowest answer.
    """

    def __init__(self, grace_s: float = GRACE_S, now: Callable[[], float] = time.monotonic) -> None:
        """Nothing waits yet."""
        self.given_up = False
        self.sending_ended = False
        """No call is sent any more."""
        self.cut_short = False
        """Whether a call ended that would have been made, or made again."""
        self._grace_s = grace_s
        self._now = now
        self._waiting: dict[asyncio.Task[Any], asyncio.AbstractEventLoop] = {}
        self._unsent: dict[asyncio.Task[Any], _Try] = {}
        self._sent: dict[asyncio.Task[Any], _Try] = {}
        self._slowest_s: dict[str, float] = {}
        self._woken = set[asyncio.Task[Any]]()

    def give_up(self, *, unsent: bool = False) -> None:
        """End all waits, with the failure of the last try; nothing is tried again.

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
        """The current task begins to wait for its next try."""
        if (task := asyncio.current_task()) is not None:
            self._waiting[task] = asyncio.get_running_loop()

    def begin_try(self, server: Server) -> None:
        """The current task begins a try, which says when it is sent."""
        if (task := asyncio.current_task()) is not None:
            self._unsent[task] = _Try(asyncio.get_running_loop(), server.name, self._now())

    def send(self) -> None:
        """The try of the current task is sent."""
        task = asyncio.current_task()
        if task is None or (one := self._unsent.pop(task, None)) is None:
            return
        self._woken.discard(task)
        one.since = self._now()
        self._sent[task] = one
        if self.sending_ended:
            self._wake_later(task, one)

    def answered(self) -> None:
        """The try of the current task gave a result: that tells how long its server may take."""
        task = asyncio.current_task()
        if task is not None and (one := self._sent.get(task)) is not None:
            self._slowest_s[one.server] = max(self._slowest_s.get(one.server, 0.0), self._now() - one.since)

    def end_wait(self) -> None:
        """The current task waits no more."""
        if (task := asyncio.current_task()) is not None:
            self._waiting.pop(task, None)
            self._unsent.pop(task, None)
            self._sent.pop(task, None)
            self._woken.discard(task)

    def unanswered(self, unsent: Failure[Any] | None) -> Failure[Any] | None:
        """What a stop makes of the try of the current task; `unsent` if it was not sent."""
        if unsent is None or asyncio.current_task() not in self._sent:
            return unsent
        return replace(unsent, what="stopped before an answer came")

    def woke(self) -> bool:
        """Whether the cancellation that the current task just met was ours: then it is none."""
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
    """Within it, calls of the current task and of those it starts wait as long as `retries` lets them."""
    token = _RETRIES.set(retries)
    try:
        yield
    finally:
        _RETRIES.reset(token)


def sent() -> None:
    """The current task's request goes out now: it may be paid for, so a stop lets it end."""
    if (retries := _RETRIES.get()) is not None:
        retries.send()


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
        unsent: what a stop makes of a try that was not sent. None: `attempt` does not call `sent`; a stop lets it end.

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
    """What `once` gives, made again as long as `again` says.

    The first try is made outside stamina, which is then told how it failed: its context of a call is 60 objects in
    cycles, and with 1,000 calls in flight finding those took a third of the CPU time.
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
