"""Exact match and F1 by SQuAD's rules, as in published results. Only for reporting, because the rules lose meaning.

"C++" equals "C" here, and "-40" equals "40". Verdicts, rewards and duplicates use `scoring/answers.py`.
Languages written without spaces are compared by characters, as in MLQA's evaluation (Lewis et al. 2020,
arXiv:1910.07475).
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from questwell.text.scripts import WORD_PER_CHARACTER

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PIECE = re.compile(rf"[{WORD_PER_CHARACTER}]|[^\s{WORD_PER_CHARACTER}]+")


@lru_cache(maxsize=8192)
def squad_tokens(text: str) -> tuple[str, ...]:
    """The tokens of `text` in lower case without punctuation and articles.

    The rules of the SQuAD evaluation (Rajpurkar et al. 2016, arXiv:1606.05250), after Unicode NFKC, so that
    full-width and composed forms compare equal; punctuation of every script counts as such, and so do a minus sign and
    marks that are not seen, such as those of the direction of writing.
    """
    folded = unicodedata.normalize("NFKC", text).lower()
    kept = "".join(character for character in folded if not _is_punctuation(character))
    return tuple(_PIECE.findall(_ARTICLES.sub(" ", kept)))


def exact_match(answer: str, references: Iterable[str]) -> bool:
    """Whether `answer` has the tokens of one of `references`; an empty answer never does."""
    tokens = squad_tokens(answer)
    return bool(tokens) and any(tokens == squad_tokens(reference) for reference in references)


def f1(answer: str, reference: str) -> float:
    """Harmonic mean of token precision and recall, in [0, 1]; 0 if a text has no tokens."""
    ours, theirs = squad_tokens(answer), squad_tokens(reference)
    common = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * common / (len(ours) + len(theirs)) if common else 0.0


def _is_punctuation(character: str) -> bool:
    if character.isascii():
        return character in string.punctuation
    return character == "\u2212" or unicodedata.category(character).startswith(("P", "Cf"))
