"""Runs Python's garbage collector less often during a run, because few objects of a call form cycles."""

import gc
import threading
from collections.abc import Generator
from contextlib import contextmanager

_OBJECTS = 100_000
"""Number of new objects (10 to 20 MB) after which the collector looks for cycles.

A call in flight has about 110 objects, so 1,000 calls that begin together reach this number. With Python's default
of 700, the collector scanned calls in flight repeatedly, which took 0.2 of 0.67 ms of CPU per call."""


class _Runs:
    """The runs under way in this process. They may overlap, and the setting is the process's."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0
        self.before = gc.get_threshold()
        """Setting that the first of them found, and the last restores."""


_runs = _Runs()


@contextmanager
def collecting_seldom() -> Generator[None]:
    """Collect cycles less often inside this context, then restore the old setting. Stays off if it was off."""
    with _runs.lock:
        if _runs.count == 0:
            _runs.before = before = gc.get_threshold()
            if 0 < before[0] < _OBJECTS:
                gc.set_threshold(_OBJECTS, *before[1:])
        _runs.count += 1
    try:
        yield
    finally:
        with _runs.lock:
            _runs.count -= 1
            if _runs.count == 0:
                gc.set_threshold(*_runs.before)
