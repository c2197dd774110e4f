"""The staged proposer against a scripted model over a few linked passages: moves, readings and repairs."""

from dataclasses import replace

import pytest

from questwell.agents.proposer import Draft
from questwell.agents.session import DirectSession
from questwell.errors import LLMTimeout, RetrievalTimeout
from questwell.llm.scripted import ScriptedLLM
from questwell.staged.conftest import ASKED, BRIDGE, GUIDE, LIGHT, MARWOOD, PROPOSER, Library, model, passage, seed
from questwell.staged.facts import FactReader
from questwell.staged.paths import Hop
from questwell.staged.session import StagedSession
from questwell.staged.values import Value
from questwell.staged.wording import Fact, Kind
from questwell.types.corpus import Hit, Passage
from questwell.types.game import (
    AnswerType,
)
from questwell.types.trajectory import StopReason


async def propose(target: int, library: Library | None = None, **changes: str | Exception) -> Draft:
    session = DirectSession(ScriptedLLM(model(**changes)), library or Library())
    return await PROPOSER.propose(seed(target), session, 1)


async def test_a_path_is_found_read_and_worded() -> None:
    library = Library()
    draft = await propose(3, library)
    assert draft.proposal is not None, draft.problem
    assert (draft.proposal.question, draft.proposal.answer) == (ASKED, "1968")
    assert [step.answer for step in draft.proposal.steps] == ["Elsa Marwood", "Orrin Lighthouse", "1968"]
    assert draft.proposal.evidence == (BRIDGE, MARWOOD, LIGHT)
    assert draft.trajectory.stop is StopReason.FINISHED
    assert draft.trajectory.searches <= 12
    calls = [turn for turn in draft.trajectory.turns if turn.query is None]
    # facts; what leads on and is not plainly said, read alone; whether a work can be a lighthouse; names of one thing;
    # readings by search
    assert len(calls) == 3 + 1 + 1 + 2 + 3


async def test_a_shorter_path_is_no_proposal() -> None:
    draft = await propose(4, place_of_sale="x")
    assert draft.proposal is not None and draft.proposal.evidence == (GUIDE, BRIDGE, MARWOOD, LIGHT)
    none = await propose(5)
    assert none.proposal is None and "no path" in none.problem


async def test_each_check_drops_a_path() -> None:
    checks = {
        "Value: 1968": ("lighthouse | none | date", "it says too little"),
        "Value: Elsa Marwood": ("bridge | designers | person", "it is a plural"),
        "Value: Orrin Lighthouse": ("engineer | year | date", "it says too little"),
        "Name in passage 1: Elsa Marwood": ("no", "is not that of"),
        "Can a best known work be a lighthouse": ("no", "a best known work is not a lighthouse"),
        "Question: What is the name of the designer": ("Dunwick", "reads as 'Dunwick'"),
        "Question: What is the year": ("1986", "reads as '1986'"),
    }
    for key, (change, problem) in checks.items():
        draft = await propose(3, **{key: change})
        assert draft.proposal is None, key
        assert problem in draft.problem, draft.problem
        assert draft.trajectory.stop is StopReason.GAVE_UP


async def test_a_value_that_leads_on_is_no_date() -> None:
    draft = await propose(3, **{"Value: Orrin Lighthouse": "engineer | finest hour | date"})
    assert draft.proposal is None and "is a date" in draft.problem


async def test_what_is_read_once_is_not_read_again() -> None:
    draft = await propose(3, **{"Value: 1968": "lighthouse | none | date"})
    asked = [turn.text for turn in draft.trajectory.turns if "relation" in turn.text]
    assert len(asked) == len(set(asked)) == 3


async def test_a_question_that_finds_its_answer_at_once_is_dropped() -> None:
    class Telling(Library):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            found = await super().search(query, k)
            return (Hit(LIGHT, 9.0, 1), *found[: k - 1]) if query == ASKED else found

    draft = await propose(3, Telling())
    assert draft.proposal is None and "finds its answer at once" in draft.problem


