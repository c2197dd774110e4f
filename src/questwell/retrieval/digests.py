"""SHA-256 of files, cached by size, time and inode, so that a corpus is not read in full at every start."""

import hashlib
import sqlite3
import time
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from questwell.assets.cache import home

SETTLED_NS = 2_000_000_000
"""Minimum nanoseconds since a file's last change to cache its digest; newer files may change within one clock tick."""
BUSY_S = 5.0
TABLE = (
    "create table if not exists digests "
    "(path text primary key, size integer, mtime_ns integer, ctime_ns integer, inode integer, sha256 text)"
)


def digest_files(files: Iterable[tuple[str, Path]]) -> str:
    """Hex SHA-256 over the names and contents of `files`, given as (name, path).

    Raises:
        OSError: a file cannot be read.
    """
    whole = hashlib.sha256()
    with _kept() as kept:
        for name, path in files:
            whole.update(f"{name}\0{_digest(path, kept)}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def _digest(path: Path, kept: sqlite3.Connection | None) -> str:
    stat = path.stat()
    state = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    key = str(path).encode("utf-8", "backslashreplace").decode()
    if kept is not None:
        with suppress(sqlite3.Error):
            found = kept.execute(
                "select sha256 from digests where (path, size, mtime_ns, ctime_ns, inode) = (?, ?, ?, ?, ?)",
                (key, *state),
            ).fetchone()
            if found is not None:
                return str(found[0])
    with path.open("rb") as raw:
        digest = hashlib.file_digest(raw, "sha256").hexdigest()
    if kept is not None and time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > SETTLED_NS:
        with suppress(sqlite3.Error):
            kept.execute("insert or replace into digests values (?, ?, ?, ?, ?, ?)", (key, *state, digest))
    return digest


@contextmanager
def _kept() -> Generator[sqlite3.Connection | None]:
    """The cached digests; None if the cache folder cannot be written, in which case every file is read."""
    try:
        home().mkdir(parents=True, exist_ok=True)
        opened = sqlite3.connect(home() / "digests.sqlite", timeout=BUSY_S)
    except (OSError, sqlite3.Error):
        yield None
        return
    with closing(opened) as kept:
        try:
            kept.execute(TABLE)
        except sqlite3.Error:
            yield None
            return
        yield kept
        with suppress(sqlite3.Error):
            kept.commit()
