"""Comparing a short answer with the reference: normalisation, exact match, token F1."""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@lru_cache(maxsize=8192)
def normalise(text: str) -> str:
    """`text` in lower case without punctuation, articles and extra spaces.

    The rules of the SQuAD evaluation (Rajpurkar et al. 2016, arXiv:1606.05250), after Unicode NFKC, so that
    full-width and composed forms compare equal.
    """
    lowered = unicodedata.normalize("NFKC", text).lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", lowered).split())


def exact_match(answer: str, references: Iterable[str]) -> bool:
    """Whether `answer` equals one of `references` after normalisation; an empty answer never does."""
    normalised = normalise(answer)
    return bool(normalised) and any(normalised == normalise(reference) for reference in references)


def f1(answer: str, reference: str) -> float:
    """Harmonic mean of token precision and recall after normalisation, in [0, 1]; 0 when either is empty."""
    ours, theirs = normalise(answer).split(), normalise(reference).split()
    common = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * common / (len(ours) + len(theirs)) if common else 0.0


def contains(text: str, answer: str) -> bool:
    """Whether the words of `answer` stand in `text`, in order and side by side, after normalisation.

    Scripts without spaces are compared as plain substrings: their words cannot be told apart here. Numbers must be the
    same: normalised, "3.5" reads like "35".
    """
    needle, haystack = normalise(answer), normalise(text)
    if not needle or not numbers(answer) <= numbers(text):
        return False
    if needle.isascii():
        return f" {needle} " in f" {haystack} "
    return needle in haystack


def numbers(text: str) -> frozenset[str]:
    """The numbers written in digits in `text`, without thousands separators and leading zeros."""
    folded = unicodedata.normalize("NFKC", text)
    return frozenset(_plain(match) for match in _NUMBER.findall(folded))


def _plain(number: str) -> str:
    grouped = re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", number)
    plain = number.replace(",", "") if grouped else number
    return plain.lstrip("0") or "0"
