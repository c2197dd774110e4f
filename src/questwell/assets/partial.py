"""A partial download: a file that grows, with commits from which an interrupted download continues."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from questwell.assets.progress import Progress, silent
from questwell.errors import AssetError
from questwell.text.whole import write_whole


class Partial:
    """The file `path` while it grows to `size` bytes.

    A source opens it under its name; data of another source is deleted, because sources divide a file differently.
    After `commit` everything so far survives a crash; `points` is the number of commits.
    """

    def __init__(self, path: Path, size: int, progress: Progress = silent) -> None:
        self.path = path
        self.size = size
        self.done = 0
        """Bytes in the file."""
        self.points = 0
        """Number of commits so far, including those of an interrupted download."""
        self._journal = path.with_suffix(".journal")
        self._progress = progress
        self._source = ""
        self._file: BinaryIO | None = None

    def resumable(self, source: str) -> int:
        """Return the number of bytes that `source` has committed before."""
        state = self._read_journal()
        return state[2] if state is not None and state[0] == source else 0

    def begin(self, source: str, *, fresh: bool = False) -> Self:
        """Open for `source` at its last commit; start empty if that is another source's or `fresh` is set."""
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
            AssetError: the file would be larger than `size`, so it is the wrong file; it is deleted.
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
        """Rename the complete file to `path` atomically."""
        self.close()
        os.replace(self.path, path)
        self._journal.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; committed data is kept."""
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
        """Return (source, points, bytes) of the last commit; None if the file is shorter than that."""
        try:
            source, points, done = json.loads(self._journal.read_text(encoding="utf-8"))
            held = self.path.stat().st_size
        except (OSError, ValueError):
            return None
        return (source, points, done) if held >= done else None
