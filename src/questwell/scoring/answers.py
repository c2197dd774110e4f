"""Compares texts by their words: whether they are equal or one contains the other. For verdicts, leaks and duplicates.

Nothing with a meaning is removed (`scoring/words.py`). Whether different words mean the same is left to a judge.
"""

import re
from collections.abc import Iterable

from questwell.scoring.signs import signs
from questwell.scoring.words import words

_ARTICLES = frozenset({"a", "an", "the"})
_NUMERALS = re.compile("[〇零一二三四五六七八九十百千万萬億亿]{2,}")
_HANGUL = re.compile("[\uac00-\ud7a3]+")


def normalise(text: str) -> str:
    """The words of `text` with single spaces; equal for texts that differ only in case and punctuation."""
    return " ".join(words(text))


def same(answer: str, references: Iterable[str]) -> bool:
    """Whether `answer` has the same words and signs as one of `references`; an answer without a word never does."""
    given = words(answer)
    return bool(given) and any(given == words(one) and signs(answer) == signs(one) for one in references)


def matches(answer: str, references: Iterable[str]) -> bool:
    """Like `same`, but ignores a leading article; for use without a judge. "The A" is "A", but "A" is not empty."""
    given = _bare(answer)
    return bool(given) and any(given == _bare(reference) for reference in references)


def contains(text: str, answer: str) -> bool:
    """Whether `text` contains the words of `answer`, in order and next to each other.

    Korean appends particles to a word, so in Korean the last word may continue.
    """
    needle, haystack = words(answer), words(text)
    if not needle:
        return False
    *first, last = needle
    goes_on = _HANGUL.fullmatch(last) is not None
    length = len(needle)
    return any(
        list(haystack[at : at + length - 1]) == first
        and (haystack[at + length - 1] == last or (goes_on and haystack[at + length - 1].startswith(last)))
        for at in range(len(haystack) - length + 1)
    )


def numbers(text: str) -> frozenset[str]:
    """The numbers in `text` in digits, without thousands separators and leading zeros, or in Chinese numerals.

    A single Chinese numeral does not count: 一 is also "a".
    """
    digits = (word.lstrip("0") or "0" for word in words(text) if word.lstrip("+-")[:1].isdigit())
    return frozenset((*digits, *_NUMERALS.findall(text)))


def _bare(text: str) -> tuple[str, ...]:
    found = words(text)
    return found[1:] if len(found) > 1 and found[0] in _ARTICLES else found
