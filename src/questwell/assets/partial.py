"""A file that is being fetched: appended to, with points from which an interrupted fetch goes on."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from questwell.assets.progress import Progress, silent
from questwell.errors import AssetError
from questwell.text.whole import write_whole


class Partial:
    """`path` while it grows to `size` bytes.

    A source opens it under its own name; what another source left there is dropped, because two sources cut the same
    file differently. After `commit` everything so far survives a crash, and `points` counts the commits.
    """

    def __init__(self, path: Path, size: int, progress: Progress = silent) -> None:
        self.path = path
        self.size = size
        self.done = 0
        """Bytes in the file."""
        self.points = 0
        """Commits so far, those of an interrupted fetch included."""
        self._journal = path.with_suffix(".journal")
        self._progress = progress
        self._source = ""
        self._file: BinaryIO | None = None

    def resumable(self, source: str) -> int:
        """Bytes that `source` has committed before, 0 if none."""
        state = self._read_journal()
        return state[2] if state is not None and state[0] == source else 0

    def begin(self, source: str, *, fresh: bool = False) -> Self:
        """Open for `source`, cut back to its last commit, or to nothing if that is another source's or `fresh`."""
        self.close()
        state = self._read_journal()
        self._source, self.points, self.done = source, 0, 0
        if state is not None and state[0] == source and not fresh:
            _, self.points, self.done = state
        self._file = self.path.open("r+b" if self.path.exists() else "w+b")
        self._file.truncate(self.done)
        self._file.seek(self.done)
        self._progress(self.done, self.size)
        return self

    def write(self, chunk: bytes) -> None:
        """Append `chunk`.

        Raises:
            AssetError: the file would become larger than `size`, so it is another one; it is deleted.
        """
        assert self._file is not None, "begin() first"
        self.done += len(chunk)
        if self.done > self.size:
            self.discard()
            raise AssetError(f"is larger than the expected {self.size:,} bytes; refused and deleted")
        self._file.write(chunk)
        self._progress(self.done, self.size)

    def commit(self) -> None:
        """Make everything written so far survive a crash, so that a later fetch continues from here."""
        assert self._file is not None, "begin() first"
        self._file.flush()
        os.fsync(self._file.fileno())
        self.points += 1
        write_whole(self._journal, json.dumps([self._source, self.points, self.done]))

    def discard(self) -> None:
        """Delete the file and its journal."""
        self.close()
        self.path.unlink(missing_ok=True)
        self._journal.unlink(missing_ok=True)

    def keep_as(self, path: Path) -> None:
        """Rename to `path` in one step; the fetch is over."""
        self.close()
        os.replace(self.path, path)
        self._journal.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; what was committed stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_journal(self) -> tuple[str, int, int] | None:
        """(source, points, bytes) of the last commit, if the file still holds that many bytes."""
        try:
            source, points, done = json.loads(self._journal.read_text(encoding="utf-8"))
            held = self.path.stat().st_size
        except (OSError, ValueError):
            return None
        return (source, points, done) if held >= done else None
