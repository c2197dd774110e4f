"""Names that tell other names, and names that do not."""

import pytest

from questwell.staged.likeness import tells


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
