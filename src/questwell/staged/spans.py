"""Finds the names in a passage that may lead to another passage, and the spans that may be an answer."""

import re
from dataclasses import dataclass
from functools import lru_cache

from questwell.retrieval.corpora.passages import sentences
from questwell.scoring.answers import contains, normalise
from questwell.staged.likeness import tells
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_DATE = re.compile(
    rf"\b(?:(?:1[4-9]|20)\d\d-[01]\d-[0-3]\d"
    rf"|\d{{1,2}} (?:{_MONTHS}) \d{{4}}|(?:{_MONTHS}) \d{{1,2}}, \d{{4}}|(?:{_MONTHS}) \d{{4}}|1[4-9]\d\d|20\d\d)"
    r"\b(?!s)"
)
_NUMBER = re.compile(
    r"(?<![\w.,/$#:-])(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?P<scale>%| percent| million| billion| trillion| thousand)?(?P<unit> (?:sq |cu )?[a-z]{1,14})?(?![\w/])"
)
_WORD = r"[A-Z][\w'&+-]*(?:\.[A-Z]\.?)?"
_NAME = re.compile(
    rf"(?<![\w-])(?:[A-Z]\. )*{_WORD}(?:(?: (?:of|of the|de|la|for|von|van|del) | |-)(?:[A-Z]\. (?=[A-Z]))*{_WORD})*"
)
_NOT_UNITS = frozenset(
    "a an and are as at be but by can could did do does for from had has have he if in into is it its "  # noqa: SIM905
    "may more not of on or she since so than that the then there they this through to until use used "
    "uses was were when where which while who will with would est".split()
)
_THE = r"(?: the| a| an)? $"
_DONE = r"\b\w+(?:ed|en|wn|lt|un|ld)"
_SAID = (
    (6, re.compile(rf"\bby{_THE}")),
    (5, re.compile(rf"{_DONE} (?:in|from|at|after|upon){_THE}|\b(?:called|named|titled){_THE}")),
    (4, re.compile(rf"\bfrom{_THE}")),
    (2, re.compile(rf"\b(?:at|in|after|for|using|under|is|was){_THE}")),
    (1, re.compile(rf"\b(?:of|on){_THE}")),
)
"""Weight by the words before a name: how often the model read a correct fact about the subject there."""
_NOT_NAMES = frozenset(
    "The A An In It This That These Those He She They His Her Its Their There When While If As At By For "  # noqa: SIM905
    "From On Or And But See Not Also No Some Most Many Each Both All After Before Since Under With Note "
    "Other However Although".split()
)


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a passage's text that may be an answer."""

    text: str
    aliases: tuple[str, ...] = ()
    weight: int = 0
    """How likely the span makes a good answer; higher is better."""


@lru_cache(maxsize=8192)
def names(passage: Passage, subject: str) -> tuple[str, ...]:
    """Return the proper names in the passage, except its own subject; the most useful links come first.

    Names that the corpus marks as links come first. A name that only occurs inside a longer name is left out
    ("GNU" in "GNU Manifesto"), because a phrase could not replace it.
    """
    text = own_words(passage.text)
    linked = [link for link in passage.links if any(character.isupper() for character in link)]
    written = [_clean(match, text) for match in _NAME.finditer(text)]
    return tuple(
        name
        for name in dict.fromkeys([*linked, *written])
        if len(normalise(name)) > 1
        and len(name.split()) <= 6
        and not contains(subject, name)
        and not contains(name, subject)
        and stands_alone(name, text)
        and not (re.fullmatch(r"[A-Z][a-z]{1,3}", name) and f"{name}. " in text)  # "Dr. Ana Ruiz"
    )


def stands_alone(name: str, text: str) -> bool:
    """Return whether `name` occurs in `text` somewhere other than inside a longer name or in a list of names."""
    for match in re.finditer(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text):
        before, after = text[: match.start()], text[match.end() :]
        preceding = re.search(r"(?:^|[.!?:;] )?\b([A-Z][\w'-]*) $", before)
        inside = (
            preceding and preceding.group(1) not in _NOT_NAMES and not preceding.group().startswith((".", "!", "?"))
        )
        listed = _LIST_BEFORE.search(before) or _LIST_AFTER.match(after)
        if not inside and not listed and not _RUNS_ON.match(after):
            return True
    return False


_RUNS_ON = re.compile(r" [A-Z]|'s? [A-Z]|/\w| (?!\d[\d,.]* (?:k?m|ft|miles|metres|meters)\b)\d")
_LIST_BEFORE = re.compile(r"[A-Z][\w'.-]*(?: [\d,.]+ km| \[\w\])?(?:[,;]| and| or|, and|, or) $")
_LIST_AFTER = re.compile(r"(?: [\d,.]+ km| \[\w\])?(?:[,;]| and| or|, and|, or) [A-Z]")


@lru_cache(maxsize=8192)
def fact_sentences(passage: Passage, needle: str) -> str:
    """Return the passage's first sentence and the one that contains `needle`, from which a fact is read."""
    parts = [passage.text[start:end] for start, end in sentences(passage.text)]
    holding = next((part for part in parts if contains(part, needle)), "")
    if not parts or holding == parts[0] or is_field(holding):  # a field needs no context
        return holding or passage.text
    return f"{parts[0]} {holding}" if holding and len(parts[0]) < _LONG else holding or parts[0]


_LONG = 250
"""From this length in characters, a passage's first sentence says more than what its subject is."""


@lru_cache(maxsize=8192)
def year_of(passage: Passage) -> str | None:
    """Return the year that a document's first sentence gives for its subject ("is a 1969 American film"), or None."""
    told = None if passage.offset else _OF_A_YEAR.search(fact_sentences(passage, ""))
    return told[1] if told else None


