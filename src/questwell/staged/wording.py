"""Words facts and paths by code: "the R of the R of X" and "the K whose R is V"."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from questwell.scoring.answers import contains
from questwell.staged.events import EVENT
from questwell.staged.paths import Hop
from questwell.types.game import AnswerType, SolutionStep


class Kind(StrEnum):
    """What sort of thing a value is."""

    PERSON = "person"
    ORGANIZATION = "organization"
    PLACE = "place"
    THING = "thing"
    DATE = "date"
    NUMBER = "number"
    QUALITY = "quality"


@dataclass(frozen=True, slots=True)
class Fact:
    """A statement of a passage: the `relation` of its subject is its value."""

    hop: Hop
    relation: str
    """A noun phrase without an article."""
    noun: str
    """Kind of the subject in a word or two, such as "film"."""
    value_kind: Kind
    value_noun: str = ""
    """Kind of the value in a word or two, as the next fact calls it; empty if nothing calls it anything."""


NOUN = r"[a-z]+(?: [a-z]+)?"
"""What a subject may be called."""
VAGUE = frozenset(
    "name type kind value thing example part subject description title member feature component information item "  # noqa: SIM905
    "instance version note fact detail reference mention topic element relation none category meaning term word "
    "abbreviation acronym synonym variant alternative purpose context note source object result effect use "
    "application property attribute aspect neighbour neighbor competitor rival customer partner status content "
    "definition expansion origin relationship association connection comparison etymology year date number "
    "contrast counterpart opposite compatibility support day time amount figure count total".split()
)
"""Nouns that are too vague as a relation, or that many values share."""
_LINKING = frozenset("of in for from on at to with by under after as into over since than until and or but not".split())  # noqa: SIM905
_LAST_OF_HEAD = re.compile(r" (?:of|in|for|from|on|at|to|with|by|under) .*")
_PARTICIPLES = frozenset(
    "built made known born held given taken sold bought set won led begun found shown seen written spoken run used "  # noqa: SIM905
    "was were is are has had have can also available similar compatible related".split()
)
_SINGULAR = ("ss", "us", "is", "ics", "series", "headquarters", "species", "news")
_WHEN_OR_WHERE = frozenset({"year", "date", "day", "time", "place", "location", "site", "language", "speed", "system"})
"""Nouns that may follow an action such as "founding": the year of an action is not an action."""
HUMAN_ENDS = ("er", "or")
"""Ends of nouns for who does something."""


def head_of(relation: str) -> str:
    """Return the head noun of a relation: "chief" for "chief of state"."""
    return _LAST_OF_HEAD.sub("", relation).split()[-1]


SINCE = re.compile(r"(?P<state>[a-z]+) since")


def happened(relation: str) -> bool:
    """Return whether a date's relation says what happened and is no noun: "first seen", "founded", "active since"."""
    return (re.fullmatch(EVENT, relation.lower()) or SINCE.fullmatch(relation.lower())) is not None


def relation_problem(relation: str, fact_text: str, about: str, value: str, value_kind: Kind) -> str | None:
    """Return why a relation cannot be used in a question; None if it can."""
    if not re.fullmatch(r"[A-Za-z][a-z'-]*(?: [A-Za-z][a-z'-]*){0,5}", relation):
        return "it is no short noun phrase"
    if contains(relation, about) or contains(relation, value):
        return "it names the subject or the value"
    if value_kind is Kind.DATE and happened(relation):
        return None
    words = relation.lower().split()
    if sum(word in _LINKING for word in words) > 1:
        return "it is no short noun phrase"
    if words[-1] in _LINKING or words[0] in _LINKING:
        return "it ends or begins with a preposition"
    head = head_of(relation).lower()
    if head in _PARTICIPLES or (head.endswith("ed") and not head.endswith(("eed", "bed", "shed", "red"))):
        return "it is a participle"
    if head in VAGUE and len(relation.split()) == 1:
        return "it says too little"
    if re.match(r"\w{3,}ing \w", relation) and words[-1] not in _WHEN_OR_WHERE:
        return "it is an action"
    if head.endswith("s") and not head.endswith(_SINGULAR):
        return "it is a plural"
    if head.endswith(HUMAN_ENDS) and value_kind not in (Kind.PERSON, Kind.ORGANIZATION):
        stem = head[:-2]
        if len(stem) > 3 and re.search(rf"\b{re.escape(stem)}(?:e?d|ing|e?s)\b", fact_text, re.IGNORECASE):
            return "who did it is no person"
    return None


OF_A_YEAR = "year"
"""The relation of what a passage opens with as being of a year: "is a 1969 American film". Read by code."""
USER = "user"
"""A relation that small models do not find when they are asked for it: "used by" is what passages say."""
_THAT_USES = re.compile(r"the (?:[\w-]+ ){1,3}that uses (?P<used>.+)")


def is_agent(fact: Fact) -> bool:
    """Return whether a relation is who does something: "user", or "developer", be it a person or a company.

    Asked "Which organization is the developer of Tarn?", the 1.5B model prefers what is called an association.
    """
    named = fact.value_kind in (Kind.PERSON, Kind.ORGANIZATION)
    return fact.relation == USER or (named and head_of(fact.relation).lower().endswith(HUMAN_ENDS))


UNNAMED = "the one that uses "
"""Beginning of a phrase for a user when nothing says what it is."""


