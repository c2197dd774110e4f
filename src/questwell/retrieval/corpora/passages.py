"""Documents cut into passages of about 100 words at sentence ends, in linear time, in any script."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from questwell.retrieval.corpora.documents import Document
from questwell.types.corpus import Passage

TARGET = 100.0
"""Words of a passage; the size that retrieval corpora of this field use (DPR's Wikipedia)."""
LONGEST = 1.6 * TARGET
"""Words in one sentence above which it is cut between words."""
SHORTEST = 0.3 * TARGET
"""Words in a document's last passage below which it joins the one before."""
CJK_WORD = 0.6
"""Words that a Han, Kana or Hangul character counts as: these scripts put few or no spaces."""
SPACELESS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f\u0e00-\u0eff"
"""Han, Kana, Hangul, Thai, Lao."""

WORD = re.compile(rf"(?P<spaceless>[{SPACELESS}])|[^\W{SPACELESS}]{{1,40}}|(?P<mark>[^\w\s]{{1,40}})")
"""A word, capped at 40 characters, so that a text without spaces is long and not one word."""
MARKS_PER_WORD = 8
"""Punctuation marks that count as one word, so that a text of nothing else is cut too."""

# Possessive, and anchored at the start of a run: backtracking over a run of a million dots would be quadratic.
SENTENCE_END = re.compile(
    r"""(?<![.!?…؟۔।])[.!?…؟۔।]++["'”’»)\]]*+(?=\s)"""  # then white space, then what `_starts_sentence` accepts
    r"""|[。！？｡]++[」』”’）]*+"""
    r"""|\n(?=[^\S\n]*+\n)"""  # blank line
    r"""|\n(?=[^\S\n]*+(?:[-*•#]|\d{1,3}[.)])[^\S\n])"""  # item of a list, heading
)
CERTAIN_ENDS = "\n。！？｡"
"""Marks that end a sentence whatever follows."""
WRITTEN_SHORT = """
    mr mrs ms dr prof sr jr st mt ft gen col lt sgt capt cmdr rev hon gov sen rep pres messrs mme
    etc eg ie cf vs viz al ca approx est no nos vol pp fig figs eq sec ch ed eds dept univ inst assoc
    inc ltd co corp bros jan feb apr jun jul aug sep sept oct nov dec
"""
ABBREVIATIONS = frozenset(WRITTEN_SHORT.split())
LAST_WORD = re.compile(r"([^\W\d_](?:[\w.]*[^\W_])?)$")
LOOK_BACK = 24
"""Characters before a full stop that are looked at for an abbreviation."""


class Span(NamedTuple):
    """A stretch of a text: characters from `start` to `end`, worth `words`."""

    start: int
    end: int
    words: float


def passages_of(document: Document) -> Iterator[Passage]:
    """Passages of a document in order; ids are the document's id and an ordinal."""
    for ordinal, span in enumerate(split(document.text)):
        text = document.text[span.start : span.end]
        yield Passage(
            id=f"{document.id}#{ordinal}",
            title=document.title,
            text=text,
            document_id=document.id,
            offset=span.start,
            licence=document.licence,
            links=tuple(name for name in document.links if _names(name, text)),
            metadata=document.metadata,
        )


def split(text: str) -> list[Span]:
    """Stretches of about `TARGET` words that end with a sentence, without white space around them."""
    passages: list[Span] = []
    open_: Span | None = None
    for piece in _pieces(text):
        if open_ is None:
            open_ = piece
        elif open_.words + piece.words / 2 > TARGET:
            passages.append(open_)
            open_ = piece
        else:
            open_ = _join(open_, piece)
    if open_ is not None:
        if passages and open_.words < SHORTEST and passages[-1].words + open_.words <= LONGEST:
            open_ = _join(passages.pop(), open_)
        passages.append(open_)
    return passages


def count_words(text: str) -> float:
    """Words of `text`, a character of a script without spaces being a part of one."""
    return sum(map(_weight, WORD.finditer(text)))


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence, in characters, without white space around it."""
    start = 0
    for end in _sentence_ends(text):
        if (trimmed := _trim(text, start, end)) is not None:
            yield trimmed
        start = end
    if (trimmed := _trim(text, start, len(text))) is not None:
        yield trimmed


def _pieces(text: str) -> Iterator[Span]:
    """Sentences, those that are too long cut between words."""
    for start, end in sentences(text):
        words = list(WORD.finditer(text, start, end))
        total = sum(map(_weight, words))
        if total <= LONGEST:
            yield Span(start, end, total)
        else:
            yield from _cut(words, start, end)


def _cut(words: list[re.Match[str]], start: int, end: int) -> Iterator[Span]:
    held = 0.0
    for word in words:
        if held >= TARGET:
            stop = word.start()
            yield Span(start, stop, held)
            start, held = stop, 0.0
        held += _weight(word)
    yield Span(start, end, held)


def _join(first: Span, second: Span) -> Span:
    return Span(first.start, second.end, first.words + second.words)


def _weight(word: re.Match[str]) -> float:
    if word["spaceless"]:
        return CJK_WORD
    if word["mark"]:
        return (word.end() - word.start()) / MARKS_PER_WORD
    return 1.0


def _sentence_ends(text: str) -> Iterator[int]:
    for found in SENTENCE_END.finditer(text):
        certain = found.group()[0] in CERTAIN_ENDS
        if certain or (_starts_sentence(text, found.end()) and not _abbreviates(text, found)):
            yield found.end()


def _starts_sentence(text: str, end: int) -> bool:
    """Whether what follows the white space at `end` is no lower-case word."""
    following = text[end : end + LOOK_BACK].lstrip()
    return not following[:1].islower()


def _abbreviates(text: str, stop: re.Match[str]) -> bool:
    """Whether a single full stop belongs to the word before it: `e.g.`, `U.S.`, `Dr.`, an initial."""
    if stop.group() != ".":
        return False
    last = LAST_WORD.search(text[max(0, stop.start() - LOOK_BACK) : stop.start()])
    if last is None:
        return False
    word = last[1]
    initial = len(word) == 1 and word.isupper()
    return initial or "." in word or word.lower() in ABBREVIATIONS


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    right = len(piece.rstrip())
    return (start + left, start + right) if left < right else None


def _names(name: str, text: str) -> bool:
    """Whether `name` stands in `text` as a whole word."""
    start = text.find(name)
    while start >= 0:
        end = start + len(name)
        if not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()):
            return True
        start = text.find(name, start + 1)
    return False
