"""Whether one name tells another: "Albanian Parliament" in a question whose first step is to find Albania."""

import difflib
import re
import unicodedata
from functools import lru_cache

_SHORT = 3
"""Letters of a word from which it says something; shorter ones are articles and prepositions in most languages."""
_ALIKE = 0.6
"""Similarity from which one of two words that begin alike may be formed from the other: "France", "French"."""


_JOINING = frozenset({"and", "the", "for", "von", "del"})
"""Words of a name that say nothing of it."""


@lru_cache(maxsize=65536)
def tells(clue: str, hidden: str) -> bool:
    """Whether who reads `clue` knows `hidden`: by a word formed from it, by most of its words, or by its initials.

    Accents and letter case do not count. Words that both have may be what many names have ("Corporation"), so they
    must be more than half of what is hidden.
    """
    given, wanted = words_of(clue), words_of(hidden)
    if any(_formed(one, other) for one in given for other in wanted):
        return True
    saying = [word for word in wanted if word not in _JOINING]
    if saying and 2 * sum(word in given for word in saying) > len(saying):
        return True
    return bool({_initials(clue), _bare(clue)} & {_initials(hidden), _bare(hidden)} - {""})


def _formed(one: str, other: str) -> bool:
    """Whether two different words seem to be forms of one word."""
    if one == other:
        return False
    common = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    shorter = min(len(one), len(other))
    if common == shorter or (common >= _SHORT and 2 * common >= shorter):
        return True
    return common > 1 and difflib.SequenceMatcher(None, one, other, autojunk=False).ratio() >= _ALIKE


def alike(one: str, other: str) -> bool:
    """Whether two folded words are the same or seem to be forms of one word: "opened", "opening"."""
    return one == other or {one, other} in _IRREGULAR or _formed(one, other)


_IRREGULAR = ({"born", "birth"}, {"died", "death"}, {"dead", "death"}, {"long", "length"}, {"wide", "width"})


def words_of(name: str) -> tuple[str, ...]:
    """The folded words that say something."""
    return tuple(word for word in re.findall(r"[^\W_]+", _folded(name)) if len(word) >= _SHORT)


def _folded(name: str) -> str:
    """Small letters without accents."""
    parts = unicodedata.normalize("NFKD", name.casefold())
    return "".join(character for character in parts if not unicodedata.combining(character))


def _initials(name: str) -> str:
    """Initials of the words that begin with a capital, if there are three or more; else empty."""
    found = re.findall(r"(?<!\w)[^\W\d_]", name)
    capitals = [letter for letter in found if letter.isupper()]
    return _folded("".join(capitals)) if len(capitals) > 2 else ""


def _bare(name: str) -> str:
    return re.sub(r"\W", "", _folded(name)) if " " not in name.strip() else ""
