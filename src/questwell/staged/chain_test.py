import random

from questwell.staged.chain import Link, chains, depths, links
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType


def passage(title: str, text: str) -> Passage:
    return Passage(id=f"{title}#0", title=title, text=text, document_id=title)


BRIDGE = passage("Harrow Bridge", "The Harrow Bridge was designed by Elsa Marwood.")
MARWOOD = passage("Elsa Marwood", "Elsa Marwood designed the tower at Orrin Lighthouse.")
LIGHT = passage("Orrin Lighthouse", "The Orrin Lighthouse was automated in 1968.")
POOL = [LIGHT, BRIDGE, MARWOOD]


def found(pool: list[Passage], length: int, kind: AnswerType = AnswerType.DATE) -> list[list[str]]:
    return [[p.title for p in chain.passages] for chain in chains(pool, length, kind, random.Random(1), BRIDGE)]


def test_links_lead_to_what_a_passage_names() -> None:
    assert list(links(BRIDGE, POOL)) == [Link(BRIDGE, "Elsa Marwood", MARWOOD)]
    assert list(links(LIGHT, POOL)) == []


def test_chains_of_each_length() -> None:
    assert found(POOL, 3) == [["Harrow Bridge", "Elsa Marwood", "Orrin Lighthouse"]]
    assert found(POOL, 2) == [["Elsa Marwood", "Orrin Lighthouse"]]
    assert found(POOL, 1) == [["Orrin Lighthouse"]]
    assert found(POOL, 4) == []
    assert found(POOL, 3, AnswerType.NUMBER) == []


def test_no_step_can_be_skipped() -> None:
    tells = passage(
        "Harrow Bridge", "The Harrow Bridge was designed by Elsa Marwood. Its lamp came from Orrin Lighthouse."
    )
    assert found([LIGHT, tells, MARWOOD], 3) == []  # the first passage names what the second should lead to
    knows = passage("Harrow Bridge", "The Harrow Bridge was designed by Elsa Marwood. It was closed in 1968.")
    assert found([LIGHT, knows, MARWOOD], 3) == []  # the first passage holds the answer


def test_several_senses_under_one_title_make_no_chain() -> None:
    senses = passage("Elsa Marwood", "1. A tower at Orrin Lighthouse. 2. Elsa Marwood drew Orrin Lighthouse.")
    assert found([LIGHT, BRIDGE, senses], 3) == []


def test_chains_through_the_seed_come_first() -> None:
    other = passage("Cape Solace", "Cape Solace is lit by Orrin Lighthouse.")
    assert [titles[0] for titles in found([other, *POOL], 2)] != []
    first = chains([other, *POOL], 2, AnswerType.DATE, random.Random(1), other)[0]
    assert first.first is other


def test_depths_count_the_longest_chain_that_ends_in_a_passage() -> None:
    assert depths(POOL, 5) == {"Harrow Bridge#0": 1, "Elsa Marwood#0": 2, "Orrin Lighthouse#0": 3}
    assert depths(POOL, 2)["Orrin Lighthouse#0"] == 2


def test_an_abbreviation_is_no_step() -> None:
    short = passage("OLT", "OLT is short for Orrin Lighthouse Trust.")
    trust = passage("Orrin Lighthouse Trust", "The Orrin Lighthouse Trust began in 1999.")
    assert list(links(short, [trust])) == []
    assert found([passage("OL Trust", "OL Trust means Orrin Lighthouse Trust.")], 1, AnswerType.ENTITY) == []
    assert found([passage("OL Trust", "OL Trust is run by Elsa Marwood.")], 1, AnswerType.ENTITY) == [["OL Trust"]]
