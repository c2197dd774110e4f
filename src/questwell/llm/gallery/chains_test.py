"""Chains: who follows one comes to its answer, and one search with the question does not settle it."""

from collections.abc import Sequence
from dataclasses import replace

from questwell.llm.gallery.chains import Chain, Next, Shown, chains
from questwell.llm.gallery.puzzles import follow, read

LIGHT = Shown(4, "Gannet Light", "Gannet Light was built by Ines Marlow on a rock.")
MARLOW = Shown(7, "Ines Marlow", "Her best known work is the Tern Bridge over a sound.")
BRIDGE = Shown(9, "Tern Bridge", "It was opened in 1894 by nobody.")
OTHER = Shown(5, "Quill Prize", "The prize was founded in 1901.")
ALL = (OTHER, BRIDGE, MARLOW, LIGHT)


def chain(passages: Sequence[Shown], length: int, kinds: Sequence[str]) -> Chain | None:
    return next(chains(passages, length, kinds), None)


def test_a_chain_names_its_beginning_and_nothing_else() -> None:
    made = chain((LIGHT, MARLOW, BRIDGE), 3, ["date"])
    assert made is not None and made.answer == "1894"
    assert made.steps == (
        ("Gannet Light", "Ines Marlow", 4),
        ("Ines Marlow", "Tern Bridge", 7),
        ("Tern Bridge", "1894", 9),
    )
    assert "Gannet Light" in made.question
    assert not any(word in made.question for word in ("Marlow", "Tern", "1894"))


def test_there_is_none_where_passages_do_not_lead_on() -> None:
    assert chain(ALL, 4, ["date"]) is None
    assert chain((LIGHT, BRIDGE, OTHER), 2, ["date"]) is None
    assert chain((replace(LIGHT, text="Built by Ines Marlow, for Ines Marlow."), OTHER), 2, ["date"]) is None
    assert chain((LIGHT, replace(MARLOW, text="She was born in 1850, and 1850 was cold.")), 3, ["date"]) is None


def test_an_answer_that_the_question_names_is_left_out() -> None:
    looped = replace(BRIDGE, text="It leads to Gannet Light, and to Port Arrow.")
    made = chain((LIGHT, MARLOW, looped), 3, ["entity"])
    assert made is not None and made.answer not in made.question and made.answer != "Gannet Light"


def test_who_follows_it_searches_for_each_name_in_turn() -> None:
    made = chain(ALL, 3, ["date"])
    assert made is not None
    found: dict[str, list[Shown]] = {}
    for query, hits in (("Gannet Light", [OTHER, LIGHT]), ("Ines Marlow", [MARLOW]), ("Tern Bridge", [OTHER, BRIDGE])):
        assert follow(made.question, found) == Next(query)
        found[query] = hits
    assert follow(made.question, found) == Next(answer="1894", at="Tern Bridge")
    assert follow(made.question, {"Gannet Light": [OTHER]}) == Next()
    assert follow("Which year was it?", {}) is None


def test_a_reader_needs_every_passage() -> None:
    made = chain(ALL, 3, ["date"])
    assert made is not None and read(made.question, ALL) == "1894"
    for missing in (LIGHT, MARLOW, BRIDGE):
        assert read(made.question, [one for one in ALL if one is not missing]) is None
