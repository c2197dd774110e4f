"""Makes texts of models and corpora safe to print: they cannot move the cursor, colour or reorder the screen."""

import re

from questwell.types.trajectory import Reading

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
UNSAFE = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\U000e0000-\U000e007f{_BIDI}]")

"""Characters that a terminal would interpret or not show."""


def visible(text: str) -> str:
    """Return `text` with control, bidi and tag characters written as `<U+001B>`; line breaks and tabs stay."""
    return UNSAFE.sub(lambda match: f"<U+{ord(match[0]):04X}>", text.replace("\r\n", "\n"))


def quoted(text: str, width: int = 100) -> str:
    """Return `text` on one line in quotation marks, safe to print."""
    return f"“{one_line(text, width)}”"


def read_what(reading: Reading) -> str:
    """Return a one-line description of a step inside a document."""
    what = f"page {reading.page}" if reading.page is not None else f"what fits {quoted(reading.query, 200)}"
    return f"read {what} of {one_line(reading.document_id, 80)}"


def folded(text: str, most: int = 600) -> str:
    """Return `text`, or its first `most` characters and the number of characters left out (`--full` shows them)."""
    return text if len(text) <= most else f"{text[:most].rstrip()} … {len(text) - most:,} more characters (--full)"


def one_line(text: str, width: int = 100) -> str:
    """Return `text` on one line of at most `width` characters, safe to print."""
    line = " ".join(visible(text).split())
    return line if len(line) <= width else f"{line[: width - 1].rstrip()}…"
