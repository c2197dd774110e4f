"""Finds sentence ends in any script, in linear time."""

import re
from collections.abc import Iterator

FOOTNOTES = r"(?:\[[^\[\]\n]{1,20}\]|[¹²³⁰-⁹])*+"
"""Footnote marks directly after a sentence end: `[1]`, `[citation needed]`, `¹`."""
# The quantifiers are possessive and anchored at the start of a run: backtracking over a million dots is quadratic.
# The pattern begins with a set of characters, so that the search jumps from one of them to the next.
SENTENCE_END = re.compile(
    r"""[.!?…؟۔。！？｡।॥။។៕።\n](?:"""
    rf"""(?<=[.!?…؟۔])(?<![.!?…؟۔]{{2}})[.!?…؟۔]*+["'”’»)\]]*+{FOOTNOTES}(?=\s)"""  # then `_starts_sentence`
    rf"""|(?<=[。！？｡।॥။។៕።])[。！？｡।॥။។៕።]*+[」』”’）"')]*+{FOOTNOTES}"""
    r"""|(?<=\n)(?=[^\S\n]*+\n)"""  # blank line
    r"""|(?<=\n)(?=[^\S\n]*+(?:[-*•#]|\d{1,3}[.)])[^\S\n]))"""  # item of a list, heading
)
CERTAIN_ENDS = "\n。！？｡।॥။។៕።"
"""Marks that always end a sentence, of Chinese, Japanese, Hindi, Burmese, Khmer and Amharic."""
WRITTEN_SHORT = """
    mr mrs ms dr prof sr jr st mt ft gen col lt sgt capt cmdr rev hon gov sen rep pres messrs mme
    etc eg ie cf vs viz al ca approx est no nos vol pp fig figs eq sec ch ed eds dept univ inst assoc
    inc ltd co corp bros jan feb apr jun jul aug sep sept oct nov dec
    bzw usw ggf evtl vgl nr bd jh jhd hrsg str tel dipl ing geb gest inkl mio mrd sog bspw allg dt engl frz urspr
"""
ABBREVIATIONS = frozenset(WRITTEN_SHORT.split())
LAST_WORD = re.compile(r"([^\W\d_](?:[\w.]*[^\W_])?)$")
ORDINAL = re.compile(r"(?:^|[^\w.])(\w+)\s+\d{1,2}$")
"""A number of one or two digits before a full stop, and the word before it."""
BEFORE_ORDINALS = frozenset(
    ["am", "der", "die", "das", "dem", "den", "des", "im", "vom", "zum", "zur", "ab", "bis", "seit", "jeden", "einem"]
)
"""German words after which `3.` means "third": `am 3. Oktober`, `der 2. Weltkrieg`."""
MONTHS = ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
          "Dezember")  # fmt: skip
LOOK_BACK = 24
"""Number of characters before and after a full stop that are examined for an abbreviation."""


def sentences(text: str, first: int = 0, last: int | None = None) -> Iterator[tuple[int, int]]:
    """(start, end) of each sentence between `first` and `last`, in characters, without white space around it."""
    last = len(text) if last is None else last
    start = first
    for end in _ends(text, first, last):
        if (trimmed := _trim(text, start, end)) is not None:
            yield trimmed
        start = end
    if (trimmed := _trim(text, start, last)) is not None:
        yield trimmed


def _ends(text: str, first: int, last: int) -> Iterator[int]:
    for found in SENTENCE_END.finditer(text, first, last):
        certain = found.group()[0] in CERTAIN_ENDS
        if certain or (_starts_sentence(text, found.end()) and not _abbreviates(text, found)):
            yield found.end()


def _starts_sentence(text: str, end: int) -> bool:
    """Whether the word after the white space at `end` does not begin with a lower-case letter."""
    following = text[end : end + LOOK_BACK].lstrip()
    return not following[:1].islower()


def _abbreviates(text: str, stop: re.Match[str]) -> bool:
    """Whether a full stop belongs to the word before it: `e.g.`, `U.S.`, `Dr.`, `z. B.`, an initial, `3.`."""
    if stop.group() != ".":
        return False
    before = text[max(0, stop.start() - LOOK_BACK) : stop.start()]
    following = text[stop.end() : stop.end() + LOOK_BACK].lstrip()
    if before[-1:].isdigit():
        ordinal = ORDINAL.search(before)
        return ordinal is not None and (ordinal[1].lower() in BEFORE_ORDINALS or following.startswith(MONTHS))
    last = LAST_WORD.search(before)
    if last is None:
        return False
    word = last[1]
    letter = len(word) == 1 and (word.isupper() or following[1:2] == ".")
    return letter or "." in word or word.lower() in ABBREVIATIONS


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    right = len(piece.rstrip())
    return (start + left, start + right) if left < right else None
