"""Turns Ctrl-C and SIGTERM into a clean stop: the first stops cleanly, the second ends the process at once."""

import asyncio
import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STOPS: ContextVar[list[Callable[[], object]] | None] = ContextVar("stops", default=None)


@contextmanager
def collecting_stops() -> Generator[list[Callable[[], object]]]:
    """Collect the stop functions of runs in other threads, so that the owner of the signals can call them."""
    stops: list[Callable[[], object]] = []
    token = _STOPS.set(stops)
    try:
        yield stops
    finally:
        _STOPS.reset(token)


@contextmanager
def stopping_on_signals(stop: Callable[[], None]) -> Generator[None]:
    """Call `stop` on a first SIGINT or SIGTERM; a second one kills. Other threads use `collecting_stops`."""
    loop = asyncio.get_running_loop()

    def second(number: signal.Signals) -> None:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def first() -> None:
        for number in _SIGNALS:
            loop.add_signal_handler(number, second, number)
        stop()

    try:
        for number in _SIGNALS:
            loop.add_signal_handler(number, first)
    except (ValueError, RuntimeError, NotImplementedError):  # not the main thread: the caller handles signals
        if (stops := _STOPS.get()) is not None:
            stops.append(partial(loop.call_soon_threadsafe, stop))
        yield
        return
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
