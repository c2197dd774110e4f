"""Writes files of a run atomically, and lines that are not duplicated after a kill."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from questwell.errors import StoreError
from questwell.text.adapters import adapter
from questwell.text.files import read_jsonl
from questwell.text.whole import write_whole


def replace(path: Path, content: bytes) -> None:
    """Write a file atomically; creates its folder if it is missing.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror}") from error


def append_line(path: Path, line: bytes) -> None:
    """Append a line; it is on disk when this returns."""
    with path.open("ab") as file:
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class _Made:
    """The field that each line has in every step file."""

    step: int


def cut(path: Path, steps: int) -> None:
    """Remove the JSON lines after the first `steps` steps, and a truncated last line; they are written again.

    Raises:
        StoreError: a line is malformed; the message names it, and nothing is removed.
    """
    if not path.is_file():
        return
    before = path.read_bytes()
    found = read_jsonl(path, adapter(_Made), StoreError, ended=True)
    after = b"".join(line.raw + b"\n" for line, made in found if made.step <= steps)
    if after != before:
        replace(path, after)


def to_be_made(folder: Path, made_from: str, *, begun: bool) -> bool:
    """Return whether the files that a run makes once in `folder` must still be made; removes those of another config.

    A run that is killed before it saves its description leaves such a folder behind, and the next run may differ.
    So a file next to the folder names what it was made from.

    Args:
        folder: the folder, which is created atomically.
        made_from: names everything that determines its content.
        begun: whether the run has saved its description; if so, the folder belongs to it.
    """
    note = folder.with_name(f"{folder.name}.made_from")
    if folder.exists() and (begun or (note.is_file() and note.read_text(encoding="utf-8") == made_from)):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    replace(note, made_from.encode())
    return True
