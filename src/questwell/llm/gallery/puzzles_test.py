"""Puzzles of each kind: who follows one comes to its answer by its steps, and no passage can be left out."""

import pytest

from questwell.llm.gallery.chains import Next, Shown
from questwell.llm.gallery.puzzles import KINDS, Puzzle, follow, puzzle, read

LIGHT = Shown(4, "Gannet Light", "Gannet Light was lit in 1881. It is built of Hollin granite.")
WYNN = Shown(7, "Casper Wynn", "He began as keeper of Gannet Light, and was born in 1850.")
HOLLIN = Shown(9, "Hollin", "A village with 48 houses. It gave its stone to Gannet Light.")
TERN = Shown(5, "Tern Bridge", "It ends in Hollin, and cost 96 crowns.")
ALL = (LIGHT, WYNN, HOLLIN, TERN)


def made(kind: str, length: int = 2) -> Puzzle:
    found = puzzle(kind, (*ALL, LIGHT), length, ["date", "number"])  # a passage may be shown twice
    assert found is not None
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_who_follows_it_searches_as_its_steps_say_and_comes_to_the_answer(kind: str) -> None:
    asked = made(kind)
    found: dict[str, list[Shown]] = {}
    for query, _, number in asked.steps:
        if query not in found:
            assert follow(asked.question, found) == Next(query)
            found[query] = [one for one in ALL if one.number == number]
    stands = follow(asked.question, found)
    assert stands is not None and (stands.query, stands.answer) == ("", asked.answer)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_needs_every_passage_and_the_question_gives_nothing_away(kind: str) -> None:
    asked = made(kind)
    assert read(asked.question, ALL) == asked.answer
    used = {number for _, _, number in asked.steps}
    assert len(used) >= 2
    for missing in used:
        assert read(asked.question, [one for one in ALL if one.number != missing]) is None
    assert asked.answer not in asked.question
    middle = [finds for query, finds, _ in asked.steps if finds in {query for query, _, _ in asked.steps}]
    assert middle and not any(finds in asked.question for finds in middle)


def test_each_kind_is_what_it_is_called() -> None:
    crossing = made("intersection")
    assert crossing.steps[:2] == (("Casper Wynn", "Gannet Light", 7), ("Hollin", "Gannet Light", 9))
    assert crossing.answer == "1881" and not crossing.operation
    temporal = made("temporal")
    assert temporal.question.startswith("As of 18") and temporal.answer not in temporal.question
    assert puzzle("temporal", (HOLLIN, TERN), 2, ["number"]) is None  # no year there
    difference, smaller = made("calculation"), made("comparison")
    values = [int(words) for words, _ in difference.operands]
    assert (difference.operation, difference.answer) == ("difference", str(max(values) - min(values)))
    named = dict(words.split(" = ") for words, _ in smaller.operands)
    assert smaller.operation == "order" and smaller.answer == min(named, key=lambda name: int(named[name]))
    assert len({number for _, number in smaller.operands}) == 2


def test_there_is_none_where_passages_do_not_lead_on() -> None:
    for kind in KINDS:
        assert puzzle(kind, (LIGHT,), 2, ["date"]) is None
    assert puzzle("intersection", (LIGHT, WYNN, TERN), 2, ["date"]) is None  # one clue is none
    assert puzzle("intersection", ALL, 5, ["date"]) is None


def test_two_clues_that_lead_apart_lead_nowhere() -> None:
    asked = made("intersection")
    other = Shown(9, "Hollin", "A village with 48 houses. It gave its stone to Port Arrow.")
    assert follow(asked.question, {"Casper Wynn": [WYNN], "Hollin": [other]}) == Next()
    assert follow("Which year was it?", {}) is None


def test_facts_that_are_no_whole_numbers_are_not_put_together() -> None:
    asked = made("calculation")
    pages = {one.title: [one] for one in ALL}
    end = asked.steps[-1][0]
    (text,) = (one.text for one in ALL if one.title == end)
    pages[end] = [Shown(1, end, text.replace(asked.steps[-1][1], "4.2"))]
    assert follow(asked.question, pages) == Next()
