"""Files of a run that appear whole or not at all, and lines that a kill cannot double."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from questwell.errors import StoreError
from questwell.text.whole import write_whole


def replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; its folder is made if it is missing.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        write_whole(path, content)
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


def to_be_made(folder: Path, made_from: str, *, begun: bool) -> bool:
    """Whether what a run makes once in `folder` is still to be made; what another config left there is removed.

    A run that was killed before it had saved what it is leaves such a folder behind, and the next may be another run.
    So what it was made from stands next to it.

    Args:
        folder: that appears whole or not at all.
        made_from: names everything that decides what is in it.
        begun: whether the run has saved what it is: then the folder is its own.
    """
    note = folder.with_name(f"{folder.name}.made_from")
    if folder.exists() and (begun or (note.is_file() and note.read_text(encoding="utf-8") == made_from)):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    replace(note, made_from.encode())
    return True