async def test_a_hop_that_no_search_finds_costs_no_reading() -> None:
    class Hidden(Library):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            found = await super().search(query, k)
            return () if query == "What is the year of automation of Orrin Lighthouse?" else found

    draft = await propose(3, Hidden())
    assert draft.proposal is None and "does not find its passage" in draft.problem
    assert len([turn for turn in draft.trajectory.turns if turn.query is None]) == 3 + 1  # facts, and what leads on


def part(name: str, text: str) -> Passage:
    return Passage(id=f"Lumia#{name}", title="Lumia", text=text, document_id="Lumia")


CAPITAL = part("1", "Lumia is ruled from Arel City.")
RIVER = part("2", "Lumia saw the departure of Tom Quell in 1901.")


def lumia(*others: Passage) -> Library:
    class Land(Library):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            self.queries.append(query)
            found = [CAPITAL] if "Arel" in query else [RIVER] if "Quell" in query else [RIVER, CAPITAL]
            if "capital" in query and "Arel" not in query and "departure" not in query:
                found = [CAPITAL]
            if query.startswith("What is the departure year of Lumia"):
                found = [RIVER]
            return tuple(Hit(one, 1.0, rank) for rank, one in enumerate([*found, *others][:k], 1))

    return Land()


LAND = {
    "Value: Arel City": "country | capital | place",
    "Value: 1901": "country | departure year | date",
    "Question: What is the name of the capital of Lumia": "Arel City",
    "Question: What is the name of the country": "Lumia",
    "Question: What is the departure": "1901",
}


async def of_lumia(library: Library, **changes: str) -> Draft:
    start = replace(seed(2), passage=CAPITAL)
    return await PROPOSER.propose(start, DirectSession(ScriptedLLM(model(**{**LAND, **changes})), library), 1)


async def test_a_value_that_only_one_subject_has_is_a_start() -> None:
    draft = await of_lumia(lumia())
    assert draft.proposal is not None, draft.problem
    assert draft.proposal.question == "What is the departure year of the country whose capital is Arel City?"
    assert [(step.answer, step.passage_id) for step in draft.proposal.steps] == [
        ("Lumia", CAPITAL.id),
        ("1901", RIVER.id),
    ]


async def test_a_value_that_others_have_too_is_none() -> None:
    draft = await of_lumia(lumia(passage("Ostia", "Ostia lost Arel City and Tom Quell.")))
    assert draft.proposal is None
    many = await of_lumia(lumia(*[part(str(n), "Arel City, Tom Quell.") for n in range(3, 30)]))
    assert many.proposal is None  # there may be more than were looked at


async def test_what_a_subject_is_must_be_said_twice() -> None:
    draft = await of_lumia(lumia(), **{"Value: 1901": "state | departure year | date"})
    assert draft.proposal is None and "do not agree on what the subject is" in draft.problem
    settled = {"Value: Arel City": "state | capital | place", "Value: Tom Quell": "country | none | person"}
    draft = await of_lumia(lumia(), **settled)
    assert draft.proposal is None  # a fact that was dropped does not count as a reading


async def test_a_passive_makes_an_agent() -> None:
    draft = await propose(3, **{"Value: Elsa Marwood": "bridge | designed by | person"})
    assert draft.proposal is not None and draft.proposal.question == ASKED, draft.problem


async def test_a_section_is_searched_for_after_its_subject() -> None:
    law, land = (Passage(f"{n}", f"Lumia: {n}", "Nothing is told.", f"factbook/{n}") for n in ("Law", "Land"))
    library = lumia(land)
    await PROPOSER.propose(replace(seed(2), passage=law), DirectSession(ScriptedLLM(model(**LAND)), library), 1)
    assert library.queries[:2] == ["Lumia", "Lumia: Law"]
    alone = lumia()
    await PROPOSER.propose(replace(seed(2), passage=CAPITAL), DirectSession(ScriptedLLM(model(**LAND)), alone), 1)
    assert alone.queries.count("Lumia") == 1


