"""Reads files in Debian packages without dpkg: a package is an `ar` archive that contains `data.tar.*` (deb(5))."""

import io
import lzma
import tarfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from questwell.errors import AssetError

MAGIC = b"!<arch>\n"
HEADER = 60
"""Bytes: name 16, time 12, owner 6, group 6, mode 8, size 10, end mark 2 (ar(5))."""
READABLE = ("", ".gz", ".bz2", ".xz")


@contextmanager
def open_member(deb: Path, member: str) -> Generator[IO[bytes]]:
    """Open the file `member` (path without leading slash) of a package for reading.

    Raises:
        AssetError: not a Debian package, a compression that tarfile cannot read (zstd), or no such member.
    """
    name, data = _data_archive(deb)
    if not name.endswith(tuple(f"data.tar{suffix}" for suffix in READABLE)):
        raise AssetError(f"{deb.name} holds {name}, which Python {'/'.join(READABLE[1:])} cannot unpack")
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            entry = next(
                (entry for entry in archive if entry.name.removeprefix("./") == member and entry.isfile()), None
            )
            opened = archive.extractfile(entry) if entry is not None else None
            if opened is None:
                raise AssetError(f"{deb.name} holds no file {member}")
            with opened:
                yield opened
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError) as error:
        raise AssetError(f"{deb.name} is damaged: {error}") from error


def _data_archive(deb: Path) -> tuple[str, bytes]:
    with deb.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise AssetError(f"{deb.name} is not a Debian package")
        while len(header := file.read(HEADER)) == HEADER:
            name = header[:16].decode("ascii", "replace").strip().rstrip("/")
            try:
                size = int(header[48:58])
            except ValueError as error:
                raise AssetError(f"{deb.name} is damaged: {error}") from error
            if name.startswith("data.tar"):
                return name, file.read(size)
            file.seek(size + size % 2, io.SEEK_CUR)  # members start on even bytes
    raise AssetError(f"{deb.name} holds no data.tar")
