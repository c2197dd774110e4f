"""Comparisons by the year that a passage opens with: "a 1969 film"."""

import json
import re
from collections.abc import Sequence

import pytest

from questwell.agents.prompts import Prompts
from questwell.agents.proposer import Draft
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession
from questwell.llm.client import Request
from questwell.llm.scripted import ScriptedLLM
from questwell.staged.comparing import read_comparison
from questwell.staged.conftest import passage
from questwell.staged.pairing_test import Library as NameLibrary
from questwell.staged.proposer import StagedProposer
from questwell.staged.solver import StagedSolver
from questwell.types.corpus import Hit, Passage
from questwell.types.derivation import Operation
from questwell.types.game import AnswerType, Seed

FILMS = {
    "Windlass": (1950, "Ana Ruiz"),
    "Goopy": (1960, "Ana Ruiz"),
    "Catchfly": (1961, "Ole Brandt"),
    "Marram": (1955, "Elsa Marwood"),
    "Teasel": (1990, "Ivo Tamm"),
}
"""Year and director of each film."""
WORLD = [
    passage(title, f"{title} is a {year} war film directed by {director}.") for title, (year, director) in FILMS.items()
]


class Library(NameLibrary):
    """Finds no film by its year."""

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        return await super().search(re.sub(r"\d{4}", "", query), k)


def answer(request: Request) -> str:
    """Reads the world as it is."""
    last = request.messages[-1].content.splitlines()[-1]
    if last.startswith("Value: "):
        return json.dumps({"subject": "film", "relation": "director", "value": "person"})
    asked = last.removeprefix("Question: ")
    for title, (year, director) in FILMS.items():
        if asked == f"What is the year of {title}?":
            return json.dumps({"answer": str(year)})
        if re.fullmatch(rf"What is the (?:name of the )?director of (?:film )?{title}\?", asked):
            return json.dumps({"answer": director})
        if re.fullmatch(rf"What is (?:the name of )?the {year} film whose director is {director}\?", asked):
            return json.dumps({"answer": title})
    return json.dumps({"answer": "not found", "same": "yes", "can": "yes"})


async def propose(
    types: tuple[AnswerType, ...] = (AnswerType.ENTITY,),
    library: Sequence[Passage] = WORLD,
    target: int = 3,
    llm: ScriptedLLM | None = None,
) -> Draft:
    proposer = StagedProposer(Prompts(), RolloutLimits(searches=30, top_k=2))
    seed = Seed(0, library[0], target, types[0], types[1:], 3)
    return await proposer.propose(seed, DirectSession(llm or ScriptedLLM(answer), Library(library)), 1)


def undated(one: Passage) -> Passage:
    return passage(one.title, re.sub(r"a \d{4} ", "a ", one.text))


WINDLASS, GOOPY, CATCHFLY, MARRAM, _ = WORLD
ONE_DATED = (undated(WINDLASS), GOOPY)
"""Only Goopy, of 1960, can be compared by its year."""


async def test_what_two_searches_find_is_compared_by_its_year_with_another_that_is_named() -> None:
    draft = await propose()
    pair = draft.proposal
    assert pair is not None, draft.problem
    found = re.fullmatch(
        r"Which film is from an? (earlier|later) year, (\w+) or the (\d{4}) film whose director is "
        r"the director of (\w+)\?",
        pair.question,
    )
    assert found is not None, pair.question
    word, named, year, clue = found.groups()
    assert {pair.answer, clue} == {"Windlass", "Goopy"}
    assert year == str(FILMS[pair.answer][0])
    assert (FILMS[named][0] > FILMS[pair.answer][0]) == (word == "earlier")
    assert abs(FILMS[named][0] - FILMS[pair.answer][0]) >= 2  # Catchfly may have been shown a year before
    assert pair.derivation is not None and pair.derivation.operation is Operation.ORDER
    assert len(pair.evidence) == 3
    assert [step.answer for step in pair.steps] == ["Ana Ruiz", pair.answer, year, str(FILMS[named][0])]
    solver = StagedSolver(Prompts(), RolloutLimits(turns=10, searches=10, top_k=2), 1.0)
    for random_seed in range(4):
        solved = await solver.solve(pair.question, DirectSession(ScriptedLLM(answer), Library(WORLD)), random_seed)
        assert (solved.answer, solved.searches) == (pair.answer, 4)