@pytest.mark.parametrize(("ids", "asked"), [("factbook/", False), ("book/", True)])
async def test_sections_on_one_subject_tell_of_one_thing(ids: str, asked: bool) -> None:
    """Titles alone do not say so: "Alien: Covenant" and "Alien: Resurrection" are two films."""
    law = Passage("law", "Lumia: Law", "Lumia is ruled from Arel City.", f"{ids}law")
    land = Passage("land", "Lumia: Land", "Lumia saw the departure of Tom Quell in 1901.", f"{ids}land")
    session = DirectSession(ScriptedLLM(model()), Library())
    reader = FactReader(StagedSession(session, PROPOSER.prompts, 1), top_k=2)
    fact = Fact(Hop(law, Value("Arel City", AnswerType.ENTITY), inverse=True), "capital", "country", Kind.PLACE)
    assert await reader.same(fact, land) is None
    assert bool(reader.staged.calls) is asked


@pytest.mark.parametrize(
    ("name", "links", "asked"),
    [
        ("Tarn", (), True),
        ("Tarn", ("Tarn",), False),
        ("Tarn", ("Fen",), True),
        ("FIN7", (), False),
        ("V.34", (), False),
        ("1984", (), True),
        ("Apollo 13", (), True),
    ],
)
async def test_a_link_and_a_name_with_a_number_mean_one_thing(name: str, links: tuple[str, ...], asked: bool) -> None:
    orbit = Passage("o", "Orbit", f"Orbit is a compiler made by {name}.", "o", links=links)
    there = Passage("t", name, f"{name} was founded in 1971.", "t")
    reader = FactReader(StagedSession(DirectSession(ScriptedLLM(model()), Library()), PROPOSER.prompts, 1), top_k=2)
    fact = Fact(Hop(orbit, Value(name, AnswerType.ENTITY)), "maker", "compiler", Kind.ORGANIZATION)
    assert await reader.same(fact, there) is None
    assert bool(reader.staged.calls) is asked


async def test_a_heading_is_not_what_a_subject_is() -> None:
    headed = replace(part("2", "Country - departure of Tom Quell: 1901."), offset=90)
    reads = {"Value: 1901": "country | departure year of Tom Quell | date"}

    class Land(Library):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            found = [CAPITAL] if "Arel" in query else [headed, CAPITAL]
            return tuple(Hit(one, 1.0, rank) for rank, one in enumerate(found[:k], 1))

    start = replace(seed(2), passage=CAPITAL)
    draft = await PROPOSER.propose(start, DirectSession(ScriptedLLM(model(**{**LAND, **reads})), Land()), 1)
    assert draft.proposal is None and "what the subject is" in draft.problem  # only one reading says "country"


async def test_what_an_organization_made_is_not_told_apart_by_it() -> None:
    draft = await of_lumia(lumia(), **{"Value: Arel City": "country | ruler | organization"})
    assert draft.proposal is None and "'Arel City' may be that of many" in draft.problem
    forward = await propose(3, **{"Value: Elsa Marwood": "bridge | designer | organization"})
    assert forward.proposal is not None  # what it gives is asked for, not what has it
    field = replace(CAPITAL, text="Royal house: Arel City.")

    class Land(Library):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            found = (
                [field] if "Arel" in query else [RIVER] if "Quell" in query or "What is" in query else [RIVER, field]
            )
            return tuple(Hit(one, 1.0, rank) for rank, one in enumerate(found[:k], 1))

    reads = {**LAND, "Value: Arel City": "country | royal house | organization"}
    session = DirectSession(ScriptedLLM(model(**reads)), Land())
    draft = await PROPOSER.propose(replace(seed(2), passage=field), session, 1)
    assert draft.proposal is not None and "whose royal house is Arel City" in draft.proposal.question, draft.problem


async def test_a_relation_that_says_what_its_value_is_needs_no_asking() -> None:
    lighthouse = {
        "Value: Orrin Lighthouse": "engineer | first lighthouse | thing",
        "Question: What is the name of the first lighthouse": "Orrin Lighthouse",
    }
    draft = await propose(3, **lighthouse, **{"Can a first lighthouse": "no", "Question: What is the year": "1968"})
    assert draft.proposal is not None, draft.problem


