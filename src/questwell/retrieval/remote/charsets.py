"""The charset that a server states, read as browsers read it: by the names of the web, and never by another codec.

Python has codecs under the name of a charset that take quadratic time (`punycode`) or interpret escapes
(`unicode_escape`), and a page that says ISO-8859-1 has the quotes of Windows-1252.
"""

import codecs
import contextlib

_AS_BROWSERS = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
    "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs",
}  # fmt: skip
"""Codecs by Python's name, and the larger ones that the Encoding Standard reads instead."""
_NEVER = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "palmos", "utf-7", "mbcs", "oem"}
_LONGEST_NAME = 40


def decode_as(body: bytes, charset: str) -> str | None:
    """`body` decoded by the charset of this name; None if there is none, or `body` is not in it."""
    if not charset or len(charset) > _LONGEST_NAME or "\0" in charset:
        return None
    try:
        name = codecs.lookup(charset).name
        if name.replace("_", "-") in _NEVER:
            return None
        named = _AS_BROWSERS.get(name, name)
        if named == "cp1252":  # often said by a server that knows no better
            with contextlib.suppress(UnicodeDecodeError):
                return body.decode()
        return body.decode(named)
    except (LookupError, ValueError):
        return None
