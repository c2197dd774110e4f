"""Compares names: which gives away another ("Albanian Parliament" for Albania), and which answers are the same."""

import difflib
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from questwell.scoring.answers import contains, matches, normalise

_SHORT = 3
"""Minimum letters of a meaningful word; shorter ones are articles and prepositions in most languages."""
_ALIKE = 0.6
"""Minimum similarity at which two words with the same beginning count as related: "France", "French"."""


_JOINING = frozenset({"and", "the", "for", "von", "del"})
"""Words of a name that carry no meaning."""


@lru_cache(maxsize=65536)
def tells(clue: str, hidden: str) -> bool:
    """Return whether `clue` gives away `hidden`: by a related word, by most of its words, or by its initials.

    Accents and letter case are ignored. Many names share words such as "Corporation", so the shared words must be
    more than half of the hidden name.
    """
    given, wanted = words_of(clue), words_of(hidden)
    if any(_formed(one, other) for one in given for other in wanted):
        return True
    saying = [word for word in wanted if word not in _JOINING]
    if saying and 2 * sum(word in given for word in saying) > len(saying):
        return True
    return bool({_initials(clue), _bare(clue)} & {_initials(hidden), _bare(hidden)} - {""})


def _formed(one: str, other: str) -> bool:
    """Return whether two different words seem to be forms of one word."""
    if one == other:
        return False
    common = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    shorter = min(len(one), len(other))
    if common == shorter or (common >= _SHORT and 2 * common >= shorter):
        return True
    return common > 1 and difflib.SequenceMatcher(None, one, other, autojunk=False).ratio() >= _ALIKE


def alike(one: str, other: str) -> bool:
    """Return whether two folded words are the same or seem to be forms of one word: "opened", "opening"."""
    return one == other or {one, other} in _IRREGULAR or _formed(one, other)


_IRREGULAR = ({"born", "birth"}, {"died", "death"}, {"dead", "death"}, {"long", "length"}, {"wide", "width"})


def words_of(name: str) -> tuple[str, ...]:
    """Return the meaningful words of a name, folded."""
    return tuple(word for word in re.findall(r"[^\W_]+", _folded(name)) if len(word) >= _SHORT)


def _folded(name: str) -> str:
    """Return the text in lower case, without accents."""
    parts = unicodedata.normalize("NFKD", name.casefold())
    return "".join(character for character in parts if not unicodedata.combining(character))


def _initials(name: str) -> str:
    """Return the initials of the capitalised words if there are three or more; else an empty string."""
    found = re.findall(r"(?<!\w)[^\W\d_]", name)
    capitals = [letter for letter in found if letter.isupper()]
    return _folded("".join(capitals)) if len(capitals) > 2 else ""


def _bare(name: str) -> str:
    return re.sub(r"\W", "", _folded(name)) if " " not in name.strip() else ""


def agrees(found: str, references: Sequence[str]) -> bool:
    """Return whether a short answer matches a reference; a few extra words or a missing title are accepted."""
    wanted, bare = references[0], normalise(found)
    untitled = " " in bare and normalise(wanted).endswith(f" {bare}")
    return untitled or matches(found, references) or (contains(found, wanted) and len(found) < 2 * len(wanted) + 8)
