"""Rules about characters that several layers share."""

import re

SURROGATE = re.compile(r"[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """`text` with U+FFFD for each half of a surrogate pair, which no UTF-8 can hold; its length stays."""
    return text if text.isascii() else SURROGATE.sub("\ufffd", text)
