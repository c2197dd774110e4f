"""Texts made small: compressed, against an earlier text if they share much with it.

Each call of a rollout repeats the whole dialogue so far, so a run file that kept requests as they are would grow with
the square of the turns. Packed against the request before it, a request costs about what is new in it.
"""

import zlib


def pack(text: str, base: str = "") -> bytes:
    """`text`, compressed; what it shares with `base` costs next to nothing (as far as zlib's 32 KiB window reaches)."""
    packer = zlib.compressobj(level=6, zdict=_dictionary(base))
    return packer.compress(text.encode()) + packer.flush()


def unpack(packed: bytes, base: str = "") -> str:
    """The text that `pack` was given; `base` must be the same."""
    unpacker = zlib.decompressobj(zdict=_dictionary(base))
    return (unpacker.decompress(packed) + unpacker.flush()).decode()


def _dictionary(base: str) -> bytes:
    return base.encode()[-32_768:]
