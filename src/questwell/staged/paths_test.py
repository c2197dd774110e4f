"""Paths over passages, against the rules that make each hop needed."""

import random
from dataclasses import replace

import pytest

from questwell.staged import paths as paths_file
from questwell.staged.conftest import BRIDGE, GUIDE, LIGHT, MARWOOD, WORLD, passage
from questwell.staged.paths import Hop, Path, apart, is_ambiguous, leading_to, paths, promise, searches
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType

LAND = passage("Lumia: a", "Capital: Arel City.")
TYPES = (AnswerType.DATE, AnswerType.NUMBER, AnswerType.ENTITY)


def section(name: str, text: str) -> Passage:
    """Another passage of the document `Lumia`."""
    return Passage(id=f"Lumia#{name}", title="Lumia", text=text, document_id="Lumia")


FIRST = section("1", "Lumia is ruled from Arel City.")
SECOND = section("2", "Lumia is crossed by River Quell.")


def found(pool: list[Passage], length: int, *types: AnswerType) -> list[Path]:
    return paths(pool, length, types or (AnswerType.DATE,), BRIDGE, random.Random(1))


def titles(pool: list[Passage], length: int) -> list[list[str]]:
    return [[hop.passage.title for hop in path] for path in found(pool, length)]


def test_paths_apart_have_no_hop_in_common() -> None:
    pool = [BRIDGE, MARWOOD, LIGHT, GUIDE]
    every = [path for length in (1, 2, 3) for path in found(pool, length, *TYPES)]
    chosen = apart(every)
    hops = [{(hop.passage.id, hop.value.text) for hop in path} for path in chosen]
    assert chosen[0] == every[0] and len(chosen) > 1
    assert sum(map(len, hops)) == len(set().union(*hops))
    for path in every:  # no other could be added; a hop and its inverse are the same fact
        assert path in chosen or {(hop.passage.id, hop.value.text) for hop in path} & set().union(*hops)
    assert apart([]) == []
    fact = Hop(BRIDGE, every[0][0].value)
    assert apart([(fact,), (replace(fact, inverse=True),)]) == [(fact,)]


def test_forward_paths_of_each_length() -> None:
    pool = [LIGHT, BRIDGE, MARWOOD]
    assert titles(pool, 3) == [["Harrow Bridge", "Elsa Marwood", "Orrin Lighthouse"]]
    assert titles(pool, 2) == [["Elsa Marwood", "Orrin Lighthouse"]]
    assert titles(pool, 1) == [["Orrin Lighthouse"]]
    assert titles(pool, 4) == []
    assert titles([*WORLD], 4) == [["Dunwick Guide", "Harrow Bridge", "Elsa Marwood", "Orrin Lighthouse"]]
    assert found(pool, 3, AnswerType.NUMBER) == []
    (path,) = found(pool, 3)
    assert [(hop.known, hop.found) for hop in path] == [
        ("Harrow Bridge", "Elsa Marwood"),
        ("Elsa Marwood", "Orrin Lighthouse"),
        ("Orrin Lighthouse", "1968"),
    ]


def test_an_inverse_hop_leads_from_a_value_to_another_passage_about_its_subject() -> None:
    hops = [[(hop.known, hop.found) for hop in path] for path in found([FIRST, SECOND], 2, AnswerType.ENTITY)]
    assert [("Arel City", "Lumia"), ("Lumia", "River Quell")] in hops
    assert [("River Quell", "Lumia"), ("Lumia", "Arel City")] in hops
    assert found([FIRST], 2, AnswerType.ENTITY) == []
    arel = passage("Arel City", "Arel City is a town.")  # named by many others, for it has a passage
    assert all(path[0].known != "Arel City" for path in found([FIRST, SECOND, arel], 2, AnswerType.ENTITY))


TOWER = passage("Lantern Tower", "The Lantern Tower was planned by Elsa Marwood and paid for by Piers Holt.")
FERRY = passage("Quill Ferry", "The Quill Ferry was bought by Piers Holt. It was sunk in 1902.")


