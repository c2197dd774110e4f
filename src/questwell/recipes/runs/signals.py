"""Ctrl-C and SIGTERM as a polite request: the first stops cleanly, the second ends the process at once."""

import asyncio
import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping_on_signals(stop: Callable[[], None]) -> Generator[None]:
    """Within it, a first SIGINT or SIGTERM calls `stop`; a second one kills. Does nothing outside the main thread."""
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
    except (ValueError, RuntimeError, NotImplementedError):  # not the main thread: the caller has the signals
        yield
        return
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
