"""Picks the values in a passage that may be facts about its subject, strictly, so that few model calls are wasted."""

import re
from dataclasses import dataclass
from functools import lru_cache

from questwell.retrieval.corpora.corpus import subject
from questwell.scoring.answers import contains, normalise
from questwell.staged.events import event
from questwell.staged.spans import is_about, name_weight, names, own_words, spans, stands_alone
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType

_LABEL = re.compile(r"[^:\n.]{1,80}: ")
_CALENDAR = frozenset(
    "january february march april may june july august september october november december "  # noqa: SIM905
    "monday tuesday wednesday thursday friday saturday sunday".split()
)
_GOES_ON = re.compile(
    r"\s*$|\s*[.,;:()\[\]?!\"”—–\n]|\s+(?:and|or|but|in|on|at|for|by|from|to|with|of|as|into|under|over|near|via|"
    r"is|was|are|were|has|had|who|which|that|where|when|while|during|since|until|before|after|between|through|"
    r"\d[\d,.]* (?:k?m|ft|miles|metres|meters)\b)(?![\w-])"
)
_DATED = re.compile(r"[^()\n]{0,60}\(\d{4}|[^.;\n]{0,80}\best\.")
_SERIES = re.compile(r"[^.;\n]{0,30}?[,;]\s[^.;\n]{0,30}?\d")


_PLAIN = 3
"""Below this weight a name is only mentioned, or only says what kind of thing the subject is: "of NAME"."""


@dataclass(frozen=True, slots=True)
class Value:
    """A name, date or number in a passage."""

    text: str
    type: AnswerType
    aliases: tuple[str, ...] = ()
    weight: int = 0
    """How clearly the passage relates the value to its subject; higher is better."""


@lru_cache(maxsize=8192)
def values(passage: Passage) -> tuple[Value, ...]:
    """Return the values that may be facts about the passage's subject, the clearest first.

    Left out: words that only describe another word ("American" in "an American actor"), mere mentions, names of months
    and days, members of a list, words in a line's label, years that only date an estimate, and values of other things.
    """
    about = subject(passage)
    text = own_words(passage.text)
    if text.startswith("1. "):  # several senses under one title
        return ()
    found = [
        Value(name, AnswerType.ENTITY, weight=name_weight(name, text) + (name in passage.links))
        for name in names(passage, about)
        if not _is_calendar(name) and not _same_initials(name, about)
    ]
    for kind in (AnswerType.DATE, AnswerType.NUMBER):
        found += [Value(span.text, kind, span.aliases, span.weight) for span in spans(passage, about, kind)]
    usable = [
        Value(one.text, one.type, one.aliases, one.weight + _told_plainly(one, about, text))
        for one in found
        if _can_be_asked_for(one, text) and is_about(passage, about, one.text) and not contains(passage.title, one.text)
    ]
    return tuple(sorted((one for one in usable if one.weight >= _PLAIN), key=lambda one: -one.weight))


def _told_plainly(value: Value, about: str, text: str) -> int:
    """Return how much clearer a value is than its words say: it fills a field, or something happened on a date."""
    if _fills_a_field(value.text, text):
        return 6
    return 3 * (value.type is AnswerType.DATE and bool(event(text, about, value.text)))


def _can_be_asked_for(value: Value, text: str) -> bool:
    """Return whether the value is a separate thing and alone in its field, on the first line that contains it."""
    found = _occurrences(value.text, text)
    end = text.find("\n", found[0].start()) if found else -1
    return any(_stands_well(value, match, text) for match in found if end < 0 or match.start() < end)


def _stands_well(value: Value, match: re.Match[str], text: str) -> bool:
    before, after = text[: match.start()], text[match.end() :]
    if before.endswith("/") or after.startswith("/"):
        return False
    label = _label(match.start(), text)
    if label is not None and (_is_repeated(label, text) or _is_list(text[len(label) + before.rfind("\n") + 1 :])):
        return False
    if label is not None and match.start() < before.rfind("\n") + len(label):
        return False
    opened = before.rpartition("(")[2]
    if "(" in before and ")" not in opened and not re.match(r"(?:from|by|in|of|at|to|with|since) ", opened):
        return False  # an abbreviation, another spelling, a remark
    if value.type is AnswerType.ENTITY:
        return bool(_GOES_ON.match(after)) and stands_alone(value.text, text)
    return not _DATED.match(after) and not (value.type is AnswerType.NUMBER and _SERIES.match(after))


def _label(at: int, text: str) -> str | None:
    """Return the label of the line at offset `at`, such as "Capital: "; None if it has none."""
    found = _LABEL.match(text, text.rfind("\n", 0, at) + 1)
    return found.group() if found else None


def _is_repeated(label: str, text: str) -> bool:
    """Return whether several lines have this label, so that each contains one of several values."""
    return len(re.findall(rf"(?m)^{re.escape(label)}", text)) > 1


def _is_list(rest: str) -> bool:
    """Return whether the text after a label is a list."""
    line = re.sub(r"\([^()]*\)", "", rest.partition("\n")[0])
    return re.search(r"[,;] *\S", re.sub(r"\d,\d", "", line)) is not None


def _fills_a_field(value: str, text: str) -> bool:
    """Return whether a line consists of a label and this value, as in "Capital: Lima."."""
    return re.search(rf"(?m)^[^:\n.]{{1,80}}: {re.escape(value)}(?:[.;(\n]| \(| \d|$)", text) is not None


def _occurrences(value: str, text: str) -> list[re.Match[str]]:
    return list(re.finditer(rf"(?<![\w-]){re.escape(value)}(?![\w-])", text))


def _is_calendar(name: str) -> bool:
    return all(word in _CALENDAR or word.isdigit() for word in normalise(name).split())


def _same_initials(one: str, other: str) -> bool:
    """Return whether one name abbreviates the other, so that being another name is their only relation."""

    def initials(name: str) -> str:
        words = re.findall(r"\w+", name)
        return "".join(word if word.isupper() or len(words) == 1 else word[0] for word in words).upper()

    return initials(one) == initials(other)
