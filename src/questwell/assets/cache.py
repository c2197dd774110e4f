"""The cache folder for downloaded and built files, and a lock so that two processes do not do the same work."""

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

POLL_S = 0.2
HOME_VARIABLE = "QUESTWELL_HOME"


def home() -> Path:
    """Return the folder of data kept between runs: `QUESTWELL_HOME`, else the user's cache folder."""
    named = os.environ.get(HOME_VARIABLE)
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("questwell"))


@contextmanager
def exclusive(path: Path) -> Generator[None]:
    """Hold the lock on the file `path` within the context, after waiting for any process that holds it.

    The operating system releases the lock when its process ends, so a killed process leaves nothing to clean up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while not _try_lock(descriptor):
            time.sleep(POLL_S)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Return whether a process currently holds the lock on the file `path`."""
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
