"""Turns text into index terms, in the same way for passages and queries."""

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum

import tantivy

from questwell.text.scripts import IN_BIGRAMS
from questwell.text.unicode import without_surrogates

LONGEST_TERM = 80
"""Maximum length of a term in bytes; longer terms are noise and would bloat the dictionary."""
ANALYSIS = 1
"""Version of the analysis; increase it if a text would give different terms, so that older indexes are refused."""

# NFKD separates these marks from their letters. In other scripts combining marks are vowels and are kept.
DROPPED_MARKS = re.compile("[\u0300-\u036f\u0640\u064b-\u0652\u0670]")
"""Accents of Latin, Greek and Cyrillic letters; vowel signs and stretching marks of Arabic."""
SIGNS = re.compile(r"(?<=\w)(?:\+\+|#)(?!\w)")
"""Signs that are part of a name, as in C++ and C#."""
SIGN_NAMES = {"++": " plusplus ", "#": " sharp "}
SPACELESS_RUN = re.compile(f"[{IN_BIGRAMS}]+")

_STOP = """
a an and are as at be been but by did do does for had has have if in into is it no not of on or such that the their then
there these they this to was were which whom whose will with
"""
_ASKING = "how what when where which who whom whose why"
_AROUND = "can could many much name s would year"
STOP_WORDS = frozenset(_STOP.split())
"""Words that are not searched for next to others: Lucene's list for English, forms of its verbs, relative pronouns."""
ASKING = frozenset(_ASKING.split())
"""Words with which a question begins."""
AROUND = frozenset(_AROUND.split()) | ASKING | STOP_WORDS
"""Words at the beginning of a question that ask, and say nothing about its subject."""


class Analyzer(StrEnum):
    """How words become terms. Both analysers fold case and accents, and cut scripts without spaces into bigrams."""

    EN = "en"
    """With English stemming."""
    MULTI = "multi"
    """Without stemming, for any language."""


class Terms:
    """Analyses texts with one analyser."""

    def __init__(self, kind: Analyzer) -> None:
        self.tantivy = (
            _folding().filter(tantivy.Filter.stemmer("english")) if kind is Analyzer.EN else _folding()
        ).build()
        """The analyser to register with an index; it expects text that was passed through `prepare`."""
        self._words = _folding().build() if kind is Analyzer.EN else None
        """The same without stemming; None if no word of a query is dropped."""

    def of(self, text: str) -> list[str]:
        """Terms of `text` in order, with repeats."""
        return self.tantivy.analyze(prepare(text))

    def of_query(self, query: str) -> list[str]:
        """Terms to search for: those of `query` without English stop words and the beginning of a question.

        Few passages contain "what" or "which", so they would count as much as a name. If nothing else is left, every
        term is kept: "The Who".
        """
        if self._words is None:
            return self.of(query)
        prepared = prepare(query)
        words, terms = self._words.analyze(prepared), self.tantivy.analyze(prepared)
        start = _question_words(words)
        kept = [term for word, term in zip(words[start:], terms[start:], strict=True) if word not in STOP_WORDS]
        return kept or terms

    def of_name(self, name: str) -> list[str]:
        """Terms of a name without English stop words; empty if there are only such words."""
        if self._words is None:
            return self.of(name)
        prepared = prepare(name)
        pairs = zip(self._words.analyze(prepared), self.tantivy.analyze(prepared), strict=True)
        return [term for word, term in pairs if word not in STOP_WORDS | ASKING]


def _folding() -> tantivy.TextAnalyzerBuilder:
    """Return the builder of an analyser that splits words and folds case and accents."""
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(LONGEST_TERM))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
    )


def _question_words(words: Sequence[str]) -> int:
    """Return the number of words at the beginning that only ask: "In which year was". Titles are left whole.

    A single one may begin a title ("When Harry Met Sally"), and "who" after another word may be a name.
    """
    if not (words[:1] and (words[0] in ASKING or set(words[1:2]) & {"which", "what", "whose", "whom"})):
        return 0
    count = next((at for at, word in enumerate(words) if word not in AROUND), len(words))
    return count if count > 1 else 0


def prepare(text: str) -> str:
    """`text` with signs spelled out, compatibility forms and accents folded, and scripts without spaces as bigrams.

    tantivy's tokenizer does the rest; without bigrams it would take such a script's text for one word. Lone surrogates
    become U+FFFD.
    """
    if "#" in text or "++" in text:
        text = SIGNS.sub(lambda sign: SIGN_NAMES[sign.group()], text)
    if text.isascii():
        return text
    text = without_surrogates(text)
    text = unicodedata.normalize("NFC", DROPPED_MARKS.sub("", unicodedata.normalize("NFKD", text)))
    return SPACELESS_RUN.sub(_bigrams, text)


def _bigrams(run: re.Match[str]) -> str:
    text = run.group()
    if len(text) == 1:
        return f" {text} "
    return " " + " ".join(text[start : start + 2] for start in range(len(text) - 1)) + " "
