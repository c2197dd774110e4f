"""What a passage's words bear out, and what only looks like it."""

import pytest

from questwell.staged.claims import (
    agent,
    claim_problem,
    fits,
    is_of_a_version,
    is_said_near,
    is_turned_round,
    label_problem,
)
from questwell.staged.conftest import BRIDGE
from questwell.staged.paths import Hop
from questwell.staged.values import Value
from questwell.staged.wording import Fact, Kind
from questwell.types.game import AnswerType


@pytest.mark.parametrize(
    ("relation", "text", "value", "said"),
    [
        ("release date", "Following its premiere on May 1, 1978, it was released elsewhere.", "May 1, 1978", False),
        ("premiere date", "Following its premiere on May 1, 1978, it was released elsewhere.", "May 1, 1978", True),
        ("release year", "In 1978, it was released.", "1978", True),
        ("founding year", "It was released in 1978. The company was founded by Ana Ruiz.", "1978", False),
        ("opening year", "It was designed by Elsa Marwood and opened in 1881.", "1881", True),
        ("birth year", "She was born in 1840.", "1840", True),
        ("population", "Population: 80,000 people.", "80,000", True),
        ("year", "In that year, 1978, it ended.", "1978", False),
    ],
)
def test_a_date_is_what_the_words_near_it_say(relation: str, text: str, value: str, said: bool) -> None:
    assert is_said_near(relation, text, value) is said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Tarn is a system. In October 1994, Ana Labs released version Tarn 3.0 of it.", True),
        ("In October 1994, Tarn 3.0 was released.", True),
        ("The edition of 3.1 was released in October 1994.", True),
        ("In October 1994, Tarn was released. Version 2 followed.", False),
        ("Tarn 3 is old. Tarn was released in October 1994.", False),
    ],
)
def test_a_date_of_a_version_is_not_the_things_own(text: str, told: bool) -> None:
    assert is_of_a_version("Tarn", text, "October 1994") is told


@pytest.mark.parametrize(
    ("relation", "text", "value", "turned"),
    [
        ("dialect", "Fen is a small dialect of Tarn.", "Tarn", True),
        ("parent language", "Fen is a small dialect of Tarn.", "Tarn", False),
        ("flag", "Flag: the flag of Ostia is used.", "Ostia", True),
        ("design principle", "One of the design principles of the Tarn.", "Tarn", True),
        ("supplier", "The biggest supplier of compilers and other tools for Orbit machines.", "Orbit", True),
        ("native", "The native file system of Orbit.", "Orbit", True),
        ("implementation", "A Tarn implementation of the sieve.", "Tarn", True),
        ("system", "It runs on the Tarn system.", "Tarn", False),
        ("author", "A dialect of Tarn by Ole Brandt.", "Ole Brandt", False),
        ("dialect", "A dialect of Fen by Ole Brandt.", "Ole Brandt", False),
        ("capital", "The capital of the land is Arel.", "Arel", False),
        ("capital", "It lies near the capital of the land, like Arel.", "Arel", False),
        ("language", "A tool written in Tarn.", "Tarn", False),
        ("author", "A history of Fenmarch.", "Fen", False),
        ("history", "A history of Fenmarch.", "Fen", False),
    ],
)
def test_what_is_called_the_relation_of_the_value_has_no_such_relation(
    relation: str, text: str, value: str, turned: bool
) -> None:
    assert is_turned_round(relation, text, value) is turned


@pytest.mark.parametrize(
    ("relation", "line", "value", "whole"),
    [
        ("capital", "Capital - name: Arel City.", "Arel City", True),
        ("capital", "Capital - origin: a gift of Ostia.", "Ostia", False),
        ("area", "Area - land: 512 sq km.", "512 sq km", False),
        ("land area", "Area - land: 512 sq km.", "512 sq km", True),
        ("waiting time", "Citizenship - waiting time for naturalization: 7 years.", "7 years", False),
        ("waiting time for naturalization", "Citizenship - waiting time for naturalization: 7 years.", "7 years", True),
        ("branch", "Branch - legislature: Moot.", "Moot", False),
        ("term", "Moot - lower house - term: 3 years.", "3 years", False),
        ("lower house term", "Moot - lower house - term: 3 years.", "3 years", True),
        ("founding year", "Lumia is old.\nFounded (first): 1811.", "1811", True),
        ("anything", "Lumia was founded in 1811.", "1811", True),
        ("anything", "Area: 512 sq km.\nIt was founded in 1811.", "1811", True),
    ],
)
def test_a_relation_says_all_that_its_label_says(relation: str, line: str, value: str, whole: bool) -> None:
    assert (label_problem(relation, line, value) is None) is whole


