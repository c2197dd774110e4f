"""Turns text into index terms, in the same way for passages and queries."""

import re
import unicodedata
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


class Analyzer(StrEnum):
    """How words become terms. Both analysers fold case and accents, and cut scripts without spaces into bigrams."""

    EN = "en"
    """With English stemming."""
    MULTI = "multi"
    """Without stemming, for any language."""


class Terms:
    """Analyses texts with one analyser."""

    def __init__(self, kind: Analyzer) -> None:
        builder = (
            tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
            .filter(tantivy.Filter.remove_long(LONGEST_TERM))
            .filter(tantivy.Filter.lowercase())
            .filter(tantivy.Filter.ascii_fold())
        )
        if kind is Analyzer.EN:
            builder = builder.filter(tantivy.Filter.stemmer("english"))
        self.tantivy = builder.build()
        """The analyser to register with an index; it expects text that was passed through `prepare`."""

    def of(self, text: str) -> list[str]:
        """Terms of `text` in order, with repeats."""
        return self.tantivy.analyze(prepare(text))


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
