"""Detects the language of questions by script and function words."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from questwell.scoring.functional import is_english
from questwell.scoring.words import words

_SCRIPTS = {
    "ja": re.compile("[\u3040-\u30ff]"),  # before Chinese, since Japanese also uses Han characters
    "zh": re.compile("[\u3400-\u4dbf\u4e00-\u9fff]"),
    "ko": re.compile("[\uac00-\ud7af\u1100-\u11ff]"),
    "th": re.compile("[\u0e00-\u0e7f]"),
    "el": re.compile("[\u0370-\u03ff]"),
    "he": re.compile("[\u0590-\u05ff]"),
}
"""Scripts that (almost) only one language uses; Cyrillic, Arabic and Devanagari are not among them."""
_ENGLISH_SHARE = 0.25
"""Minimum share of function words: English questions have 40 to 60 %, other Latin-script languages below 15 %."""


def language_of(text: str) -> str | None:
    """Return the ISO 639-1 code of the language of `text`; None if it is unclear."""
    letters = [char for char in text if char.isalpha()]
    for code, script in _SCRIPTS.items():
        share = 0.2 if code == "ja" else 0.5
        if letters and len(script.findall(text)) > share * len(letters):
            return code
    found = words(text)
    return "en" if found and sum(map(is_english, found)) >= _ENGLISH_SHARE * len(found) else None


def languages(texts: Iterable[str], least: float = 0.05) -> tuple[str, ...]:
    """Return the languages of at least the share `least` of `texts`, most frequent first; empty if mostly unclear."""
    return frequent(Counter(map(language_of, texts)), least)


def frequent(counts: Mapping[str | None, int], least: float = 0.05) -> tuple[str, ...]:
    """Return the languages of at least the share `least` of all texts, from the number of texts by language."""
    every = sum(counts.values())
    known = {code: count for code, count in counts.items() if code is not None}
    if 2 * sum(known.values()) <= every:
        return ()
    ranked = sorted(known, key=lambda code: (-known[code], code))
    return tuple(code for code in ranked if known[code] >= least * every)
