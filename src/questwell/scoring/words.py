"""Splits text into words that keep their meaning: signs, units, symbols and single letters.

"-40" and "40" are different words; so are "C++" and "C", "1.5" and "15"; "A" is a word. Folding removes differences
in letter case, spaces, quotation marks, dashes, punctuation between words, scripts of digits, thousands separators.
A script that is written without spaces gives one word per character.
"""

import re
import unicodedata
from functools import lru_cache

from questwell.text.scripts import WORD_PER_CHARACTER

_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_RAISED = re.compile("⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_FRACTION = re.compile("[¼-¾⅐-⅞]")
_UNSEEN = "\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
"""Soft hyphens, joiners, marks of the direction of writing: they have no meaning, and would end a word."""
_OWNED = str.maketrans("", "", "™®©℠" + _UNSEEN)
_EMPHASIS = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1|(?<![\w*])\*(?=[^\s*])([^*]+)(?<=\S)\*(?![\w*])")
_FOLDED = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛ʼ`´", "'"),
        **dict.fromkeys("“”„‟«»‹›「」『』《》〈〉〝〞〟", '"'),
        **dict.fromkeys("‐‑‒–−﹣", "-"),
        **dict.fromkeys("—―", " — "),  # between words, never a sign
        "⁄": "/",
        "٪": "%",
        "٫": ".",
        "٬": ",",
        "ς": "σ",
    }
)


def _marks() -> str:
    r"""Combining marks as a character class; `\w` does not include those of Indic and other scripts."""
    points = [point for point in range(0x300, 0x20D0) if unicodedata.category(chr(point)).startswith("M")]
    return "".join(map(chr, points)) + "\ufe20-\ufe2f"


_LETTER = rf"(?:[^\W_{WORD_PER_CHARACTER}]|[{_marks()}])"
_UNIT = r"(?:[kcm]?m|[km]?g|[mk]?l|ft|mph|[kmgt]?hz|[kmgt]?b|[kmg]?w)"
_GROUPED = r"\d{1,3}(?:,\d{2,3})*,\d{3}(?!\d)"
_WORD = re.compile(
    rf"(?P<number>(?:(?<![\w)\]\"'%°])[-+])?(?:{_GROUPED}|\d+)(?:\.\d+)*(?:\^-?\d+)?"
    rf"(?:(?!{_LETTER})|(?={_UNIT}(?!{_LETTER}))))"
    rf"|(?P<word>(?:(?<![\w.)\]])\.)?(?:{_LETTER}{{1,2}}-(?!\w)|{_LETTER}+[+#]*))"  # .NET, B-, C++
    rf"|(?P<unspaced>[{WORD_PER_CHARACTER}])"
    r"|(?P<between>(?<=\d)[-/:.,](?=\d))"
    r"|(?P<symbol>[^\w\s])"
)
_PUNCTUATION = frozenset({"Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Cc", "Cf"})
_MEANT = frozenset("%&@*#§‰′″")
"""Characters that are punctuation in Unicode but have a meaning."""


@lru_cache(maxsize=16384)
def words(text: str) -> tuple[str, ...]:
    """The words of `text`, folded. Equal sequences mean the same; unequal ones may."""
    found: list[str] = []
    for match in _WORD.finditer(fold(text)):
        word = match.group()
        if match.lastgroup == "number":
            found.append(word.replace(",", ""))
        elif match.lastgroup != "symbol" or word in _MEANT or unicodedata.category(word) not in _PUNCTUATION:
            found.append(word)
    return tuple(found)


def fold(text: str) -> str:
    """`text` in lower case, without emphasis, with one form of each quotation mark, dash and digit; `⁵` is `^5`."""
    text = _EMPHASIS.sub(lambda found: found[2] or found[3], text.translate(_OWNED))
    text = _FRACTION.sub(lambda found: " " + unicodedata.normalize("NFKC", found.group()), text)
    text = _RAISED.sub(lambda found: "^" + found.group().translate(_SUPERSCRIPT), text)
    text = unicodedata.normalize("NFKC", text).lower().translate(_FOLDED)
    if not text.isascii():
        text = "".join(_digit(character) for character in text)
    return text


def is_unspaced(text: str) -> bool:
    """Whether `text` contains a character of a script without spaces."""
    return _UNSPACED.search(text) is not None


_UNSPACED = re.compile(f"[{WORD_PER_CHARACTER}]")


def _digit(character: str) -> str:
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)
