"""Scripts that are written with few or no spaces between words, as ranges for a character class in a pattern.

There are several sets because each decides something else, and most are in files that users keep: a change of
`IN_BIGRAMS` would give other index terms, one of `COUNTED_AS_WORDS` other passages and so other passage ids.
"""

_KANA = "\u3040-\u30ff"
_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_HANGUL = "\uac00-\ud7af"
_THAI_LAO = "\u0e00-\u0eff"

IN_BIGRAMS = f"{_KANA}{_HAN}{_HANGUL}\uf900-\ufaff\U00020000-\U0003134f{_THAI_LAO}"
"""Han, Kana, Hangul, Thai, Lao: indexed as pairs of characters."""

COUNTED_AS_WORDS = f"{IN_BIGRAMS}\u1000-\u109f\u1780-\u17d3"
"""Those, Burmese and Khmer: where a passage is cut, each character counts as part of a word."""

WORD_PER_CHARACTER = (
    f"{_THAI_LAO}\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    f"\u31f0-\u31ff{_HAN}\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, Kana, Han: where answers are compared, each character is a word.

Without Hangul, for Korean is written with spaces, and without the punctuation among Kana."""

CJK = f"{_KANA}{_HAN}{_HANGUL}\U00020000-\U0003ffff"
"""Kana, Han, Hangul: in the text search over a run, and where an endpoint's token count is checked."""
