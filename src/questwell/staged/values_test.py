"""What code lets through as a value, and what it keeps from the model."""

from dataclasses import replace

import pytest

from questwell.staged.conftest import passage
from questwell.staged.values import values
from questwell.types.game import AnswerType


def texts(text: str, title: str = "Lumia") -> list[str]:
    return [value.text for value in values(passage(title, text))]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Lumia is the home of an American painter.", "American"),  # it only describes a word
        ("Lumia was ruled by Ana Ruiz's son.", "Ana Ruiz"),
        ("Lumia was closed in January and opened in May.", "January"),
        ("Lumia was built with Anton and Felix Duarte.", "Anton"),  # one of a list
        ("Parties: Hope.\nParties: Unity Front.", "Unity Front"),  # one of several fields of one name
        ("Border countries: Ostia 5 km; Quell 9 km.", "Quell"),
        ("Capital City: Arel.", "Capital City"),  # a label
        ("Army: Land Forces (Fuerza Terrestre).", "Fuerza Terrestre"),  # another spelling
        ("Growth: 5% (2024 est.)", "5%"),  # a figure of one year
        ("Ranks: 5 km, 7 km and 9 km.", "5 km"),
        ("Lumia is short for L.", "L"),
        ("Ratio: 1.05 male(s)/female.", "1.05 male"),
        ("Former name: Quell/Arel City.", "Arel City"),
        ("Former name: Arel City/Quell.", "Arel City"),
        ("Former names: Quell, Arel City.\nCapital: Arel City.", "Arel City"),  # it would be read in the first line
        ("Lumia is a small dialect of Tarnish.", "Tarnish"),  # so Lumia is the dialect
        ("Lumia was planned by Dr. Marwood.", "Dr"),
        ("Lumia is old. Roads were planned by Elsa Marwood for Lumia.", "Elsa Marwood"),  # of another thing
        ("Lumia is old. The end of Lumia was planned by Elsa Marwood.", "Elsa Marwood"),
    ],
)
def test_left_out(text: str, name: str) -> None:
    assert name not in texts(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Lumia was planned by Elsa Marwood.", "Elsa Marwood"),
        ("Capital: Arel City.\nClimate: mild, wet.", "Arel City"),
        ("Highest point: Mount Arel 812 m.", "Mount Arel"),
        ("Independence: 5 July 1811 (from Ostia).", "5 July 1811"),
        ("Independence: 5 July 1811 (from Ostia).", "Ostia"),
        ("Lumia was closed on 3 May 1874.", "3 May 1874"),
        ("Area: 1,043 sq km.", "1,043 sq km"),
        ("It is old. In those years, Lumia was planned by Elsa Marwood.", "Elsa Marwood"),
        ("It is old. The rail Lumia was planned by Elsa Marwood.", "Elsa Marwood"),
    ],
)
def test_let_through(text: str, name: str) -> None:
    assert name in texts(text)


def test_the_plainest_comes_first() -> None:
    (first, *_) = values(passage("Lumia", "Lumia met Ana Ruiz in Ostia.\nCapital: Arel City."))
    assert (first.text, first.type) == ("Arel City", AnswerType.ENTITY)
    linked = replace(passage("Lumia", "Lumia was led by Ana Ruiz and was taken by Quell."), links=("Quell",))
    assert [value.text for value in values(linked)] == ["Quell", "Ana Ruiz"]


def test_several_senses_under_one_title_offer_nothing() -> None:
    assert texts("1. A land whose capital is Arel City. 2. A film by Ana Ruiz.") == []
    assert texts("OLT is short for Orrin Lighthouse Trust.", "OLT") == []