TOWER = passage("Lantern Tower", "The Lantern Tower is a tower from 1866 by Elsa Marwood.")
DATED = passage("Lantern Tower", "The Lantern Tower is a 1866 stone tower by Elsa Marwood.")
GATE = passage("Arx Gate", "The Arx Gate was drawn by Elsa Marwood in 1859.")
BUILT = {
    "Subject: Lantern Tower / Value: Elsa Marwood": "tower | builder | person",
    "builder of Lantern Tower": "Elsa Marwood",
    "tower whose": "Lantern Tower",
    "builder of Harrow Bridge": "not found",
    "Value: Orrin Lighthouse": "engineer | none | thing",
}


async def of_two_works(tower: Passage, *others: Passage, kind: AnswerType = AnswerType.ENTITY, **changes: str) -> Draft:
    class Works(Library):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            self.queries.append(query)
            found = (
                [BRIDGE]
                if query.startswith("the designer") or "whose builder is the" in query
                else [BRIDGE, tower, *others]
            )
            found = [tower] if "tower whose builder is Elsa" in query else found
            return tuple(Hit(one, 1.0, rank) for rank, one in enumerate(found[:k], 1))

    start = replace(seed(2), answer_type=kind)
    session = DirectSession(ScriptedLLM(model(**{**BUILT, **changes})), Works())
    return await replace(PROPOSER, enough=1).propose(start, session, 1)


async def test_a_path_goes_on_from_a_name_to_what_it_belongs_to() -> None:
    draft = await of_two_works(TOWER)
    assert draft.proposal is not None, draft.problem
    assert draft.proposal.question == "What is the tower whose builder is the designer of Harrow Bridge?"
    assert draft.proposal.answer == "Lantern Tower"
    assert [step.passage_id for step in draft.proposal.steps] == [BRIDGE.id, TOWER.id]
    dated = await of_two_works(DATED)
    assert dated.proposal is not None, dated.problem
    assert dated.proposal.question == "What is the 1866 tower whose builder is the designer of Harrow Bridge?"


async def test_a_year_tells_works_of_one_maker_apart() -> None:
    dated = await of_two_works(DATED, GATE)
    assert dated.proposal is not None, dated.problem
    assert dated.proposal.question == "What is the 1866 tower whose builder is the designer of Harrow Bridge?"
    same_year = replace(GATE, text=GATE.text.replace("1859", "1866"))
    for tower, other in ((TOWER, GATE), (DATED, same_year)):
        assert (await of_two_works(tower, other)).proposal is None
    twice = await of_two_works(DATED, **{"Subject: Lantern Tower / Value: Elsa Marwood": "spire | builder | person"})
    assert twice.proposal is None and "what the subject is" in twice.problem  # the year is not said of a spire


async def test_a_year_in_the_question_does_not_tell_the_answer() -> None:
    opened = replace(DATED, text=f"{DATED.text} The Lantern Tower was opened on 3 May 1866.")
    reads = {"Value: 3 May 1866": "tower | opening date | date", "Tower opened?": "3 May 1866"}
    draft = await of_two_works(opened, kind=AnswerType.DATE, **reads)
    assert draft.proposal is None, draft.proposal
    later = replace(opened, text=opened.text.replace("3 May 1866", "3 May 1871"))
    reads = {"Value: 3 May 1871": "tower | opening date | date", "Tower opened?": "3 May 1871"}
    draft = await of_two_works(later, kind=AnswerType.DATE, **reads)
    assert draft.proposal is not None and draft.proposal.answer == "3 May 1871", draft.problem
    asked = "When was the 1866 tower whose builder is the designer of Harrow Bridge opened?"
    assert draft.proposal.question == asked  # in the passage's word, not as an opening date


async def test_a_thing_that_the_path_comes_from_must_not_be_meant_as_well() -> None:
    doubled = await of_two_works(TOWER, **{"builder of Harrow Bridge": "Elsa Marwood"})
    assert doubled.proposal is None and "is answered with 'Elsa Marwood' too" in doubled.problem
    one = {
        "Subject: Harrow Bridge / Value: Elsa Marwood": "bridge | chief designer | person",
        "Subject: Lantern Tower / Value: Elsa Marwood": "tower | designer | person",
        "designer of Lantern Tower": "Elsa Marwood",
        "designer of Harrow Bridge": "Elsa Marwood",
    }
    same = await of_two_works(TOWER, **one)
    assert same.proposal is None and "as well" in same.problem
    dated = await of_two_works(DATED, **{"builder of Harrow Bridge": "Elsa Marwood"})
    assert dated.proposal is not None  # the year tells them apart


