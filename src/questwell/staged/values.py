"""Values of a passage that may be a fact about its subject: picked by code, strictly, so that few calls are wasted."""

import re
from dataclasses import dataclass
from functools import lru_cache

from questwell.retrieval.corpora.corpus import subject
from questwell.scoring.answers import contains, normalise
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
"""Weight below which a name is merely mentioned, or all that is said is what kind of it the subject is: "of NAME"."""


@dataclass(frozen=True, slots=True)
class Value:
    """A name, date or number in a passage."""

    text: str
    type: AnswerType
    aliases: tuple[str, ...] = ()
    weight: int = 0
    """How plainly the passage relates it to its subject; higher is better."""


@lru_cache(maxsize=8192)
def values(passage: Passage) -> tuple[Value, ...]:
    """What may be said of the passage's subject, the plainest first.

    Left out: what only describes another word ("American" in "an American actor") or is merely mentioned, names of
    months and days, one of a list, what stands in the label of a line, a figure that is an estimate of a year, and what
    is said of another thing.
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
        Value(one.text, one.type, one.aliases, one.weight + 6 * _fills_a_field(one.text, text))
        for one in found
        if _can_be_asked_for(one, text) and is_about(passage, about, one.text) and not contains(passage.title, one.text)
    ]
    return tuple(sorted((one for one in usable if one.weight >= _PLAIN), key=lambda one: -one.weight))


def _can_be_asked_for(value: Value, text: str) -> bool:
    """Whether it is a thing of its own, and the only one of its field, in the first line with it: there it is read."""
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
    """The label of the line in which a place of the text lies: "Capital: "."""
    found = _LABEL.match(text, text.rfind("\n", 0, at) + 1)
    return found.group() if found else None


def _is_repeated(label: str, text: str) -> bool:
    """Whether several lines bear the label: then each holds one value of several."""
    return len(re.findall(rf"(?m)^{re.escape(label)}", text)) > 1


def _is_list(rest: str) -> bool:
    """Whether what follows a label on its line is a list."""
    line = re.sub(r"\([^()]*\)", "", rest.partition("\n")[0])
    return re.search(r"[,;] *\S", re.sub(r"\d,\d", "", line)) is not None


def _fills_a_field(value: str, text: str) -> bool:
    """Whether a line is a label and this value, as "Capital: Lima." is."""
    return re.search(rf"(?m)^[^:\n.]{{1,80}}: {re.escape(value)}(?:[.;(\n]| \(| \d|$)", text) is not None


def _occurrences(value: str, text: str) -> list[re.Match[str]]:
    return list(re.finditer(rf"(?<![\w-]){re.escape(value)}(?![\w-])", text))


def _is_calendar(name: str) -> bool:
    return all(word in _CALENDAR or word.isdigit() for word in normalise(name).split())


def _same_initials(one: str, other: str) -> bool:
    """Whether one is an abbreviation of the other: then "another name for it" is all that links them."""

    def initials(name: str) -> str:
        words = re.findall(r"\w+", name)
        return "".join(word if word.isupper() or len(words) == 1 else word[0] for word in words).upper()

    return initials(one) == initials(other)
