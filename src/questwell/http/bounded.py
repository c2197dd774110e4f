"""Reads a reply's body within a size limit, both compressed and decompressed."""

import zlib
from collections.abc import AsyncIterable
from typing import Protocol

_STEP = 65_536
ADDED = 4_096
"""Number of bytes by which a compressed body may be larger than the decompressed one."""
ACCEPT_ENCODING = "gzip, deflate"
"""The supported content encodings; send this header with each request."""


class _Unpacking(Protocol):
    """zlib's object for decompressing piece by piece."""

    @property
    def eof(self) -> bool: ...

    @property
    def unconsumed_tail(self) -> bytes: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class TooLargeError(Exception):
    """A body larger than the limit, compressed or decompressed."""


class UnreadableError(Exception):
    """A body that is not compressed as its header says, or in an encoding that was not requested."""


async def read_bounded(encoding: str, pieces: AsyncIterable[bytes], most_bytes: int) -> bytes:
    """Return the decompressed body that arrives in `pieces`; `encoding` is its content-encoding, "" for none.

    HTTP libraries decompress a whole network chunk before its size can be checked: a few kilobytes may become
    gigabytes.

    Raises:
        TooLargeError: the body has more than `most_bytes`.
        UnreadableError: the encoding is not in `ACCEPT_ENCODING`, or the body does not have it.
    """
    encoding = encoding.strip().lower()
    unpacking = _unpacking(encoding)
    body = bytearray()
    came = 0
    async for piece in pieces:
        came += len(piece)  # limits input too: it may decompress to nothing and never end
        while piece and came <= most_bytes + ADDED:
            if unpacking is None:
                body += piece
                break
            try:
                if unpacking.eof:  # gzip may have several members, one after another
                    unpacking = _unpacking(encoding)
                    assert unpacking is not None
                elif encoding == "deflate" and came == len(piece) and not body and not _has_head(piece):
                    unpacking = zlib.decompressobj(-zlib.MAX_WBITS)  # some servers send it
                body += unpacking.decompress(piece, min(_STEP, most_bytes + 1 - len(body)))
            except zlib.error as error:
                raise UnreadableError(f"a body that is no {encoding} ({error})") from error
            piece = unpacking.unused_data if unpacking.eof else unpacking.unconsumed_tail
            if len(body) > most_bytes:
                break
        if came > most_bytes + ADDED or len(body) > most_bytes:
            raise TooLargeError(f"more than {most_bytes} bytes")
    if unpacking is not None and not unpacking.eof and came:
        raise UnreadableError(f"a body in {encoding} that was cut")
    return bytes(body)


def _has_head(piece: bytes) -> bool:
    """Return whether a deflate body begins with a zlib header, as it must, or a gzip header."""
    return len(piece) < 2 or piece[:2] == b"\x1f\x8b" or (piece[0] & 15 == 8 and int.from_bytes(piece[:2]) % 31 == 0)


def _unpacking(encoding: str) -> _Unpacking | None:
    match encoding:
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(zlib.MAX_WBITS | 32)  # reads either header
        case _:
            raise UnreadableError(f"a body in the encoding {encoding!r}, which was not asked for")
