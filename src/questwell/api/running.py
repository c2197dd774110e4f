"""Blocking calls that also work if an event loop is already running, as in a notebook."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

from questwell.recipes.runs.signals import collecting_stops

_T = TypeVar("_T")


def blocking(work: Callable[[], _T]) -> _T:
    """Return the result of `work`, which runs its own event loop; in a thread if a loop is already running here.

    An interrupt (Ctrl-C, a notebook's stop button) also stops a run in a thread gracefully: calls in flight end and are
    kept. A second interrupt no longer waits for them.
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
        except BaseException as error:  # raised again in the waiting thread
            done.set_exception(error)

    threading.Thread(target=run, daemon=True, name="questwell").start()
    try:
        return done.result()
    except KeyboardInterrupt:
        for stop in stops:
            stop()
        return done.result()


def used(keys: Mapping[str, object]) -> dict[str, object]:
    """Return the keys that are not None; None means the default, like a flag that is not used."""
    return {key: value for key, value in keys.items() if value is not None}
