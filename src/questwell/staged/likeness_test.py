"""Names that tell other names and names that do not, and when two readings agree."""

import pytest

from questwell.staged.likeness import agrees, tells


@pytest.mark.parametrize(
    ("clue", "hidden"),
    [
        ("Albanian Parliament", "Albania"),
        ("Parliament of the Korean people", "Republic of Korea"),
        ("French Guard", "France"),
        ("Polish Army", "Poland"),
        ("Universidad de Málaga", "Malaga"),
        ("Évora Museum", "Evoran Republic"),
        ("Modula-2 System", "Modula-2"),
        ("Harrow Bridge Company", "Harrow Bridge"),
        ("Peak of Arx Tome", "Arx Tome and Quell"),
        ("Massachusetts Institute of Technology", "MIT"),
        ("MIT", "Massachusetts Institute of Technology"),
        ("Москва-река", "Москва"),
    ],
)
def test_a_clue_that_tells(clue: str, hidden: str) -> None:
    assert tells(clue, hidden)


@pytest.mark.parametrize(
    ("clue", "hidden"),
    [
        ("Tirana", "Albania"),
        ("Intel Corporation", "Microsoft Corporation"),
        ("Elsa Marwood", "Harrow Bridge"),
        ("University of Bath", "University of York"),
        ("Mount Arel", "Lumia"),
        ("1968", "Orrin Lighthouse"),
        ("Tom of Ely", "The Lord of Arx"),
        ("IBM", "DEC"),
        ("Arx and Fen", "Quell and Tome"),
        ("Peak of Arx", "Arx and Quell"),
    ],
)
def test_a_clue_that_does_not(clue: str, hidden: str) -> None:
    assert not tells(clue, hidden)


@pytest.mark.parametrize(
    ("found", "agreed"),
    [
        ("Prime Minister Edi Rama", True),
        ("edi rama", True),
        ("Rama", False),  # one word of a name may be another's
        ("Prime Minister", False),
        ("the Prime Minister Edi Rama of Albania", True),
        ("Prime Minister Edi Rama, who has led the country and its party since then", False),
        ("not found", False),
        ("", False),
    ],
)
def test_readings_agree_but_for_articles_titles_and_a_few_words(found: str, agreed: bool) -> None:
    assert agrees(found, ("Prime Minister Edi Rama",)) is agreed


def test_an_alias_agrees() -> None:
    assert agrees("96", ("96 metres", "96"))
    assert not agrees("69", ("96 metres", "96"))