def known_and_found(pool: list[Passage], length: int, *types: AnswerType) -> list[list[tuple[str, str]]]:
    return [[(hop.known, hop.found) for hop in path] for path in found(pool, length, *types)]


def test_an_inverse_hop_leads_on_from_a_name_without_a_passage() -> None:
    there = [("Harrow Bridge", "Elsa Marwood"), ("Elsa Marwood", "Lantern Tower")]
    assert there in known_and_found([BRIDGE, TOWER], 2, AnswerType.ENTITY)
    assert all(searches(path) == 2 for path in found([BRIDGE, TOWER], 2, AnswerType.ENTITY))
    on = [*there, ("Lantern Tower", "Piers Holt"), ("Piers Holt", "Quill Ferry"), ("Quill Ferry", "1902")]
    assert on in known_and_found([BRIDGE, TOWER, FERRY], 3)
    assert known_and_found([BRIDGE, TOWER, FERRY], 4) == []  # two facts of one passage are one search
    third = passage("Arx Gate", "The Arx Gate was drawn by Elsa Marwood.")
    assert there not in known_and_found([BRIDGE, TOWER, third], 2, AnswerType.ENTITY)  # two things may be meant
    told = passage("Quill", "Roads meet. A statue of the friend of Elsa Marwood is there.")
    assert there not in known_and_found([BRIDGE, TOWER, told], 2, AnswerType.ENTITY)  # it may be meant as well
    dated = passage("Lantern Tower", "The Lantern Tower is a 1866 tower planned by Elsa Marwood.")
    assert there in known_and_found([BRIDGE, dated, third], 2, AnswerType.ENTITY)
    more = [passage(f"Gate {number}", f"Gate {number} was drawn by Elsa Marwood.") for number in range(10, 17)]
    assert there in known_and_found([BRIDGE, dated, *more[:6]], 2, AnswerType.ENTITY)
    assert there not in known_and_found([BRIDGE, dated, *more], 2, AnswerType.ENTITY)  # that is no maker of a few
    same_year = passage("Arx Gate", "The Arx Gate was drawn by Elsa Marwood in 1866.")
    assert there not in known_and_found([BRIDGE, dated, same_year], 2, AnswerType.ENTITY)


def test_what_an_inverse_hop_finds_is_asked_for_another_fact_of_its_passage() -> None:
    paths_of_two = known_and_found([TOWER, FERRY], 2)
    assert [("Lantern Tower", "Piers Holt"), ("Piers Holt", "Quill Ferry"), ("Quill Ferry", "1902")] in paths_of_two
    assert all(len({hop.found for hop in path}) == len(path) for path in found([TOWER, FERRY, BRIDGE], 2, *TYPES))


def test_a_question_does_not_begin_with_a_form_of_what_it_asks_for() -> None:
    assembly = section("1", "Lumia is ruled by Lumian Assembly.")
    assert all(path[0].known != "Lumian Assembly" for path in found([assembly, SECOND], 2, AnswerType.ENTITY))
    lumian = passage("Lumian Rail", "The Lumian Rail was built by Elsa Marwood.")
    lands = [passage("Elsa Marwood", "Elsa Marwood was born in Lumia."), FIRST]
    assert known_and_found([lumian, *lands], 3, AnswerType.ENTITY) == []
    other = passage("Quill Rail", "The Quill Rail was built by Elsa Marwood.")
    assert [("Quill Rail", "Elsa Marwood"), ("Elsa Marwood", "Lumia"), ("Lumia", "Arel City")] in known_and_found(
        [other, *lands], 3, AnswerType.ENTITY
    )