@pytest.mark.parametrize(
    ("relation", "noun"),
    [
        ("developed by", "developer"),
        ("created by", "creator"),
        ("owned by", "owner"),
        ("planned by", "planned by"),  # not said of Ana Ruiz
        ("developed in", "developed in"),
        ("used by", "used by"),  # by her brother
        ("led by", "leader"),
        ("Written by", "writer"),  # a field's label
        ("directed by", "director"),
        ("followed by", "successor"),
        ("seen by", "seen by"),  # nobody says "seer"
        ("none", "none"),
        ("birthplace", "birthplace"),
    ],
)
def test_a_passive_that_is_said_word_for_word_makes_an_agent(relation: str, noun: str) -> None:
    text = "Developed in Oslo, developed by Ana Ruiz, created by the Ana Ruiz, owned by Ana Ruiz; used by Ana Ruizson."
    text += " It was led by Ana Ruiz, followed by Ana Ruiz, seen by Ana Ruiz."
    text += "\nWritten by: Ana Ruiz.\nDirected by: Ana Ruiz."
    assert agent(relation, text, "Ana Ruiz") == noun


@pytest.mark.parametrize(
    ("said", "text", "noun"),
    [
        ("attacker", "It is a tool used by Ana Ruiz.", "user"),
        ("attacker", "It is a tool used by Ana and Tom.", "attacker"),
        ("film director", "It was directed by Ana Ruiz.", "film director"),
        ("author", "It was written by the Ana Ruiz.", "writer"),
        ("author", "It is a novel by Ana Ruiz.", "author"),
        ("owner", "It was seen by Ana Ruiz.", "owner"),
    ],
)
def test_a_passive_corrects_another_agent(said: str, text: str, noun: str) -> None:
    assert agent(said, text, "Ana Ruiz") == noun


@pytest.mark.parametrize(
    ("relation", "text", "value", "kind", "problem"),
    [
        ("parent language", "Fen is a dialect of Tarn.", "Tarn", Kind.THING, None),
        ("dialect", "Fen is a dialect of Tarn.", "Tarn", Kind.THING, "the other way round"),
        ("language", "Parent language - origin: Tarn.", "Tarn", Kind.THING, "less than 'Parent language - origin'"),
        ("release year", "It was released in 1988.", "1988", Kind.DATE, None),
        ("opening year", "It was released in 1988.", "1988", Kind.DATE, "no word near"),
        ("release year", "Fen 2.1 was released in 1988.", "1988", Kind.DATE, "of a version"),
        ("none", "It was released in 1988.", "1988", Kind.DATE, "says too little"),
        ("active since", "Active since at least early 1988.", "1988", Kind.DATE, None),
        ("active since", "Active until 1988 since it failed.", "1988", Kind.DATE, "since when"),
        ("active since", "Active since 1971, sold in 1988.", "1988", Kind.DATE, "no word near"),
        ("founded", "Founded: 1988.", "1988", Kind.DATE, None),
        ("founded", "It was sold in 1988.", "1988", Kind.DATE, "no word near"),
    ],
)
def test_a_claim_fails_for_one_reason(relation: str, text: str, value: str, kind: Kind, problem: str | None) -> None:
    found = claim_problem(relation, text, "Fen", value, kind, amount=kind is Kind.DATE)
    assert found is None if problem is None else found is not None and problem in found


@pytest.mark.parametrize(
    ("relation", "kind", "noun", "may"),
    [
        ("flag", Kind.PLACE, "country", False),
        ("user", Kind.THING, "country", True),
        ("designer", Kind.ORGANIZATION, "company", True),
        ("designer", Kind.PERSON, "chemist", True),
        ("processor", Kind.THING, "chip", False),
        ("source language", Kind.THING, "language", True),
        ("source language", Kind.THING, "dialect", False),
        ("flag", Kind.PLACE, "", True),
    ],
)
def test_what_a_relation_names_may_be_of_some_kinds_by_its_words(
    relation: str, kind: Kind, noun: str, *, may: bool
) -> None:
    said = Fact(Hop(BRIDGE, Value("Elsa Marwood", AnswerType.ENTITY)), relation, "bridge", kind)
    assert fits(said, noun) is may


@pytest.mark.parametrize(
    ("label", "relation", "said"),
    [
        ("Moot - term in office", "term in office", False),
        ("Moot - term in office", "term in office of the Moot", True),
        ("Moot - lower house - term in office", "lower house term in office", True),
        ("Moot - name", "moot", True),
        ("Residents - waiting time", "waiting time", True),
        ("Moot", "moot", True),
    ],
)
def test_what_is_said_of_a_thing_with_a_name_of_its_own_is_not_the_subjects(
    label: str, relation: str, *, said: bool
) -> None:
    labels = {"Moot - name", "Residents - language", "Name - Moot", label}
    problem = label_problem(relation, f"{label}: 4 years.", "4 years", labels)
    assert problem == (None if said else "'Moot - term in office' says it of something else")
    assert (
        label_problem(
            "term in office", "Moot - term in office: 4 years.", "4 years", {"Moot - old names", "Moot - name day"}
        )
        is None
    )
