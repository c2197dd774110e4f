"""Cuts documents into passages of about 100 words at sentence ends, in linear time and in any script.

Lines that are units of their own (`lines.py`) are not cut, and a heading stays with the text after it. No passage has
more than `LONGEST` words.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from questwell.retrieval.corpora.documents import Document
from questwell.retrieval.corpora.lines import Kind, blocks
from questwell.retrieval.corpora.sentences import sentences
from questwell.text.scripts import COUNTED_AS_WORDS
from questwell.types.corpus import Passage

TARGET = 100.0
"""Target length of a passage in words; retrieval corpora of this field use it (DPR's Wikipedia)."""
LONGEST = 1.6 * TARGET
"""Maximum length of a passage in words."""
WHOLE = 1.4 * TARGET
"""Maximum length of a sentence or line in words; a longer one is cut. With a heading it still fits a passage."""
HEADING = LONGEST - WHOLE
"""Maximum length of a heading in words, so that it fits a passage with the text after it."""
CUT_FROM = 0.8 * TARGET
"""A sentence that is too long is cut at the first white space after this many words."""
SHORTEST = 0.3 * TARGET
"""Minimum length of a document's last passage in words; a shorter one is joined with the passage before it."""
CJK_WORD = 0.6
"""Number of words that one character counts as in scripts with few or no spaces."""
WORD = re.compile(rf"(?P<spaceless>[{COUNTED_AS_WORDS}])|[^\W{COUNTED_AS_WORDS}]{{1,40}}|(?P<mark>[^\w\s]{{1,40}})")
"""A word, capped at 40 characters, so that a text without spaces is long and not one word."""
SPACELESS = re.compile(rf"[{COUNTED_AS_WORDS}]")
LETTERS, MARK = re.compile(r"\w{1,40}"), re.compile(r"[^\w\s]")
"""Words and marks of a text in scripts with spaces."""
MARKS_PER_WORD = 8
"""Number of punctuation marks that count as one word, so that a text of only marks is cut too."""

NUMBERED = re.compile(r"#\d+\Z")


class Span(NamedTuple):
    """A part of a text: the characters from `start` to `end`, which count as `words` words."""

    start: int
    end: int
    words: float
    heading: bool = False
    """Whether the part is a heading of the next part."""


def passages_of(document: Document) -> Iterator[Passage]:
    """The passages of a document in order."""
    spans = split(document.text)
    for ordinal, span in enumerate(spans):
        text = document.text[span.start : span.end]
        yield Passage(
            id=passage_id(document.id, ordinal, alone=len(spans) == 1),
            title=document.title,
            text=text,
            document_id=document.id,
            offset=span.start,
            licence=document.licence,
            links=tuple(name for name in document.links if _names(name, text)),
            metadata=document.metadata,
        )


def passage_id(document_id: str, ordinal: int, *, alone: bool) -> str:
    """The document's id if it has one passage (`paris`), otherwise the id and a number (`paris#0`, `paris#1`).

    An id that itself ends like a passage id always gets a number, so that no two passages share an id.
    """
    return document_id if alone and not NUMBERED.search(document_id) else f"{document_id}#{ordinal}"


def document_of(passage_id: str) -> str:
    """The id of the document that the passage with this id was cut from."""
    return NUMBERED.sub("", passage_id)


def split(text: str) -> list[Span]:
    """Parts of about `TARGET` words that end with a sentence or line, without white space around them."""
    passages: list[Span] = []
    open_: Span | None = None
    for piece in _with_headings(_pieces(text)):
        if open_ is None:
            open_ = piece
        elif _is_full(open_, piece):
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
    """Number of words in `text`; a character of a script without spaces counts as `CJK_WORD`."""
    return sum(map(_weight, WORD.finditer(text)))


def _is_full(passage: Span, piece: Span) -> bool:
    """Whether `piece` begins a new passage because `passage` would get too long or `piece` is its own section."""
    begins = piece.heading and passage.words >= TARGET / 2
    return begins or passage.words + piece.words / 2 > TARGET or passage.words + piece.words > LONGEST


def _with_headings(pieces: Iterator[Span]) -> Iterator[Span]:
    """The pieces, each joined with the headings directly before it."""
    held: Span | None = None
    for piece in pieces:
        if held is not None and held.words + piece.words > LONGEST:
            yield held
            held = None
        joined = _join(held, piece) if held is not None else piece
        if piece.heading:
            held = joined
        else:
            yield joined
            held = None
    if held is not None:
        yield held


def _pieces(text: str) -> Iterator[Span]:
    """Sentences, and lines that are units of their own. Long ones are cut at line ends, then between words."""
    for kind, first, last in blocks(text):
        if kind is Kind.HEADING and (words := _words(text, first, last)) <= HEADING:
            yield Span(first, last, words, heading=True)
        elif kind is not Kind.PROSE and (words := _words(text, first, last)) <= WHOLE:
            yield Span(first, last, words)
        else:
            for start, end in sentences(text, first, last):
                yield from _short_enough(text, start, end)


def _short_enough(text: str, start: int, end: int) -> Iterator[Span]:
    if (total := _words(text, start, end)) <= WHOLE:
        yield Span(start, end, total)
        return
    at = start
    for line in text[start:end].split("\n"):
        if line.strip():
            begin, stop = at + len(line) - len(line.lstrip()), at + len(line.rstrip())
            words = list(WORD.finditer(text, begin, stop))
            total = sum(map(_weight, words))
            yield from [Span(begin, stop, total)] if total <= WHOLE else _cut(text, words, begin, stop)
        at += len(line) + 1


def _cut(text: str, words: list[re.Match[str]], start: int, end: int) -> Iterator[Span]:
    """Parts of one long line, cut at white space if there is any, but never between a letter and its accent."""
    held = 0.0
    for word in words:
        stop = word.start()
        spaced = text[stop - 1].isspace()
        if held >= CUT_FROM and (spaced or held >= TARGET) and (spaced or not _belongs(text[stop])):
            yield Span(start, stop - (len(text[start:stop]) - len(text[start:stop].rstrip())), held)
            start, held = stop, 0.0
        held += _weight(word)
    yield Span(start, end, held)


def _belongs(char: str) -> bool:
    """Whether `char` is part of the letter before it, such as an accent or a vowel sign."""
    return unicodedata.category(char)[0] == "M"


def _words(text: str, start: int, end: int) -> float:
    piece = text[start:end]
    if piece.isascii() or SPACELESS.search(piece) is None:  # gives the same number in a third of the time
        return len(LETTERS.findall(piece)) + len(MARK.findall(piece)) / MARKS_PER_WORD
    return sum(map(_weight, WORD.finditer(piece)))


def _join(first: Span, second: Span) -> Span:
    return Span(first.start, second.end, first.words + second.words, first.heading)


def _weight(word: re.Match[str]) -> float:
    if word["spaceless"]:
        return CJK_WORD
    if word["mark"]:
        return (word.end() - word.start()) / MARKS_PER_WORD
    return 1.0


def _names(name: str, text: str) -> bool:
    """Whether `text` contains `name` as a whole word."""
    start = text.find(name)
    while start >= 0:
        end = start + len(name)
        if not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()):
            return True
        start = text.find(name, start + 1)
    return False
