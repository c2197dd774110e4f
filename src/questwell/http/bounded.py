"""A reply's body within a limit: of what comes over the line, and of what it unpacks to."""

import zlib
from collections.abc import AsyncIterable
from typing import Protocol

_STEP = 65_536
ADDED = 4_096
"""Bytes by which a packed body may be larger than the body."""
ACCEPT_ENCODING = "gzip, deflate"
"""What is unpacked here; say so in each request."""


class _Unpacking(Protocol):
    """What zlib gives to unpack piece by piece."""

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
    """A body that comes in `pieces`, unpacked; `encoding` is its content-encoding, "" for none.

    HTTP libraries unpack a whole piece from the line before anyone can see its size: some kilobytes may become
    gigabytes.

    Raises:
        TooLargeError: it has more than `most_bytes`.
        UnreadableError: its encoding is none of `ACCEPT_ENCODING`, or wrong.
    """
    encoding = encoding.strip().lower()
    unpacking = _unpacking(encoding)
    body = bytearray()
    came = 0
    async for piece in pieces:
        came += len(piece)  # what is packed may unpack to nothing, and never end
        while piece and came <= most_bytes + ADDED:
            if unpacking is None:
                body += piece
                break
            try:
                if unpacking.eof:  # gzip may have several members, one after another
                    unpacking = _unpacking(encoding)
                    assert unpacking is not None
                elif encoding == "deflate" and came == len(piece) and not body and not _has_head(piece):
                    unpacking = zlib.decompressobj(-zlib.MAX_WBITS)  # as some servers send it
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
    """Whether deflate begins with the head of zlib, as it must, or of gzip."""
    return len(piece) < 2 or piece[:2] == b"\x1f\x8b" or (piece[0] & 15 == 8 and int.from_bytes(piece[:2]) % 31 == 0)


def _unpacking(encoding: str) -> _Unpacking | None:
    match encoding:
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(zlib.MAX_WBITS | 32)  # reads the head of either
        case _:
            raise UnreadableError(f"a body in the encoding {encoding!r}, which was not asked for")
