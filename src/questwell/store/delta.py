"""Compresses texts, relative to an earlier text with which they share much.

Each call of a rollout repeats the whole dialogue so far, so uncompressed requests would grow with the square of the
turns. Compressed relative to the previous request, a request takes about the space of its new part.
"""

import zlib


def pack(text: str, base: str = "") -> bytes:
    """Return `text` compressed; parts shared with `base` take almost no space (within zlib's 32 KiB window)."""
    packer = zlib.compressobj(level=6, zdict=_dictionary(base))
    return packer.compress(text.encode()) + packer.flush()


def unpack(packed: bytes, base: str = "") -> str:
    """Return the text that was passed to `pack`; `base` must be the same."""
    unpacker = zlib.decompressobj(zdict=_dictionary(base))
    return (unpacker.decompress(packed) + unpacker.flush()).decode()


def _dictionary(base: str) -> bytes:
    return base.encode()[-32_768:]
