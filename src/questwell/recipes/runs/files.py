"""Files of a run that appear whole or not at all, and lines that a kill cannot double."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from questwell.errors import StoreError
from questwell.text.adapters import adapter
from questwell.text.files import read_jsonl
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


@dataclass(frozen=True, slots=True)
class _Made:
    """What a line of every file of steps has."""

    step: int


def cut(path: Path, steps: int) -> None:
    """Forget the JSON lines of steps after the first `steps`, and a last one that was cut off; they are written again.

    Raises:
        StoreError: a line is malformed; names it. Nothing is forgotten.
    """
    if not path.is_file():
        return
    before = path.read_bytes()
    found = read_jsonl(path, adapter(_Made), StoreError, ended=True)
    after = b"".join(line.raw + b"\n" for line, made in found if made.step <= steps)
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
