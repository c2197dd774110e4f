"""Allows one writer at a time by a lock on a file in the run folder; the kernel frees it when the holder dies."""

import fcntl
import os
from pathlib import Path

from questwell.errors import RunLocked, StoreError


class RunLock:
    """Lock on a run folder, held from construction to `release`.

    Raises:
        RunLocked: another process holds it; the message names its pid.
        StoreError: the folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock on the file `path`."""
        self.path = path
        self._file = self._open()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise RunLocked(
                f"the run in {str(path.parent)!r} is being written by process {holder}; wait for it or stop it "
                f"(status, show and export can read it in the meantime)"
            ) from None
        if not path.exists() or not os.path.samestat(os.fstat(self._file), path.stat()):
            os.close(self._file)
            raise RunLocked(f"the run in {str(path.parent)!r} was being removed by another process; try again")
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"the run folder {str(self.path.parent)!r} cannot be written: {error.strerror}") from error

    def release(self) -> None:
        """Release the lock. The lock file is not deleted."""
        os.close(self._file)


def writer_of(path: Path) -> int | None:
    """Return the pid of the process that holds the lock file `path`, or None, without touching the lock.

    A reader must not take the lock to find out: a writer that starts at that moment would be refused.
    """
    try:
        pid = int(path.read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        return None
    try:
        os.kill(pid, 0)
    except PermissionError:
        return pid  # a process of another user
    except OSError:
        return None
    descriptors = Path(f"/proc/{pid}/fd")
    if not descriptors.is_dir():  # no /proc here: the pid has to be enough
        return pid
    try:
        held = any(os.path.realpath(one) == os.path.realpath(path) for one in descriptors.iterdir())
    except OSError:
        return pid
    return pid if held else None
