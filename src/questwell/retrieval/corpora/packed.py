"""Reads a file and unpacks it, if its content (not its name) shows that it is compressed."""

import bz2
import codecs
import gzip
import io
import lzma
import re
import stat
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

ARROW_ERROR = cast(type[Exception], cast(Any, pa).ArrowException)
FAULTS = (OSError, EOFError, zlib.error, lzma.LZMAError, ARROW_ERROR)
"""Errors of reading a compressed file that is cut short or damaged."""
CUT = "the compressed file ends too early: copy or fetch it again"
SUFFIXES = (".gz", ".bz2", ".zst", ".zstd", ".xz")
HEAD = 1 << 16
"""Number of bytes from which a file's format is detected."""
ZSTD = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
"""Beginning of a frame of zstd; the second is one to skip, with which pzstd begins."""
NO_FILE = "it is no file (a pipe, a socket or a device): write its content to a file first"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks of UTF-16 text, which spreadsheets write."""


@contextmanager
def unpacked(path: Path) -> Generator[IO[bytes]]:
    """The file's content, unpacked if it is gzip, bzip2, zstd or xz.

    Raises:
        OSError: the file cannot be opened. Reading it may raise any of `FAULTS`.
    """
    match _magic(path):
        case bytes() as magic if magic.startswith(b"\x1f\x8b"):
            opened = cast(IO[bytes], gzip.open(path))  # noqa: SIM115  closed below
        case bytes() as magic if magic.startswith(b"BZh"):
            opened = cast(IO[bytes], bz2.open(path))  # noqa: SIM115
        case bytes() as magic if magic.startswith(b"\xfd7zXZ\x00"):
            opened = cast(IO[bytes], lzma.open(path))  # noqa: SIM115
        case bytes() as magic if ZSTD.match(magic):
            opened = cast(IO[bytes], io.BufferedReader(cast(Any, pa).CompressedInputStream(str(path), "zstd"), HEAD))
        case magic if path.suffix.lower() in SUFFIXES and magic:
            raise OSError(f"its name ends in {path.suffix} but it has another format")
        case _:
            opened = path.open("rb")
    with opened:
        yield opened


def is_packed(path: Path) -> bool:
    """Whether the file's content is packed."""
    magic = _magic(path)
    return magic.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")) or ZSTD.match(magic) is not None


def _magic(path: Path) -> bytes:
    """The first bytes of a file.

    Raises:
        OSError: it cannot be opened, or is a pipe or a device, which would never end or can be read only once.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(NO_FILE)
    with path.open("rb") as raw:
        return raw.read(6)


@contextmanager
def text_of(path: Path) -> Generator[IO[bytes]]:
    """Like `unpacked`, with UTF-16 text converted to UTF-8.

    Raises:
        OSError: as for `unpacked`; also while reading, if the content is not valid UTF-16 after its mark.
    """
    with unpacked(path) as file:
        if cast(Any, file).peek(2)[:2] in UTF16:
            yield io.BufferedReader(_FromUtf16(file), HEAD)
        else:
            yield file


class _FromUtf16(io.RawIOBase):
    """Reads a file in UTF-16 as bytes in UTF-8."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-16")()
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401  any kind of memory
        raw = b" "
        while raw and not self._held:
            raw = self._file.read(HEAD)
            try:
                self._held = self._decoder.decode(raw, final=not raw).encode()
            except UnicodeError as error:
                raise OSError(f"not valid UTF-16 ({getattr(error, 'reason', error)})") from error
        piece = self._held[: len(buffer)]
        buffer[: len(piece)] = piece
        self._held = self._held[len(piece) :]
        return len(piece)


def head_of_text(path: Path) -> bytes:
    """The first `HEAD` bytes of the content in UTF-8, without a byte order mark; raises as `head`."""
    try:
        with text_of(path) as file:
            return file.read(HEAD).removeprefix(b"\xef\xbb\xbf")
    except FAULTS as error:
        raise OSError(fault(error)) from error


def head(path: Path) -> bytes:
    """The first `HEAD` bytes of the unpacked content.

    Raises:
        OSError: the file cannot be read or unpacked.
    """
    try:
        with unpacked(path) as file:
            return file.read(HEAD)
    except FAULTS as error:
        raise OSError(fault(error)) from error


def fault(error: BaseException) -> str:
    """The error as a message for users."""
    match error:
        case EOFError():
            return CUT
        case gzip.BadGzipFile():
            return f"the packed file is damaged, or something else follows its end ({error})"
        case OSError(strerror=str() as reason):
            return reason
        case zlib.error() | lzma.LZMAError():
            return f"the compressed file is damaged ({error})"
        case _ if "Truncated compressed stream" in str(error):  # pyarrow's words of zstd
            return CUT
        case _:
            return " ".join(str(error).split())