def test_a_document_that_begins_with_another_name_is_left_out() -> None:
    """Once the man of that name was taken for the film about him."""
    first = Passage("m#0", "The Tall Man", "Joseph Quell was a clerk born in Arel City.", "m")
    later = Passage("m#1", "The Tall Man", "The film The Tall Man was directed by Elsa Marwood.", "m", 60)
    pool = [first, later, MARWOOD, TOWER]
    assert not any(hop.passage.document_id == "m" for path in found(pool, 2, *TYPES) for hop in path)
    own = replace(first, text=f"The Tall Man {first.text.removeprefix('Joseph Quell ')}")
    assert any(path[0].passage == later for path in found([own, later, MARWOOD, TOWER], 2, *TYPES))


def test_no_hop_can_be_skipped() -> None:
    tells = passage("Harrow Bridge", "It was designed by Elsa Marwood. Its lamp came from Orrin Lighthouse.")
    assert titles([LIGHT, tells, MARWOOD], 3) == []  # the first passage names what the second should lead to
    knows = passage("Harrow Bridge", "It was designed by Elsa Marwood. It was closed in 1968.")
    assert titles([LIGHT, knows, MARWOOD], 3) == []  # the first passage holds the answer
    both = section("2", "Lumia is crossed by River Quell. It is ruled from Arel City.")
    assert all(path[0].known != "Arel City" for path in found([FIRST, both], 2, AnswerType.ENTITY))


def test_paths_through_the_seed_come_first() -> None:
    """Of two that are said as plainly."""
    cape = passage("Cape Solace", "Cape Solace is a harbour at Orrin Lighthouse.")
    for number in range(8):
        first = paths([MARWOOD, LIGHT, cape], 2, TYPES, cape, random.Random(number))[0]
        assert first[0].passage is cape


def test_a_path_that_comes_from_one_word_promises_less() -> None:
    assembly = section("1", "Lumia is ruled from Assembly.")
    two, one = (found([first, SECOND], 2, AnswerType.ENTITY) for first in (FIRST, assembly))
    assert next(path[0].known for path in one if path[0].inverse) == "River Quell"
    starts = {path[0].known: promise(path, TYPES, BRIDGE) for path in (*two, *one) if path[0].inverse}
    assert starts["Assembly"] <= starts["Arel City"] - 2


def test_what_leads_to_a_name() -> None:
    hops = leading_to("Elsa Marwood", [GUIDE, BRIDGE, MARWOOD, LIGHT], "Who taught Elsa Marwood?")
    assert [hop.known for hop in hops] == ["Harrow Bridge"]
    assert leading_to("Elsa Marwood", [BRIDGE], "Who taught Elsa Marwood of Harrow Bridge?") == []


def test_a_name_of_several_things_is_ambiguous() -> None:
    film, book = passage("Hook (film)", "A film."), passage("Hook (novel)", "A book.")
    assert is_ambiguous("Hook", [film, book])
    assert not is_ambiguous("Hook", [film, film])
    assert is_ambiguous("Hook", [film, passage("Hook", "A tool.")])


def test_a_hop_knows_which_it_is() -> None:
    (hop,) = [hop for hop in leading_to("Lumia", [FIRST, SECOND], "") if hop.known == "Arel City"]
    assert hop == Hop(FIRST, hop.value, inverse=True)
    assert hop.key == (FIRST.id, "Arel City", True)


def test_the_work_is_bounded_however_large_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a run stood still here: three hops over a hundred passages that all name each other."""
    names = [f"{chr(65 + number // 26)}{chr(97 + number % 26)}rel City" for number in range(60)]
    told = "".join(f"Neighbour {name}: {name}.\n" for name in names)
    pool = [Passage(name, name, told, name) for name in names]
    tried = 0

    def counting(path: paths_file.Path) -> bool:
        nonlocal tried
        tried += 1
        return len(path) < 4  # so no path is ever whole

    monkeypatch.setattr(paths_file, "_is_step", counting)
    paths_file.paths(pool, 4, list(AnswerType), pool[0], random.Random(1))
    assert 1_000 < tried <= 60_000
