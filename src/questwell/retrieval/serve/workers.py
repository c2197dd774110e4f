"""Runs several reader processes behind one address. Needs the extra `serve`.

Each process has its own listening socket on the port, and the kernel distributes the connections. The processes share
the index through the page cache.
"""

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from types import FrameType

from questwell.errors import ConfigError, RetrievalUnavailable
from questwell.retrieval.extras import optional
from questwell.retrieval.retriever import Retriever
from questwell.retrieval.serve.metrics import shared
from questwell.retrieval.serve.server import ServerOptions, make_app

BACKLOG = 2_048
"""Number of connections that the kernel queues until they are accepted."""
GRACE_S = 10
"""Seconds that requests in flight may take after SIGTERM; then their connections are closed."""
_LOOK_S = 0.2
_QUICK_S = 5.0
"""A process that ends within this many seconds of its start is not restarted, because it would end again."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address on which a server listens."""

    host: str = "127.0.0.1"
    port: int = 8000
    """Port to listen on; 0 picks a free one."""


def available_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def serve(
    opening: Callable[[], Retriever],
    address: Address,
    workers: int,
    options: ServerOptions,
    listening: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then accept no more connections, finish requests in flight, and return.

    Args:
        opening: opens the retriever in each process; must be picklable.
        address: address to listen on.
        workers: number of processes.
        options: settings of each process.
        listening: called with the port once the server listens.

    Raises:
        ConfigError: it is not possible to listen on the address.
        RetrievalUnavailable: a process ended directly after its start.
    """
    sockets = _listen(address, workers)
    listening(sockets[0].getsockname()[1])
    try:
        if workers == 1:
            with _Quietly():
                _run(opening, options, sockets[0])
        else:
            with shared():
                _Pool(opening, options, sockets).run()
    finally:
        for held in sockets:
            held.close()


def _listen(address: Address, count: int) -> list[socket.socket]:
    """`count` listening sockets; the same one `count` times if the kernel cannot distribute connections."""
    own = sys.platform == "linux"
    try:
        # First try without SO_REUSEPORT: with it, a second server on the port would silently get half of the queries.
        first = _bind(address, reuse_port=False)
        if own and count > 1:
            bound = Address(address.host, first.getsockname()[1])
            first.close()
            sockets = [_bind(bound, reuse_port=True) for _ in range(count)]
        else:
            sockets = [first] * count
        for ready in sockets:
            ready.listen(BACKLOG)  # clients that come before the processes are ready wait and are not refused
        return sockets
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"cannot listen on {address.host}:{address.port} ({error}); name another --host or --port"
        ) from error


def _bind(address: Address, *, reuse_port: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # asyncio sets TCP_NODELAY only if the protocol is named; without it each answer waits 40 ms for an ACK.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((address.host, address.port))
    except BaseException:
        bound.close()
        raise
    return bound


def _run(opening: Callable[[], Retriever], options: ServerOptions, bound: socket.socket) -> None:
    """Serve in this process until a signal."""
    optional("uvicorn", "serve")
    import uvicorn

    from questwell.retrieval.serve.connections import ACCEPTED_AT_ONCE, Guard, quieten

    guard = Guard(options.connections)
    config = uvicorn.Config(
        make_app(opening, options, guard),
        http=guard.protocol,
        ws="none",
        log_level="warning",
        access_log=False,
        lifespan="on",
        backlog=ACCEPTED_AT_ONCE,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=round(options.connections.idle_s),
        server_header=False,
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            quieten(asyncio.get_running_loop())
            await super().startup(sockets=sockets)
            bound.listen(BACKLOG)  # asyncio has set a smaller backlog

    server = Server(config)
    server.run(sockets=[bound])
    if not server.started:
        raise RetrievalUnavailable("the server could not start; see the message above")


class _Quietly:
    """Ignores the signal that uvicorn sends itself again after shutting down, so that this process can clean up."""

    def __enter__(self) -> None:
        self._before = {number: signal.signal(number, _nothing) for number in (signal.SIGTERM, signal.SIGINT)}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _nothing(_: int, __: FrameType | None) -> None: ...


def _work(opening: Callable[[], Retriever], options: ServerOptions, bound: socket.socket, parent: int) -> None:
    with _Quietly():
        _end_with(parent)
        _run(opening, options, bound)


def _end_with(parent: int) -> None:
    """Ask the kernel to send SIGTERM if the parent is killed, so that no process is left behind (Linux)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)


class _Pool:
    """The parent process: starts the reader processes, restarts one that dies, and ends them on a signal."""

    def __init__(self, opening: Callable[[], Retriever], options: ServerOptions, sockets: list[socket.socket]) -> None:
        self._opening = opening
        self._options = options
        self._sockets = sockets
        self._context = multiprocessing.get_context("spawn")
        self._ending = False

    def run(self) -> None:
        before = {number: signal.signal(number, self._end) for number in (signal.SIGTERM, signal.SIGINT)}
        running: dict[int, tuple[SpawnProcess, float]] = {}
        try:
            running = {place: self._start(place) for place in range(len(self._sockets))}
            while not self._ending:
                time.sleep(_LOOK_S)
                for place, (process, started) in running.items():
                    if process.is_alive() or self._ending:
                        continue
                    if time.monotonic() - started < _QUICK_S:
                        raise RetrievalUnavailable(
                            f"a reader process ended directly after its start (exit code {process.exitcode}); "
                            "see the message above"
                        )
                    running[place] = self._start(place)
        finally:
            self._finish([process for process, _ in running.values()])
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self, place: int) -> tuple[SpawnProcess, float]:
        arguments = (self._opening, self._options, self._sockets[place], os.getpid())
        process = self._context.Process(target=_work, args=arguments, name=f"questwell-reader-{place}")
        process.start()
        return process, time.monotonic()

    def _end(self, _: int, __: FrameType | None) -> None:
        self._ending = True

    def _finish(self, processes: list[SpawnProcess]) -> None:
        for process in processes:
            if process.is_alive():
                process.terminate()
        until = time.monotonic() + GRACE_S + 2
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
