"""A blocking call that also works where an event loop is running already, as in a notebook."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

from questwell.recipes.runs.signals import collecting_stops

_T = TypeVar("_T")


def blocking(work: Callable[[], _T]) -> _T:
    """What `work` returns, which runs an event loop of its own: here, or in a thread where a loop is running.

    An interrupt (Ctrl-C, a notebook's stop button) stops a run in a thread as politely as one here: calls in flight
    end and are kept. A second one no longer waits for them.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    done: Future[_T] = Future()
    with collecting_stops() as stops:
        context = copy_context()

    def run() -> None:
        try:
            done.set_result(context.run(work))
        except BaseException as error:  # raised again where it is waited for
            done.set_exception(error)

    threading.Thread(target=run, daemon=True, name="questwell").start()
    try:
        return done.result()
    except KeyboardInterrupt:
        for stop in stops:
            stop()
        return done.result()


def used(keys: Mapping[str, object]) -> dict[str, object]:
    """Keys that were given; None means the default, as a flag that was not used."""
    return {key: value for key, value in keys.items() if value is not None}
