"""Files that appear whole or not at all, whenever the process or the machine dies. Used for every replaced file."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path, *, keep_suffix: bool = False) -> Generator[Path]:
    """A new file next to `path` to write to. On leaving it is on the disk and takes the place of `path` in one step.

    The folder is created if it is missing. When writing fails, `path` stays as it was and the new file is removed.

    Args:
        path: the file to write or replace.
        keep_suffix: for libraries that choose a format by the file's suffix.

    Raises:
        OSError: as the file system reports it; the caller knows what the file is for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix if keep_suffix else ""
    fresh = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}{suffix}")
    try:
        yield fresh
        to_disk(fresh)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    to_disk(path.parent)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content`, text as UTF-8 with its line ends as they are; OSError as `whole`."""
    with whole(path) as fresh:
        fresh.write_bytes(content.encode() if isinstance(content, str) else content)


def to_disk(path: Path) -> None:
    """Flush a file, or the names in a folder, to disk, so that they survive a crash of the machine."""
    if os.name != "posix" and path.is_dir():
        return  # only POSIX opens folders
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