async def test_a_thing_that_only_bears_the_name_is_not_the_subject() -> None:
    """Once a film about two people was taken for them: their passages have one title."""
    opening = replace(part("0", "Lumia was a queen, of whom a film tells, who died in 1855."), offset=0)
    named = replace(part("1", "The film Lumia was directed by Arel Penn."), offset=90)
    reads = {
        "Value: Arel Penn": "film | director | person",
        "Value: 1855": "person | year of death | date",
        "director of Lumia": "Arel Penn",
        "film whose director": "Lumia",
        "year of death of Lumia": "1855",
    }

    class Shared(Library):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            found = [named] if "Arel Penn" in query else [opening, named]
            return tuple(Hit(one, 1.0, rank) for rank, one in enumerate(found[:k], 1))

    start = replace(seed(2), passage=opening)
    session = DirectSession(ScriptedLLM(model(**reads)), Shared())
    draft = await PROPOSER.propose(start, session, 1)
    assert draft.proposal is None and "what the subject is" in draft.problem


async def test_a_relation_that_two_fields_bear_is_dropped() -> None:
    fields = part("3", "Court - summer capital: Quenn.\nCourt - winter capital: Arel.")
    draft = await of_lumia(lumia(fields))
    assert (
        draft.proposal is None and "may be any of 'Court - summer capital', 'Court - winter capital'" in draft.problem
    )
    assert (
        await of_lumia(lumia(part("3", "Capital - summer palace: Quenn.\nCourt - capital: Arel.")))
    ).proposal is not None


async def test_a_date_must_be_said_to_be_what_it_is_read_as() -> None:
    draft = await of_lumia(lumia(), **{"Value: 1901": "country | founding year | date"})
    assert draft.proposal is None and "no word near it says so" in draft.problem


async def test_a_date_of_a_version_is_dropped() -> None:
    third = replace(RIVER, text="Lumia 3 saw the departure of Tom Quell in 1901, and Lumia stood.")
    draft = await propose_from(third)
    assert draft.proposal is None and "it is told of a version" in draft.problem


async def propose_from(river: Passage) -> Draft:
    class Land(Library):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            return tuple(Hit(one, 1.0, rank) for rank, one in enumerate([river, CAPITAL][:k], 1))

    start = replace(seed(2), passage=CAPITAL)
    return await PROPOSER.propose(start, DirectSession(ScriptedLLM(model(**LAND)), Land()), 1)


async def test_an_amount_below_a_heading_of_several_is_dropped() -> None:
    years = part("3", "Departure year - first ship: 1899.\nDeparture year - last ship: 1901.")
    draft = await of_lumia(lumia(years))
    assert draft.proposal is None
    assert "may be any of 'Departure year - first ship', 'Departure year - last ship'" in draft.problem
    names = part("3", "Capital - name: Arel City.\nCapital - meaning: old town.")
    assert (await of_lumia(lumia(names))).proposal is not None  # a name is told apart by being one


async def test_a_name_of_two_things_is_no_start() -> None:
    double = Passage(id="x", title="Harrow Bridge (film)", text="Harrow Bridge is a film.", document_id="x")

    class Two(Library):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            found = await super().search(query, k)
            return (*found, Hit(double, 0.1, 9)) if query == "Harrow Bridge" else found

    draft = await propose(3, Two())
    assert draft.proposal is None and "several things" in draft.problem


async def test_failures_are_data() -> None:
    draft = await propose(3, Value=LLMTimeout("slow"))
    assert (draft.trajectory.stop, draft.proposal) == (StopReason.ERRORED, None)
    late = await propose(3, Library(RetrievalTimeout("late")))
    assert (late.trajectory.stop, late.proposal) == (StopReason.ERRORED, None)
    assert "late" in late.trajectory.error
