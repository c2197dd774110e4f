import pytest

from questwell.agents.calls import read_call
from questwell.agents.derived import derivation_problem
from questwell.agents.form import problem
from questwell.agents.moves import Derived, Finish
from questwell.agents.protocol import Functions, Sampling, Tags, read_tags, without_search, write_tags
from questwell.llm.client import Message, ToolCall
from questwell.types.corpus import Passage
from questwell.types.derivation import Derivation, Operand, Operation
from questwell.types.game import AnswerType, Seed

LAMP = Passage(id="lamp", title="Cape Solace", text="Its lamp was first lit on 3 November 1881.", document_id="l")
DAM = Passage(id="dam", title="Pellgrin Dam", text="Completed in 1936, it is 96 metres high.", document_id="d")
TOWER = Passage(id="tower", title="Orrin Tower", text="It has 1,204 steps and is 40.5 metres high.", document_id="t")
ALL = (LAMP, DAM, TOWER)
QUESTION = "What is the number of years between the first lighting on the cape and the completion of the dam?"


def checked(operation: str, answer: str, *operands: tuple[str, str], question: str = QUESTION) -> str | None:
    found = Derivation(Operation(operation), tuple(Operand(span, name) for span, name in operands))
    return derivation_problem(question, answer, found, ALL)


@pytest.mark.parametrize(
    ("operation", "answer", "operands"),
    [
        ("difference", "55", [("1881", "lamp"), ("1936", "dam")]),
        ("difference", "55 years", [("3 November 1881", "lamp"), ("Completed in 1936", "dam")]),
        ("sum", "136.5 metres", [("96 metres", "dam"), ("40.5 metres", "tower")]),
        ("sum", "1,300 steps", [("1,204 steps", "tower"), ("96 metres", "dam")]),
        ("count", "two", [("Pellgrin Dam", "dam"), ("Orrin Tower", "tower")]),
        ("order", "Cape Solace", [("Cape Solace = 1881", "lamp"), ("Pellgrin Dam = 1936", "dam")]),
        ("order", "the Pellgrin Dam", [("Cape Solace = 1881", "lamp"), ("Pellgrin Dam = 1936", "dam")]),
    ],
)
def test_what_follows_from_its_operands_is_right(operation: str, answer: str, operands) -> None:
    assert checked(operation, answer, *operands) is None


@pytest.mark.parametrize(
    ("operation", "answer", "operands", "says"),
    [
        ("difference", "56", [("1881", "lamp"), ("1936", "dam")], "is 55"),
        ("difference", "3817", [("1881", "lamp"), ("1936", "dam")], "is 55"),
        ("sum", "55.5", [("96 metres", "dam"), ("40.5 metres", "tower")], "is 136.5"),
        ("count", "3", [("Pellgrin Dam", "dam"), ("Orrin Tower", "tower")], "is 2"),
        ("order", "Orrin Tower", [("Cape Solace = 1881", "lamp"), ("Pellgrin Dam = 1936", "dam")], "Cape Solace|Pell"),
        ("difference", "55", [("1881", "dam"), ("1936", "dam")], "'1881' does not stand"),
        ("difference", "55", [("1881", ""), ("1936", "dam")], "'1881' does not stand"),
        ("order", "Orrin", [("Orrin Tower = 1881", "lamp"), ("Pellgrin Dam = 1936", "dam")], "'Orrin Tower' does"),
        ("difference", "0", [("1936", "dam")], "at least 2"),
        ("count", "2", [("Pellgrin Dam", "dam"), ("pellgrin dam", "dam")], "twice"),
        ("sum", "5", [("metres", "dam"), ("steps", "tower")], "no numbers"),
    ],
)
def test_what_does_not_follow_is_told(operation: str, answer: str, operands, says: str) -> None:
    assert says in (checked(operation, answer, *operands) or "")


def test_a_question_that_holds_all_operands_needs_no_search() -> None:
    operands = (("1881", "lamp"), ("1936", "dam"))
    asked = "What is the number of years between 1881 and 1936?"
    assert "all operands" in (checked("difference", "55", *operands, question=asked) or "")
    assert checked("difference", "55", *operands, question="What is the number of years from 1881 to the dam?") is None


def test_form_looks_at_the_operands_of_a_derived_answer() -> None:
    found = Derivation(Operation.DIFFERENCE, (Operand("1881", "lamp"), Operand("1936", "dam")))
    seed = Seed(0, LAMP, 2, AnswerType.NUMBER)
    assert problem(QUESTION, "55", seed, ALL, found) is None
    assert "does not stand in the passages" in (problem(QUESTION, "55", seed, ALL) or "")
    assert "is 55" in (problem(QUESTION, "54", seed, ALL, found) or "")


DERIVED = Derived("difference", (("1881", 2), ("1936", 3)))


def test_both_protocols_carry_a_derivation() -> None:
    finish = Finish("55", QUESTION, (("lamp lit", "1881", 2),), (), DERIVED)
    assert read_tags(write_tags(finish), proposing=True) == finish
    arguments = (
        '{"question": "'
        + QUESTION
        + '", "answer": "55", "steps": [{"query": "lamp lit", "answer": "1881", "passage": 2}],'
        '"operation": "difference", "operands": [{"words": "1881", "passage": 2}, {"words": "1936", "passage": "[3]"}]}'
    )
    assert read_call(ToolCall("c", "propose", arguments), proposing=True) == finish


def test_an_ordinary_step_is_no_derivation() -> None:
    text = "<question>q?</question><answer>a</answer><steps>count of rooms | 12 | [2]</steps>"
    move = read_tags(text, proposing=True)
    assert isinstance(move, Finish) and move.derived is None and len(move.steps) == 1


def test_without_search_neither_protocol_offers_one() -> None:
    assert "<search>" not in without_search(Tags(proposing=True)).rules
    functions = without_search(Functions(proposing=True))
    assert "search" not in functions.rules
    request = functions.request([Message("user", "x")], Sampling(), 0)
    assert [tool.name for tool in request.tools] == ["propose"]
