"""Words for facts: phrases, questions, and relations that cannot stand in one."""

from dataclasses import replace

import pytest

from questwell.staged.conftest import BRIDGE, LIGHT, MARWOOD
from questwell.staged.paths import Hop
from questwell.staged.values import Value
from questwell.staged.wording import (
    Fact,
    Kind,
    asked_name,
    called,
    described,
    put_in_place,
    question,
    relation_problem,
    steps,
)
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType


def fact(passage: Passage, value: str, relation: str, kind: Kind, *, noun: str = "", inverse: bool = False) -> Fact:
    return Fact(Hop(passage, Value(value, AnswerType.ENTITY), inverse), relation, noun, kind)


DESIGN = fact(BRIDGE, "Elsa Marwood", "designer", Kind.PERSON)
WORK = fact(MARWOOD, "Orrin Lighthouse", "best known work", Kind.THING)
CAPITAL = fact(LIGHT, "Arel City", "capital", Kind.PLACE, noun="country", inverse=True)


def test_phrases_nest() -> None:
    assert described((DESIGN, WORK)) == "the best known work of the designer of Harrow Bridge"
    assert question((DESIGN,)) == "Who is the designer of Harrow Bridge?"
    assert question((DESIGN, WORK)) == "What is the best known work of the designer of Harrow Bridge?"
    assert described((CAPITAL, WORK)) == "the best known work of the country whose capital is Arel City"
    built = fact(LIGHT, "Elsa Marwood", "builder", Kind.PERSON, noun="1871 lighthouse", inverse=True)
    assert described((DESIGN, built)) == "the 1871 lighthouse whose builder is the designer of Harrow Bridge"
    assert question((DESIGN, built)) == (
        "What is the 1871 lighthouse whose builder is the designer of Harrow Bridge?"  # not "Who": a lighthouse
    )
    assert question((fact(LIGHT, "Mount Arel", "highest point", Kind.PLACE),)) == (
        "Which place is the highest point of Orrin Lighthouse?"
    )
    assert [(step.query, step.answer) for step in steps((DESIGN, WORK))] == [
        ("What is the designer of Harrow Bridge?", "Elsa Marwood"),
        ("What is the best known work of Elsa Marwood?", "Orrin Lighthouse"),
    ]


@pytest.mark.parametrize(
    ("relation", "kind", "asked"),
    [
        ("builder", Kind.ORGANIZATION, "Who"),
        ("first editor", Kind.ORGANIZATION, "Who"),
        ("holding company", Kind.ORGANIZATION, "Which organization"),
        ("builder", Kind.PERSON, "Who"),
        ("mayor", Kind.PLACE, "Which place"),
        ("processor", Kind.THING, "What"),
    ],
)
def test_who_does_something_is_asked_for_as_a_person_is(relation: str, kind: Kind, asked: str) -> None:
    said = fact(BRIDGE, "Ferry Guild", relation, kind)
    assert question((said,)) == f"{asked} is the {relation} of Harrow Bridge?"


def test_a_user_is_what_uses() -> None:
    use = fact(BRIDGE, "Ferry Guild", "user", Kind.ORGANIZATION)
    assert described((use, WORK)) == "the best known work of the organization that uses Harrow Bridge"
    assert question((use,)) == "Which organization uses Harrow Bridge?"
    assert question((CAPITAL, use)) == "Which organization uses the country whose capital is Arel City?"
    assert steps((use,))[0].query == "What is the organization that uses Harrow Bridge?"
    guild = fact(LIGHT, "Mount Arel", "place of meeting", Kind.PLACE, noun="trade guild")
    assert described(called((use, guild))) == "the place of meeting of the trade guild that uses Harrow Bridge"
    assert called((use, replace(guild, noun="guild, or so"))) == (use, replace(guild, noun="guild, or so"))
    assert called((use, replace(guild, noun="thing"))) == (use, replace(guild, noun="thing"))
    met_at = replace(guild, hop=replace(guild.hop, inverse=True))
    assert called((use, met_at)) == (use, met_at)  # a lighthouse that mentions the guild is no guild
    assert called((DESIGN, guild)) == (DESIGN, guild)
    thing = replace(use, value_kind=Kind.THING)
    assert described((thing, WORK)) == "the best known work of the one that uses Harrow Bridge"
    used = replace(use, noun="bridge", hop=replace(use.hop, inverse=True))
    assert described((used, WORK)) == "the best known work of the bridge that Ferry Guild uses"
    assert called((used, guild)) == (used, guild)


def test_who_uses_something_is_asked_for_by_what_it_is_used_by() -> None:
    assert asked_name("the trade guild that uses Harrow Bridge") == "What is Harrow Bridge used by?"
    assert asked_name("the one that uses the bridge of Quell") == "What is the bridge of Quell used by?"
    for other in ("the bridge that Ferry Guild uses", "the designer of Harrow Bridge", "the book that uses"):
        assert asked_name(other) == f"What is the name of {other}?"


