"""Files of a run that appear whole or not at all, and lines that a kill cannot double."""

import os
from collections.abc import Callable
from pathlib import Path

from questwell.errors import StoreError


def replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; its folder is made if it is missing.

    Raises:
        StoreError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror}") from error


def append_line(path: Path, line: bytes) -> None:
    """Add a line that is on the disk when this returns."""
    with path.open("ab") as file:
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a file without their ends; a last line that a kill cut off is left out, and so is a missing file."""
    if not path.is_file():
        return []
    return path.read_bytes().split(b"\n")[:-1]


def cut(path: Path, keep: Callable[[bytes], bool]) -> None:
    """Forget the lines that `keep` does not want, and a last one that was cut off; they are written again."""
    if not path.is_file():
        return
    before = path.read_bytes()
    after = b"".join(line + b"\n" for line in whole_lines(path) if keep(line))
    if after != before:
        replace(path, after)
