"""Protects a server from its connections: time limits, a maximum, and a quiet log if file descriptors run out.

uvicorn has no limit for slow headers, for replies that nobody reads, or for idle connections while others wait. Its
own limit counts only connections that have sent a request.
"""

import asyncio
import errno
import logging
import os
import sys
import time
from functools import partial
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from questwell.retrieval.serve.gate import ConnectionLimits

ACCEPTED_AT_ONCE = 16
"""Number of connections accepted in one turn of the event loop. Without descriptors asyncio tries this often in each
turn, and logs every time."""
SPARE = 48
"""Number of file descriptors reserved for refusing connections, the index and the log."""
FEWEST = 4
MOST_LINGERING = 16
LINGER_S = 1.0
FILE_LIMIT = 65_536
SAID_EVERY_S = 10.0
"""Minimum seconds between two log entries with the same text."""
_REFUSED = b'{"error":{"type":"RetrievalBusy","message":"all connections are in use; ask again"}}'
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-type: application/json\r\nconnection: close\r\n"
    + f"content-length: {len(_REFUSED)}\r\n\r\n".encode()
    + _REFUSED
)
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Guard:
    """Counts and limits the connections of one process."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.most = most_connections(limits.connections)
        self.open = 0
        self.lingering = 0
        """Number of refused connections whose client has not read the reason yet."""
        self.refused = 0
        """Number of connections refused, or closed to make room because they were idle."""
        self.idle: dict[GuardedProtocol, None] = {}
        """Connections without a request; the one that has been idle longest comes first."""

    @property
    def protocol(self) -> Any:  # noqa: ANN401  uvicorn calls it as it would the class
        """A factory of connection protocols, for uvicorn's `http`."""
        return partial(GuardedProtocol, guard=self)


class GuardedProtocol(H11Protocol):
    """uvicorn's protocol of one connection, with timers for headers and replies, counted by the guard."""

    def __init__(self, *arguments: Any, guard: Guard, **more: Any) -> None:  # noqa: ANN401  uvicorn's own
        super().__init__(*arguments, **more)
        self._guard = guard
        self._header_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._made = self._counted = self._lingering = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection; if there are too many, close an idle one or refuse this one."""
        guard = self._guard
        if guard.open >= guard.most:
            guard.refused += 1
            if not guard.idle:
                self._refuse(transport)
                return
            next(iter(guard.idle)).drop()
        guard.open += 1
        self._counted = self._made = True
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the guard that the connection has ended."""
        self._leave()
        if self._made:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Do what uvicorn does, then check whether a request is complete."""
        if self._counted:
            super().data_received(data)
            self._watch()

    def on_response_complete(self) -> None:
        """Do what uvicorn does, which starts its timer for the next request."""
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None and cast(object, self.conn.their_state) is h11.IDLE:
            self._stop_header_timer()
            self._guard.idle[self] = None
        else:
            self._watch()

    def pause_writing(self) -> None:
        """Start the time limit of a client that does not read its reply."""
        super().pause_writing()
        self._write_timer = self._write_timer or self.loop.call_later(self._guard.limits.write_s, self.drop)

    def resume_writing(self) -> None:
        """Stop the time limit, because the client reads again."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, because no further request came; unsent data is dropped."""
        self.drop()

    def drop(self) -> None:
        """Close the connection at once."""
        self._leave()
        if not self.transport.is_closing() or self.transport.get_write_buffer_size():
            self.transport.abort()

    def _refuse(self, transport: asyncio.Transport) -> None:
        """Send the reason and half-close: closing while the client still sends would discard the answer."""
        guard = self._guard
        transport.write(_REFUSAL)
        if guard.lingering >= MOST_LINGERING:
            transport.close()
            return
        guard.lingering += 1
        self._lingering = True
        transport.write_eof()
        self._header_timer = self.loop.call_later(LINGER_S, transport.abort)

    def _watch(self) -> None:
        """Start or stop the time limit for the client's headers, or for the rest of a body that is not read."""
        theirs, ours = cast(object, self.conn.their_state), cast(object, self.conn.our_state)
        if theirs is not h11.IDLE and not (theirs is h11.SEND_BODY and ours is h11.DONE):
            self._stop_header_timer()
            self._guard.idle.pop(self, None)
        elif self._header_timer is None and self._counted:
            self._header_timer = self.loop.call_later(self._guard.limits.header_s, self.drop)
            self._guard.idle.setdefault(self)

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _leave(self) -> None:
        self._stop_header_timer()
        if self._write_timer is not None:
            self._write_timer.cancel()
        self._guard.idle.pop(self, None)
        self._guard.open -= self._counted
        self._guard.lingering -= self._lingering
        self._counted = self._lingering = False


def most_connections(wanted: int) -> int:
    """`wanted`, or as many connections as there are descriptors for, after raising this process' limit of them."""
    if sys.platform == "win32":
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = FILE_LIMIT if hard == resource.RLIM_INFINITY else min(hard, FILE_LIMIT)
    if soft != resource.RLIM_INFINITY and soft < ceiling:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))
        soft = ceiling
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(FEWEST, min(wanted, soft - _open_files() - SPARE))


def _open_files() -> int:
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return SPARE


class SaidOnce(logging.Filter):
    """Logs equal lines only once in `SAID_EVERY_S` seconds, with the number of lines left out."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        key, now = str(record.msg), time.monotonic()
        said, more = self._last.get(key, (-SAID_EVERY_S, 0))
        if now - said < SAID_EVERY_S:
            self._last[key] = (said, more + 1)
            return False
        if len(self._last) > 1_000:
            self._last.clear()
        self._last[key] = (now, 0)
        if more:
            record.msg = f"{record.msg} ({more} more such lines were left out)"
        return True


def quieten(loop: asyncio.AbstractEventLoop) -> None:
    """Log errors of `loop` and uvicorn as single lines, and never with a handler that opens files."""
    said_once = SaidOnce()
    for name in ("uvicorn.error", "questwell.serve"):
        logging.getLogger(name).addFilter(said_once)
    log = logging.getLogger("questwell.serve")
    if not log.handlers:
        log.addHandler(logging.StreamHandler())
        log.propagate = False

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _EXHAUSTED:
            log.error("no file descriptors are left, so new connections have to wait; raise `ulimit -n`")
        else:
            log.error(f"{context.get('message')}: {error!r}")

    loop.set_exception_handler(handle)
