"""Comparisons: what may be compared, how it is worded, and that proposer and solver agree on it."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from questwell.agents.form import problem
from questwell.agents.prompts import Prompts
from questwell.agents.proposer import Draft
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession
from questwell.llm.client import Request
from questwell.llm.scripted import ScriptedLLM
from questwell.scoring.answers import normalise
from questwell.staged.comparing import comparable, compared, partners, read_comparison, ways_to
from questwell.staged.conftest import BRIDGE, MARWOOD
from questwell.staged.paths import Hop
from questwell.staged.proposer import StagedProposer
from questwell.staged.solver import StagedSolver
from questwell.staged.values import Value
from questwell.staged.wording import Fact, Kind
from questwell.types.corpus import Hit, Passage
from questwell.types.derivation import Operation
from questwell.types.game import AnswerType, Seed
from questwell.types.trajectory import StopReason, Trajectory


def section(country: str, name: str, text: str) -> Passage:
    title = f"{country}: {name}"
    return Passage(id=title, title=title, text=text, document_id=f"factbook/{title}")


COASTS = {"Lumia": ("Mount Arel", "120 km"), "Quell": ("Peak Ostrel", "300 km"), "Tarnland": ("Blue Horn", "301 km")}
WORLD = [
    passage
    for country, (peak, coast) in COASTS.items()
    for passage in (
        section(country, "Mountains", f"{country} is a country.\nHighest point: {peak}."),
        section(country, "Shores", f"{country} is a country.\nCoastline: {coast}."),
    )
]
SEED = WORLD[0]


class Library:
    name = "library"

    def __init__(self, passages: Sequence[Passage] = WORLD) -> None:
        self.passages = passages

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        words = set(normalise(query).split()) - {"the", "of", "is", "what", "country", "whose"}
        scored = [(len(words & set(normalise(f"{p.title} {p.text}").split())), p) for p in self.passages]
        ranked = sorted((pair for pair in scored if pair[0]), key=lambda pair: (-pair[0], pair[1].id))
        return tuple(Hit(p, float(score), rank) for rank, (score, p) in enumerate(ranked[:k], 1))

    async def aclose(self) -> None: ...


def answer(request: Request) -> str:
    """Reads the world as it is."""
    lines = request.messages[-1].content.splitlines()
    if lines[-1].startswith("Value: "):
        label, kind = ("highest point", "place") if "km" not in lines[-1] else ("coastline", "number")
        return json.dumps({"subject": "country", "relation": label, "value": kind})
    asked = lines[-1].removeprefix("Question: ")
    for country, (peak, coast) in COASTS.items():
        if re.search(rf"country whose highest point is {peak}\?", asked):
            return json.dumps({"answer": country})
        if asked.endswith(f"the coastline of {country}?") or asked == f"How long is the coastline of {country}?":
            return json.dumps({"answer": coast})
    return json.dumps({"answer": "not found", "same": "yes", "can": "yes"})


async def propose(
    target: int,
    types: tuple[AnswerType, ...] = tuple(AnswerType),
    llm: ScriptedLLM | None = None,
    library: Library | None = None,
    random_seed: int = 1,
) -> Draft:
    proposer = StagedProposer(Prompts(), RolloutLimits(searches=30, top_k=2))
    seed = Seed(0, SEED, target, types[0], types[1:], 3)
    session = DirectSession(llm or ScriptedLLM(answer), library or Library())
    return await proposer.propose(seed, session, random_seed)


async def solve(question: str, searches: int = 10) -> Trajectory:
    limits = RolloutLimits(turns=searches, searches=searches, top_k=2)
    return await StagedSolver(Prompts(), limits, 1.0).solve(question, DirectSession(ScriptedLLM(answer), Library()), 1)


async def test_four_searches_compare_two_things_given_by_clues() -> None:
    draft = await propose(4)
    pair = draft.proposal
    assert pair is not None, draft.problem
    found = read_comparison(pair.question)
    assert found is not None and found.relation == "coastline" and found.greater
    assert all(side.startswith("the country whose highest point is ") for side in found.sides)
    assert pair.derivation is not None and pair.derivation.operation is Operation.ORDER
    assert len(pair.evidence) == 4
    assert [step.answer for step in pair.steps if step.answer in COASTS] == [
        one.name for one in pair.derivation.operands
    ]
    values = {one.name: int(one.value.split()[0]) for one in pair.derivation.operands}
    assert pair.answer == max(values, key=lambda name: values[name])
    for random_seed in range(4):  # never by the whole question first, which a guess would answer half of the time
        solved = await solve(pair.question)
        assert (solved.answer, solved.searches, solved.stop) == (pair.answer, 4, StopReason.FINISHED), random_seed


async def test_three_searches_name_one_of_them_and_the_other_is_the_answer() -> None:
    pair = (await propose(3)).proposal
    assert pair is not None
    assert pair.answer == "Lumia"
    assert re.fullmatch(
        r"Which has the smaller coastline, (Quell|Tarnland) or the country whose highest point is Mount Arel\?",
        pair.question,
    )
    solved = await solve(pair.question)
    assert (solved.answer, solved.searches) == ("Lumia", 3)


async def test_it_is_compared_with_now_one_and_now_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COASTS, "Tarnland", ("Blue Horn", "1,301 km"))  # a value that is clearer than that of Quell
    library = Library([replace(one, text=one.text.replace("301 km", "1,301 km")) for one in WORLD])
    drafts = [await propose(3, library=library, random_seed=random_seed) for random_seed in range(6)]
    said = [read_comparison(draft.proposal.question) for draft in drafts if draft.proposal]
    assert {found.sides[0] for found in said if found} == {"Quell", "Tarnland"}


async def test_an_amount_that_must_be_the_answer_is_not_compared() -> None:
    draft = await propose(3, (AnswerType.NUMBER, AnswerType.DATE))
    assert draft.proposal is None


async def test_an_amount_without_a_partner_costs_no_model_call() -> None:
    llm, alone = ScriptedLLM(answer), [one for one in WORLD if "Coastline" not in one.text or "Lumia" in one.text]
    draft = await propose(4, llm=llm, library=Library(alone))
    assert draft.proposal is None and draft.problem == "no two amounts can be compared"
    assert not [request for request in llm.requests if request.messages[-1].content.endswith("Value: 120 km")]


async def test_a_clue_is_tried_before_what_else_names_a_subject() -> None:
    llm = ScriptedLLM(answer)
    sold = section("Bay Guide", "Sale", "The Bay Guide was sold in Lumia. It is a book.")
    draft = await propose(3, llm=llm, library=Library([sold, *WORLD]))
    assert draft.proposal is not None
    assert not [one for one in llm.requests if "Subject: Bay Guide" in one.messages[-1].content]


async def test_two_searches_and_five_are_no_comparison() -> None:
    two, five = (await propose(2)).proposal, (await propose(5)).proposal
    assert two is not None and two.derivation is None
    assert five is None


async def test_a_solver_that_runs_out_of_searches_or_finds_nothing_gives_no_answer() -> None:
    asked = "Which has the greater coastline, Quell or the country whose highest point is Mount Arel?"
    assert (await solve(asked, 2)).stop is StopReason.SEARCHES
    assert (await solve(asked)).answer == "Quell"
    unknown = await solve("Which has the greater coastline, Quell or the country whose highest point is Mount Nowhere?")
    assert (unknown.answer, unknown.stop) == (None, StopReason.GAVE_UP)


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [
        ("120 km", "300 km", True),
        ("300 km", "301 km", False),  # another year may turn them round
        ("17,098,242 sq km", "10,400 sq km", True),
        ("36,289 km", "36,189 km", False),
        ("120 km", "300 sq km", False),
        ("120 km", "120 km", False),
        ("1969", "1970", True),
        ("3 May 1969", "7 June 1970", True),
        ("3 May 1970", "7 June 1970", False),
        ("1969", "1,970", False),
        ("1969 km", "1970 km", False),  # no years
        ("1,250 km", "1969 km", True),
        ("UTC-5", "UTC+3", False),
        ("2020-12-01", "2019-03-05", True),
        ("2020-12", "2012", True),
        ("2020-12-01", "2020-03-05", False),  # the solver compares years
        ("-3", "2020-03-05", False),
        ("0 km", "5 km", False),
        ("a few", "5", False),
    ],
)
def test_amounts_of_one_unit_that_are_apart_may_be_compared(one: str, other: str, may: bool) -> None:
    assert comparable(one, other) is may
    assert comparable(other, one) is may


def fact(
    at: int, value: str, relation: str = "coastline", noun: str = "country", kind: AnswerType = AnswerType.NUMBER
) -> Fact:
    return Fact(Hop(WORLD[at], Value(value, kind)), relation, noun, Kind.NUMBER)


def clue(at: int, value: str, noun: str = "country") -> Fact:
    return Fact(Hop(WORLD[at], Value(value, AnswerType.ENTITY), inverse=True), "highest point", noun, Kind.PLACE)


LUMIA, QUELL = (clue(0, "Mount Arel"), fact(1, "120 km")), (clue(2, "Peak Ostrel"), fact(3, "300 km"))


def test_the_greater_or_the_earlier_is_asked_for_and_a_name_that_is_given_is_not_the_answer() -> None:
    both = compared(LUMIA, QUELL)
    assert not isinstance(both, str)
    assert both.answer == "Quell"
    assert both.question == (
        "Which has the greater coastline, the country whose highest point is Peak Ostrel "
        "or the country whose highest point is Mount Arel?"
    )
    given = compared(QUELL, (fact(1, "120 km"),))
    assert not isinstance(given, str)
    assert (given.question.split(",")[0], given.answer) == ("Which has the greater coastline", "Quell")
    other = compared(LUMIA, (fact(3, "300 km"),))
    assert not isinstance(other, str)
    assert (other.question.split(",")[0], other.answer) == ("Which has the smaller coastline", "Lumia")
    dates = [fact(at, year, "founding year", kind=AnswerType.DATE) for at, year in ((1, "1960"), (3, "1920"))]
    years = compared((clue(0, "Mount Arel"), dates[0]), (dates[1],))
    assert not isinstance(years, str)
    assert (years.question.split(",")[0], years.answer) == ("Which has the later founding year", "Lumia")
    for one in (both, given, other):
        seed = Seed(0, SEED, 4, AnswerType.ENTITY)
        assert problem(one.question, one.answer, seed, one.evidence, one.derivation) is None


def test_only_one_relation_of_one_kind_of_thing_is_compared() -> None:
    assert "is not" in str(compared(LUMIA, (clue(2, "Peak Ostrel"), fact(3, "300 km", "border"))))
    assert "not of one kind" in str(
        compared(LUMIA, (clue(2, "Peak Ostrel", "island"), fact(3, "300 km", noun="island")))
    )
    assert "not of one kind" in str(compared(LUMIA, (fact(3, "300 km", noun=""),)))
    assert "more than two sides" in str(compared((clue(0, "Arel or Blue"), LUMIA[1]), QUELL))
    assert "no measure" in str(compared((LUMIA[0], fact(1, "120 km", "founded")), (fact(3, "300 km", "founded"),)))


def test_a_partner_is_another_subject_under_the_same_label() -> None:
    alone = [
        (Hop(WORLD[at], Value(value, AnswerType.NUMBER)),)
        for at, value in ((1, "120 km"), (3, "300 km"), (5, "301 km"))
    ]
    assert [hop.subject for hop in partners(LUMIA[-1].hop, alone)] == ["Quell", "Tarnland"]
    area, again = section("Quell", "Land", "Border: 300 km."), section("Lumia", "Maps", "Coastline: 500 km.")
    assert not list(partners(LUMIA[-1].hop, [(Hop(again, Value("500 km", AnswerType.NUMBER)),)]))
    assert not list(partners(LUMIA[-1].hop, [(Hop(area, Value("300 km", AnswerType.NUMBER)),)]))
    assert not list(partners(LUMIA[-1].hop, [(Hop(WORLD[3], Value("300 km", AnswerType.NUMBER), inverse=True),)]))
    [(first, last)] = ways_to(alone[1][0], WORLD, "nothing known")
    assert (first.known, first.inverse, last) == ("Peak Ostrel", True, alone[1][0])
    assert ways_to(alone[1][0], WORLD, "the country whose highest point is Peak Ostrel") == []
    both = section("Quell", "All", "Quell is a country.\nHighest point: Peak Ostrel.\nCoastline: 300 km.")
    assert ways_to(Hop(both, Value("300 km", AnswerType.NUMBER)), [both], "nothing known") == []
    born = Hop(MARWOOD, Value("1840", AnswerType.DATE))  # "the designer of Harrow Bridge" is who she is
    assert [(way.known, last) for way, last in ways_to(born, [BRIDGE, MARWOOD], "")] == [("Harrow Bridge", born)]
    sold = section("Bay Guide", "Sale", "The Bay Guide was sold in Quell.")
    assert [way.inverse for way, _ in ways_to(alone[1][0], [sold, *WORLD], "")] == [True, False]
    assert [way.inverse for way, _ in ways_to(alone[1][0], [*WORLD, sold], "")] == [True, False]
    telling = replace(BRIDGE, text=f"{BRIDGE.text} She was born in 1840.")
    assert ways_to(born, [telling, MARWOOD], "") == []


def of_when(relation: str, year: str, at: int, noun: str = "club") -> Fact:
    return Fact(Hop(WORLD[at], Value(year, AnswerType.DATE)), relation, noun, Kind.DATE)


@pytest.mark.parametrize(
    ("relation", "begins", "asked"),
    [
        ("First seen", "Which was first seen earlier", "When was Quell first seen?"),
        ("active since", "Which has been active since an earlier date", "Since when has Quell been active?"),
        ("founding year", "Which has the earlier founding year", "What is the founding year of Quell?"),
        ("year", "Which club is from an earlier year", "What is the year of Quell?"),
    ],
)
def test_dates_of_what_happened_are_compared_in_words_that_the_solver_reads(
    relation: str, begins: str, asked: str
) -> None:
    used = Fact(Hop(BRIDGE, Value("Lumia", AnswerType.ENTITY)), "user", "bridge", Kind.THING, value_noun="club")
    pair = compared((used, of_when(relation, "1920", 1)), (of_when(relation, "1960", 3),))
    assert not isinstance(pair, str)
    assert pair.question == f"{begins}, Quell or the club that uses Harrow Bridge?"
    assert pair.answer == "Lumia"
    read = read_comparison(pair.question)
    assert read is not None and read.sides == ("Quell", "the club that uses Harrow Bridge") and not read.greater
    assert read.asked("Quell") == asked
    assert read.decide(("Quell", "Lumia"), ("1960", "at least 1920")) == "Lumia"
    later = compared((used, of_when(relation, "1960", 1)), (of_when(relation, "1920", 3),))
    assert not isinstance(later, str)
    found = read_comparison(later.question)
    assert found is not None and found.greater and later.answer == "Lumia"
    other = of_when(relation, "1960", 3, noun="city")
    assert "not of one kind" in str(compared((used, of_when(relation, "1920", 1)), (other,)))


async def test_a_side_that_is_a_name_is_looked_up_as_it_stands() -> None:
    asked = "Which has the greater coastline, Trouble in Quell or Lumia?"  # "the coastline of Trouble" is no part of it
    assert (await solve(asked)).queries[0] == "What is the coastline of Trouble in Quell?"


def test_two_that_are_only_said_to_use_something_are_not_compared() -> None:
    def user(of: Passage, noun: str) -> Fact:
        return Fact(Hop(of, Value("Lumia", AnswerType.ENTITY)), "user", "tool", Kind.THING, value_noun=noun)

    early, late = of_when("first seen", "1920", 1), of_when("first seen", "1960", 3)
    assert "nothing says what" in str(compared((user(BRIDGE, ""), early), (user(MARWOOD, ""), late)))
    assert not isinstance(compared((user(BRIDGE, "club"), early), (user(MARWOOD, ""), late)), str)
    assert not isinstance(compared((user(BRIDGE, ""), early), (late,)), str)


@pytest.mark.parametrize(
    "question",
    [
        "What is the coastline of Lumia?",
        "Which has the greater coastline?",
        "Which has the greater coastline, Lumia?",
        "Which has the greater coastline, Lumia or Quell or Tarnland?",
        "Which has the nicer coastline, Lumia or Quell?",
    ],
)
def test_other_questions_are_no_comparisons(question: str) -> None:
    assert read_comparison(question) is None


def test_values_that_cannot_be_compared_decide_nothing() -> None:
    found = read_comparison("Which has the earlier founding year, Lumia or Quell?")
    assert found is not None
    assert found.decide(("Lumia", "Quell"), ("1960", "1920")) == "Quell"
    assert found.decide(("Lumia", "Quell"), ("1920", "1960")) == "Lumia"
    assert found.decide(("Lumia", "Quell"), ("1960", "1960")) is None
    assert found.decide(("Lumia", "Quell"), ("1960", "long ago")) is None
    area = read_comparison("Which has the greater total area, Lumia or Quell?")
    assert area is not None
    assert area.decide(("Lumia", "Quell"), ("17,098,242 sq km", "10,400 sq km")) == "Lumia"
    assert area.decide(("Lumia", "Quell"), ("36,289 km", "3,542 km")) == "Lumia"
    later = read_comparison("Which has the later founding year, Lumia or Quell?")
    assert later is not None
    assert later.decide(("Lumia", "Quell"), ("1960", "1920")) == "Lumia"
    greater = read_comparison("Which has the greater coastline, Lumia or Quell?")
    assert greater is not None
    assert greater.decide(("Lumia", "Quell"), ("120 km", "1,300 km")) == "Quell"
