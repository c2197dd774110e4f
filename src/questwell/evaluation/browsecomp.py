"""Decrypts BrowseComp's questions, which are published encrypted to keep them out of training data (arXiv 2504.12516).

The cipher is XOR with the repeated SHA-256 of the record's canary, in base64, as in OpenAI's simple-evals. Decrypted
text stays in memory and in the run file; never write it where a crawler can find it.
"""

import base64
import binascii
import hashlib
from itertools import cycle


def decrypt(text: str, canary: str) -> str:
    """Return the decrypted text of `text`.

    Raises:
        ValueError: `text` is not base64, or not UTF-8 under this canary.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error
    return _xor(data, canary).decode()


def decrypt_plain(text: str, canary: str) -> str:
    """Return the decrypted text of an xbench record: XOR with the canary itself instead of its hash.

    Raises:
        ValueError: `text` is not base64, or not UTF-8 under this canary.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error
    return bytes(a ^ b for a, b in zip(data, cycle(canary.encode()), strict=False)).decode()


def encrypt(text: str, canary: str) -> str:
    """Return `text` encrypted; the inverse of `decrypt`."""
    return base64.b64encode(_xor(text.encode(), canary)).decode()


def _xor(data: bytes, canary: str) -> bytes:
    return bytes(a ^ b for a, b in zip(data, cycle(hashlib.sha256(canary.encode()).digest()), strict=False))