def of(fact: Fact, subject: str) -> str:
    """Return what the value is to a subject: "capital of Lumia", "company that uses Tarn"."""
    if fact.relation != USER:
        return f"{fact.relation} of {subject}"
    kind = "one" if fact.value_kind is Kind.THING else fact.value_kind.value
    return f"{fact.value_noun or kind} that uses {subject}"


def called(facts: Sequence[Fact]) -> tuple[Fact, ...]:
    """Return a chain in which a user is called what the next fact says that it is: "the company that uses Tarn"."""
    said = list(facts)
    for place, (fact, following) in enumerate(itertools.pairwise(facts)):
        forward = not fact.hop.inverse and not following.hop.inverse
        if fact.relation == USER and forward and re.fullmatch(NOUN, following.noun) and following.noun not in VAGUE:
            said[place] = replace(fact, value_noun=following.noun)
    return tuple(said)


def asked_name(phrase: str) -> str:
    """Return the question for the name of what a phrase describes, as a small model reads it best.

    Asked for "the organization that uses Tarn", the 1.5B model named another organization in 3 of 14 cases, asked what
    Tarn is used by in none.
    """
    found = _THAT_USES.fullmatch(phrase)
    return f"What is {found['used']} used by?" if found else f"What is the name of {phrase}?"


def described(facts: Sequence[Fact]) -> str:
    """Return the noun phrase that describes the value of the last fact."""
    phrase = facts[0].hop.known
    for fact in facts:
        if fact.hop.inverse:
            uses = fact.relation == USER
            phrase = f"the {fact.noun} {f'that {phrase} uses' if uses else f'whose {fact.relation} is {phrase}'}"
        else:
            phrase = f"the {of(fact, phrase)}"
    return phrase


def with_article(noun: str) -> str:
    """Return the noun with "a" or "an" before it."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


_ASKED = {Kind.PERSON: "Who", Kind.PLACE: "Which place", Kind.ORGANIZATION: "Which organization"}
"""Question word by kind of answer. A highest point has a name and a height: the word says which one is meant."""


_MEASURED = (
    (
        re.compile(r"\d ?(?:sq\.? ?(?:km|mi|miles|kilomet(?:re|er)s)|km²|square \w+|hectares?|ha|acres?)\b(?! ?/)"),
        "How large",
    ),
    (re.compile(r"\d ?(?:km|kilomet(?:re|er)s?|mi|miles?)\b(?! ?/)"), "How long"),
)
"""Units of an amount, and how to ask for it. A metre may measure a height as well as a length."""
_MEASURES = frozenset(
    "length height width depth distance elevation altitude area size diameter radius circumference range extent "  # noqa: SIM905
    "perimeter breadth thickness span reach radius speed".split()
)
"""Nouns that are a measure themselves: "What is the length"; but "How long is the coastline"."""


def question(facts: Sequence[Fact]) -> str:
    """Return the question that asks for the value of the last fact."""
    last = facts[-1]
    about = described(facts[:-1]) if len(facts) > 1 else last.hop.known
    if not last.hop.inverse and last.relation == USER:
        return f"{_ASKED.get(last.value_kind, 'What')} uses {about}?"
    if not last.hop.inverse and happened(last.relation):
        said = last.relation.lower()
        since = SINCE.fullmatch(said)
        return f"Since when has {about} been {since['state']}?" if since else f"When was {about} {said}?"
    if last.hop.value.type is AnswerType.NUMBER and not last.hop.inverse and not _MEASURES & {*last.relation.split()}:
        for unit, how in _MEASURED:
            if unit.search(last.hop.value.text):
                return f"{how} is {described(facts)}?"
    named = last.hop.value.type is AnswerType.ENTITY and not last.hop.inverse
    asked = "Who" if is_agent(last) else _ASKED.get(last.value_kind, "What")
    return f"{asked if named else 'What'} is {described(facts)}?"


def steps(facts: Sequence[Fact]) -> tuple[SolutionStep, ...]:
    """Return one search step per fact."""
    return tuple(SolutionStep(_asked_alone(fact), fact.hop.found, fact.hop.passage.id) for fact in facts)


def _asked_alone(fact: Fact) -> str:
    return question((fact,)) if happened(fact.relation) else f"What is {described((fact,))}?"


def put_in_place(phrase: str, name: str, asked: str) -> str | None:
    """Return the question with a phrase in place of a name; None if the name is part of a longer noun.

    "When was V.34 ratified?" but not "When was the V.34 recommendation ratified?".
    """
    match = re.search(rf"(?i)\b(?:the )?(?<![\w-]){re.escape(name)}(?![\w-])(?P<rest>.*)", asked)
    if match is None:
        return None
    inverted = re.search(r"(?i)\b(?:did|does|do|can|could|will) (?:the )?$", asked[: match.start()])
    if not (inverted or re.match(rf"[?,]| (?:{_FOLLOWS})\b| \w+(?:ed|en)\b", match["rest"])):
        return None
    replaced = f"{asked[: match.start()]}{phrase}{match['rest']}"
    return None if contains(replaced, name) else replaced


_FOLLOWS = (
    r"is|was|are|were|did|does|do|has|had|can|could|will|in|on|at|for|by|from|to|with|under|of|as|into|and|or|that|which|"
    r"who|when|where|first|originally|built|made|sold|held|run|based|won|led|begun|set|located|born|known"
)