async def test_the_closest_year_that_is_far_enough_is_compared() -> None:
    pair = (await propose()).proposal
    assert pair is not None
    read = read_comparison(pair.question)
    assert read is not None
    assert read.sides[0] == "Marram"  # five years from both


async def test_a_film_that_names_the_others_is_no_partner() -> None:
    telling = [
        passage(one.title, f"{one.text} It is shown with Windlass.") if one.title == "Marram" else one for one in WORLD
    ]
    pair = (await propose(library=telling)).proposal
    assert pair is not None
    read = read_comparison(pair.question)
    assert read is not None and read.sides[0] in ("Catchfly", "Teasel")


@pytest.mark.parametrize("types", [(AnswerType.DATE,), (AnswerType.NUMBER, AnswerType.DATE)])
async def test_a_year_that_must_be_the_answer_is_not_compared(types: tuple[AnswerType, ...]) -> None:
    pair = (await propose(types)).proposal
    assert pair is None or read_comparison(pair.question) is None


async def test_things_of_another_kind_are_not_compared() -> None:
    books = [
        one if one.title in ("Windlass", "Goopy") else passage(one.title, one.text.replace("film", "novel"))
        for one in WORLD
    ]
    pair = (await propose(library=books)).proposal
    assert pair is None or read_comparison(pair.question) is None


async def test_two_and_four_searches_compare_no_years() -> None:
    for target in (2, 4):
        pair = (await propose(target=target)).proposal
        assert pair is None or read_comparison(pair.question) is None


@pytest.mark.parametrize(("year", "may"), [(1958, True), (1959, False), (1961, False), (1962, True)])
async def test_two_years_are_far_enough(year: int, *, may: bool) -> None:
    other = passage("Ramson", f"Ramson is a {year} war film directed by Ivo Tamm.")

    def reads(request: Request) -> str:
        asked = request.messages[-1].content.splitlines()[-1].removeprefix("Question: ")
        return json.dumps({"answer": str(year)}) if asked == "What is the year of Ramson?" else answer(request)

    pair = (await propose(library=[*ONE_DATED, other], llm=ScriptedLLM(reads))).proposal
    assert (pair is not None) is may
    if pair is not None:
        assert pair.answer == "Goopy"


async def test_a_name_of_two_things_is_compared_with_nothing() -> None:
    film, book = passage("Marram (film)", MARRAM.text), passage("Marram (book)", "Marram is a book of war.")
    assert (await propose(library=[*ONE_DATED, film])).proposal is not None
    assert (await propose(library=[*ONE_DATED, film, book])).proposal is None


@pytest.mark.parametrize("misread", ["Goopy", "Marram"])
async def test_a_year_that_is_not_read_back_is_not_compared(misread: str) -> None:
    def reads(request: Request) -> str:
        asked = request.messages[-1].content.splitlines()[-1].removeprefix("Question: ")
        return json.dumps({"answer": "1901"}) if asked == f"What is the year of {misread}?" else answer(request)

    assert (await propose(library=[*ONE_DATED, MARRAM])).proposal is not None
    assert (await propose(library=[*ONE_DATED, MARRAM], llm=ScriptedLLM(reads))).proposal is None


async def test_what_cannot_be_compared_by_its_year_costs_no_call() -> None:
    for types, library in (
        ((AnswerType.ENTITY,), [undated(WINDLASS), undated(GOOPY), MARRAM]),
        ((AnswerType.DATE,), [WINDLASS, GOOPY, MARRAM]),
    ):
        llm = ScriptedLLM(answer)
        assert (await propose(types, library, llm=llm)).proposal is None
        assert not llm.requests
