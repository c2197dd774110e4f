"""Finds lines of a text that are units of their own: headings, table rows, code, `name: value`. The rest is prose.

A hard-wrapped paragraph has line ends too, so a line is a unit only if its form shows it.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto

HEADING = re.compile(r"[ ]{0,3}#{1,6}[ \t]+\S")
UNDERLINE = re.compile(r"[ ]{0,3}([=\-~^])\1{2,}[ \t]*\Z")
FENCE = re.compile(r"[ ]{0,3}(?:```|~~~)")
ROW = re.compile(r"[ \t]*\|.*\||[^|\n]*\S[ \t]*\|[^|\n]*\|[^\n]*\S|[^\t\n]*\S\t+\S")
"""A table row: cells between bars or tabs."""
CODE = re.compile(
    r"(?:[ ]{4}|\t)[ \t]*(?:\S.*[{};\\]\Z|(?:def|class|return|import|from|if|for|while|else)\b|\S+[ ]?[=(<])"
)
PAIR = re.compile(r"[ \t]*(?:[-*•][ \t]+)?\w[^:.!?\n]{0,60}:[ \t]+\S")
SPECIAL = re.compile(r"[|\t#`~]|:[ \t]|\A[ ]{4}|\A[ ]{0,3}[=\-~^]{3}")
"""A line without any of these is prose, or the first line of an underlined heading."""
LONGEST_HEADING = 200
"""Maximum number of characters of a heading."""


class Kind(Enum):
    """The kind of a part of a text."""

    PROSE = auto()
    """Running text, which is cut at sentence ends."""
    LINE = auto()
    """One line, which is cut only if it is too long."""
    HEADING = auto()
    """A heading or the marks under it; it stays with the text after it."""


def blocks(text: str) -> Iterator[tuple[Kind, int, int]]:
    """(kind, start, end) of the parts of `text` in order, in characters. A part of prose may have many lines."""
    if "\n" not in text:
        yield Kind.PROSE, 0, len(text)
        return
    lines = text.split("\n")
    kinds = _kinds(lines)
    start = at = 0
    for line, kind in zip(lines, kinds, strict=True):
        end = at + len(line)
        if kind is not None:
            if start < at:
                yield Kind.PROSE, start, at
            if line.strip():
                yield kind, at + len(line) - len(line.lstrip()), at + len(line.rstrip())
            start = end + 1
        at = end + 1
    if start < len(text):
        yield Kind.PROSE, start, len(text)


def _kinds(lines: list[str]) -> list[Kind | None]:
    """The kind of each line; None for prose."""
    fenced = False
    kinds: list[Kind | None] = []
    special = [SPECIAL.search(line) is not None for line in lines]
    pairs = [held and PAIR.match(line) is not None for line, held in zip(lines, special, strict=True)]
    for number, line in enumerate(lines):
        if not (fenced or special[number] or (number + 1 < len(lines) and special[number + 1])):
            kinds.append(None)
            continue
        fence = FENCE.match(line) is not None
        fenced = fenced != fence
        if fence or fenced or _stands_alone(lines, pairs, number):
            kinds.append(Kind.LINE)
        elif _heads(lines, number) or (number and kinds[-1] is Kind.HEADING and UNDERLINE.match(line)):
            kinds.append(Kind.HEADING)
        else:
            kinds.append(None)
    return kinds


def _stands_alone(lines: list[str], pairs: list[bool], number: int) -> bool:
    line = lines[number]
    neighbour = (pairs[number - 1] if number else False) or (number + 1 < len(lines) and pairs[number + 1])
    return bool(ROW.match(line) or CODE.match(line)) or (pairs[number] and neighbour)


def _heads(lines: list[str], number: int) -> bool:
    """Whether a line is a heading: it begins with `#`, or it follows a blank line and is underlined."""
    line = lines[number]
    if len(line) > LONGEST_HEADING:
        return False
    if HEADING.match(line):
        return True
    under = lines[number + 1] if number + 1 < len(lines) else ""
    free = not number or not lines[number - 1].strip()
    return free and bool(line.strip()) and UNDERLINE.match(under) is not None and not UNDERLINE.match(line)