@pytest.mark.parametrize(
    ("relation", "value", "asked"),
    [
        ("coastline", "36,289 km", "How long is the coastline of Orrin Lighthouse?"),
        ("coastline", "812 miles", "How long is the coastline of Orrin Lighthouse?"),
        ("length of coast", "36,289 km", "What is the length of coast of Orrin Lighthouse?"),
        ("irrigated land", "59,910 sq km", "How large is the irrigated land of Orrin Lighthouse?"),
        ("total area", "5,120 sq km", "What is the total area of Orrin Lighthouse?"),
        ("highest point", "812 m", "What is the highest point of Orrin Lighthouse?"),  # long or high
        ("wind", "40 km/h", "What is the wind of Orrin Lighthouse?"),
        ("memory", "64 kmem", "What is the memory of Orrin Lighthouse?"),
        ("waiting time", "7 years", "What is the waiting time of Orrin Lighthouse?"),
    ],
)
def test_an_amount_is_asked_for_by_its_unit(relation: str, value: str, asked: str) -> None:
    amount = Fact(Hop(LIGHT, Value(value, AnswerType.NUMBER)), relation, "tower", Kind.NUMBER)
    assert question((amount,)) == asked
    inverse = replace(amount, hop=replace(amount.hop, inverse=True))
    assert question((inverse,)) == f"What is the tower whose {relation} is {value}?"


@pytest.mark.parametrize(
    ("relation", "asked", "step"),
    [
        ("first seen", "When was the designer of Harrow Bridge first seen?", "When was Elsa Marwood first seen?"),
        ("born", "When was the designer of Harrow Bridge born?", "When was Elsa Marwood born?"),
        ("First seen", "When was the designer of Harrow Bridge first seen?", "When was Elsa Marwood first seen?"),
        (
            "active since",
            "Since when has the designer of Harrow Bridge been active?",
            "Since when has Elsa Marwood been active?",
        ),
        (
            "death year",
            "What is the death year of the designer of Harrow Bridge?",
            "What is the death year of Elsa Marwood?",
        ),
    ],
)
def test_a_date_of_what_happened_is_asked_for_by_its_verb(relation: str, asked: str, step: str) -> None:
    date = Fact(Hop(MARWOOD, Value("1871", AnswerType.DATE)), relation, "engineer", Kind.DATE)
    assert question((DESIGN, date)) == asked
    assert question((date,)) == step
    assert steps((DESIGN, date))[-1].query == step


@pytest.mark.parametrize(
    ("relation", "kind", "problem"),
    [
        ("designer", Kind.PERSON, None),
        ("place of birth", Kind.PLACE, None),
        ("highest point", Kind.PLACE, None),
        ("headquarters", Kind.PLACE, None),
        ("none", Kind.PLACE, "it says too little"),
        ("name", Kind.THING, "it says too little"),
        ("designer", Kind.THING, "who did it is no person"),
        ("border countries", Kind.PLACE, "it is a plural"),
        ("languages of the court", Kind.PLACE, "it is a plural"),
        ("evolved from", Kind.THING, "it ends or begins with a preposition"),
        ("after independence", Kind.DATE, "it ends or begins with a preposition"),
        ("founded", Kind.PERSON, "it is a participle"),
        ("designed in Oslo", Kind.PERSON, "it is a participle"),
        ("built", Kind.PLACE, "it is a participle"),
        ("built", Kind.DATE, None),
        ("first seen", Kind.DATE, None),
        ("active since", Kind.DATE, None),
        ("active since", Kind.PLACE, "it ends or begins with a preposition"),
        ("first", Kind.DATE, None),
        ("opened in", Kind.DATE, "it ends or begins with a preposition"),
        ("filming location", Kind.PLACE, None),
        ("top speed", Kind.NUMBER, None),
        ("contrast", Kind.THING, "it says too little"),
        ("joining party", Kind.ORGANIZATION, "it is an action"),
        ("head of state", Kind.PERSON, None),
        ("share of women in chamber", Kind.NUMBER, "it is no short noun phrase"),
        ("", Kind.PLACE, "it is no short noun phrase"),
        ("5th part", Kind.PLACE, "it is no short noun phrase"),
        ("one two three four five six seven", Kind.PLACE, "it is no short noun phrase"),
        ("friend of Univac", Kind.PERSON, "it names the subject or the value"),
        ("father of Ana Ruiz", Kind.PERSON, "it names the subject or the value"),
    ],
)
def test_relations(relation: str, kind: Kind, problem: str | None) -> None:
    assert relation_problem(relation, "It designed Ana Ruiz.", "Univac", "Ana Ruiz", kind) == problem


def test_a_phrase_takes_the_place_of_a_name_that_stands_alone() -> None:
    phrase = "the designer of Harrow Bridge"
    asked = "Where was Elsa Marwood born?"
    assert put_in_place(phrase, "Elsa Marwood", asked) == f"Where was {phrase} born?"
    assert put_in_place(phrase, "V.34", "When was the V.34 recommendation ratified?") is None
    assert put_in_place(phrase, "Tarn", "When was Fen released?") is None
    assert put_in_place("the successor of Tarn", "Tarn", "When was Tarn released?") is None