def is_of_its_year(passage: Passage, noun: str) -> bool:
    """Return whether a document's first sentence gives a year for what it calls its subject: "a 1969 war film"."""
    if (year := year_of(passage)) is None:
        return False
    said = rf"\b{year}(?: [\w-]+){{0,6}}? {re.escape(noun)}\b"
    return re.search(said, fact_sentences(passage, "")) is not None


_OF_A_YEAR = re.compile(r"\b(?:is|was) (?:an?|the) ((?:1[4-9]|20)\d\d)\b(?! ?[-–]\d)")


@lru_cache(maxsize=8192)
def is_misnamed(passage: Passage, subject: str) -> bool:
    """Return whether a document begins with another name than its title, such as a person under a film's title.

    In that case a statement about the title may be about either.
    """
    first = "" if passage.offset else fact_sentences(passage, "")
    name = _NAME.match(first)
    if name is None or " " not in name.group() or contains(first, subject) or tells(name.group(), subject):
        return False
    return re.search(r"\b(?:is|was|are|were) ", first) is not None  # no verb: a spelled-out abbreviation


def is_field(line: str) -> bool:
    """Return whether a line is a field, that is a label and its value: "Capital: Lima."."""
    return re.match(r"[^:\n.]{1,80}: ", line) is not None


def is_about(passage: Passage, subject: str, needle: str) -> bool:
    """Return whether the passage's statement with `needle` is about the passage's subject, judged by its words.

    This holds for a field ("Capital: Lima."), the document's first sentence, a sentence that begins with the subject
    (a few words and a comma may come first), and a sentence that continues one of these with "It".
    """
    own = re.compile(rf"(?:[^,.]{{0,60}}, )?(?:(?:The|A|An) (?:[a-z-]+ )?)?{re.escape(subject)}(?![\w-]|['’]s)", re.I)
    taken_up = False
    for number, (start, end) in enumerate(sentences(passage.text)):
        part = passage.text[start:end]
        plain = passage.offset == 0 and number == 0 and passage.title == subject
        about = plain or (taken_up and _TAKES_UP.match(part) is not None) or own.match(part) is not None
        if contains(part, needle):
            return about or is_field(part)
        taken_up = about
    return False


_TAKES_UP = re.compile(r"(?:It|Its|He|His|She|Her|They|Their)\b")


@lru_cache(maxsize=8192)
def spans(passage: Passage, subject: str, answer_type: AnswerType) -> tuple[Span, ...]:
    """Return the spans of the wanted type in text order, without repeats and without those in the title."""
    text = own_words(passage.text)
    match answer_type:
        case AnswerType.DATE:
            dates = [match for match in _DATE.finditer(text) if not _estimate(text, match)]
            found = [Span(match.group(), weight=4 + (len(match.group()) > 4)) for match in dates]
        case AnswerType.NUMBER:
            found = [span for match in _NUMBER.finditer(text) if (span := _number(text, match))]
        case AnswerType.ENTITY:
            found = [Span(name, weight=name_weight(name, text)) for name in names(passage, subject)]
    once = {normalise(span.text): span for span in reversed(found)}
    return tuple(
        span for span in reversed(once.values()) if normalise(span.text) and not contains(passage.title, span.text)
    )


def own_words(text: str) -> str:
    """Return `text` without square brackets and their contents, which are sources and editors' remarks."""
    return re.sub(r"\[[^\[\]]*\]", " ", text)


def _clean(match: re.Match[str], text: str) -> str:
    """Return the matched name; an empty string if it is only capitalised because it begins a sentence."""
    words = match.group().removesuffix("'").removesuffix("'s").split()
    begins = re.search(r"(?:^|[.!?:;\"(]\s*)$", text[: match.start()]) is not None
    while words and words[0] in _NOT_NAMES:
        words, begins = words[1:], False
    return "" if begins and len(words) == 1 and words[0][1:].islower() else " ".join(words).rstrip("'-")


def _estimate(text: str, match: re.Match[str]) -> bool:
    """Return whether a year only dates another figure, as in "(2023 est.)"."""
    return bool(re.match(r"[^()]{0,12}est\.|\)", text[match.end() :])) and text[: match.start()].rstrip().endswith("(")


def _number(text: str, match: re.Match[str]) -> Span | None:
    number, scale, unit = match["number"], match["scale"] or "", match["unit"] or ""
    if re.search(r"[A-Z][\w.'-]* $", text[: match.start()]):
        return None  # part of a name: "IBM 709"
    if _DATE.fullmatch(number) or re.search(
        r"\b(?:version|release|v|section|chapter|no\.?) ?$", text[: match.start()], re.I
    ):
        return None
    if re.search(rf"\b(?:{_MONTHS}) $", text[: match.start()]) or re.match(
        rf" (?:{_MONTHS})\b", text[match.start("number") + len(number) :]
    ):
        return None
    noted = text[match.end() :].startswith("(")  # "1.05 male(s)/female"
    if unit.split() and (unit.split()[0] in _NOT_UNITS or unit.endswith("ing") or noted):
        unit = ""
    if "," not in number and len(number.split(".")[0]) > 4:
        return None  # a model's name or a code rather than a quantity
    if not scale and not unit and "," not in number:
        return None
    bare = f"{number}{scale}"
    return Span(f"{bare}{unit}", (bare,) if unit else (), weight=3 + bool(scale or "," in number or "." in number))


def name_weight(name: str, text: str) -> int:
    """Return how clearly `text` relates its subject to `name`, from 0 to 7: "by NAME" is clearer than a mention."""
    before = [text[: match.start()] for match in re.finditer(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)]
    related = (weight for weight, pattern in _SAID if any(pattern.search(part) for part in before))
    return next(related, 0) + (len(name) > 4)
