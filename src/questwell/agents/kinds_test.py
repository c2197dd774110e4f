"""Each kind's example passes its check, and whatever breaks one rule of it does not."""

from dataclasses import replace

import pytest

from questwell.agents.kinds import asked_for, kind_problem
from questwell.agents.prompts import KINDS, Prompts
from questwell.agents.proposer import proposal_of
from questwell.agents.protocol import Finish, Tags
from questwell.agents.tools import Shelf
from questwell.llm.client import Completion, Message
from questwell.types.corpus import Passage
from questwell.types.derivation import Derivation, Operand, Operation
from questwell.types.game import Proposal, QuestionKind, SolutionStep
from questwell.types.trajectory import Role, StopReason, Style, Trajectory

NOTHING = Trajectory(Role.PROPOSER, Style.FREE, (), StopReason.FINISHED)
PASSAGES = tuple(Passage(f"p{n}", f"Title {n}", f"Text {n}, of 1881.", f"d{n}") for n in range(1, 10))


TITLED = Passage("p1", "The lights of 1999", "There were ten.", "d1")
LONG = Passage("p1", "Lights", "There were 19990 of them, and 21999 lamps.", "d1")


def example(kind: QuestionKind) -> Proposal:
    """The pair in the packaged prompt of `kind`, read as a proposer's would be."""
    (wanted,) = Prompts().messages(f"kind_{kind.value}")
    move = Tags(proposing=True).read(Completion(wanted.content[wanted.content.index("<question>") :], model=""))[1]
    assert isinstance(move, Finish), move
    return proposal_of(move, Shelf(PASSAGES), NOTHING)


def pair(*steps: tuple[str, str, str], answer: str = "1936", question: str = "When was it done?") -> Proposal:
    return Proposal(question, answer, (), tuple(SolutionStep(*step) for step in steps), PASSAGES, NOTHING)


def derived(operation: Operation, *operands: tuple[str, str]) -> Proposal:
    return replace(pair(), derivation=Derivation(operation, tuple(Operand(*one) for one in operands)))


@pytest.mark.parametrize("kind", QuestionKind)
def test_the_example_of_the_prompt_is_of_its_kind(kind: QuestionKind) -> None:
    assert kind_problem(kind, example(kind)) is None


def test_no_example_is_of_every_kind() -> None:
    found = {
        kind: {other for other in QuestionKind if kind_problem(other, example(kind)) is None} for kind in QuestionKind
    }
    assert found[QuestionKind.BRIDGE] == {QuestionKind.BRIDGE}
    assert found[QuestionKind.INTERSECTION] == {QuestionKind.INTERSECTION}
    assert found[QuestionKind.COMPARISON] == {QuestionKind.COMPARISON, QuestionKind.TEMPORAL}
    assert found[QuestionKind.CALCULATION] == {QuestionKind.CALCULATION, QuestionKind.TEMPORAL}
    assert found[QuestionKind.TEMPORAL] == {QuestionKind.BRIDGE, QuestionKind.TEMPORAL}


def test_an_alias_of_the_answer_ends_a_chain_too() -> None:
    found = pair(*CHAIN, answer="the year 1936")
    assert kind_problem(QuestionKind.BRIDGE, found) is not None
    assert kind_problem(QuestionKind.BRIDGE, replace(found, aliases=("1936",))) is None


def test_without_a_kind_everything_passes() -> None:
    assert kind_problem(None, pair()) is None
    assert all(kind_problem(kind, pair()) for kind in QuestionKind)  # no steps: of no kind


CHAIN = (("film", "Ana Ruiz", "p1"), ("home of Ana Ruiz", "Ostia", "p2"), ("dam near Ostia", "1936", "p3"))


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (pair(*CHAIN[2:]), "at least two steps"),
        (pair(*CHAIN[:2], ("dam near Ostia", "1936", "p2")), "a passage of its own"),
        (pair(*CHAIN[:2], ("dam near Ostia", "1936", "")), "a passage of its own"),
        (pair(CHAIN[0], ("home of the director", "Ostia", "p2"), CHAIN[2]), "must name 'Ana Ruiz'"),
        (pair(CHAIN[0], ("home of Ana Ruiz", "", "p2"), CHAIN[2]), "must name ''"),
        (pair(("film", "", "p1"), ("home", "Ostia", "p2"), CHAIN[2]), "must name ''"),
        (pair(*CHAIN, question="When was the dam near Ostia done?"), "names 'Ostia'"),
        (pair(*CHAIN, answer="1937"), "and not the answer '1937'"),
        (replace(pair(*CHAIN), derivation=Derivation(Operation.COUNT, ())), "worked out"),
    ],
)
def test_what_is_no_bridge(broken: Proposal, why: str) -> None:
    assert kind_problem(QuestionKind.BRIDGE, pair(*CHAIN)) is None
    assert why in (kind_problem(QuestionKind.BRIDGE, broken) or "")


CLUES = (("shot at the bridge", "Blue Lantern", "p1"), ("music by Mare", "blue lantern", "p2"))
LAST = ("director of Blue Lantern", "Ana Ruiz", "p3")


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (pair(CLUES[0], LAST, answer="Ana Ruiz"), "two steps must find the same thing"),
        (pair(CLUES[0], (*CLUES[1][:2], "p1"), LAST, answer="Ana Ruiz"), "two steps must find"),
        (pair(CLUES[0], ("music of Blue Lantern", "Blue Lantern", "p2"), LAST, answer="Ana Ruiz"), "two steps must"),
        (pair(*CLUES, LAST, answer="Ana Ruiz", question="Who directed Blue Lantern then?"), "names 'Blue Lantern'"),
        (pair(*CLUES, ("director of it", "Ana Ruiz", "p3"), answer="Ana Ruiz"), "no further step asks about"),
        (pair(*CLUES, LAST, answer="Ivo Mare"), "and not the answer 'Ivo Mare'"),
        (pair(*CLUES, answer="Red Lantern"), "and not the answer 'Red Lantern'"),
    ],
)
def test_what_is_no_intersection(broken: Proposal, why: str) -> None:
    assert kind_problem(QuestionKind.INTERSECTION, pair(*CLUES, LAST, answer="Ana Ruiz")) is None
    assert kind_problem(QuestionKind.INTERSECTION, pair(*CLUES, answer="Blue Lantern")) is None
    assert why in (kind_problem(QuestionKind.INTERSECTION, broken) or "")


TWO = (("a = 1881", "p1"), ("b = 1936", "p2"))


@pytest.mark.parametrize("operation", Operation)
def test_what_is_worked_out(operation: Operation) -> None:
    found = derived(operation, *TWO)
    comparison, calculation = (
        kind_problem(kind, found) for kind in (QuestionKind.COMPARISON, QuestionKind.CALCULATION)
    )
    assert (comparison is None) is (operation is Operation.ORDER)
    assert (calculation is None) is (operation is not Operation.ORDER)
    assert (kind_problem(QuestionKind.TEMPORAL, found) is None) is (
        operation in (Operation.ORDER, Operation.DIFFERENCE)
    )
    kind = QuestionKind.COMPARISON if operation is Operation.ORDER else QuestionKind.CALCULATION
    for second in ("p1", ""):
        assert "two different passages" in (kind_problem(kind, derived(operation, TWO[0], ("b = 1936", second))) or "")


@pytest.mark.parametrize(
    ("found", "good"),
    [
        (pair(question="Who kept the light in 1881?"), True),
        (pair(question="Who kept the light in 1882?"), False),  # no passage says it
        (pair(question="Who kept the light then?"), False),
        (pair(question="Who kept the light in 1881-1999?"), True),  # one of the two is enough
        (replace(pair(question="Who kept the light in 1999?"), evidence=(TITLED,)), True),
        (replace(pair(question="Who kept the light in 1999?"), evidence=(LONG,)), False),
        (derived(Operation.DIFFERENCE, ("12 m", "p1"), ("1936", "p2")), False),
        (derived(Operation.ORDER, ("a = 36,289 (total)", "p1"), ("b = 3,542 (total)", "p2")), False),
        (derived(Operation.DIFFERENCE, ("742", "p1"), ("1936", "p2")), False),
        (derived(Operation.DIFFERENCE, ("1936", "p1"), ("1500 metres", "p2")), False),
        (derived(Operation.ORDER, ("a = 610 m", "p1"), ("b = 742 m", "p2")), False),
        (derived(Operation.ORDER, ("a = 2 October 1881", "p1"), ("b = AD 476", "p2")), True),
        (derived(Operation.ORDER, ("a = 476 AD", "p1"), ("b = 1936, in spring", "p2")), True),
        (derived(Operation.SUM, *TWO), False),
    ],
)
def test_what_is_temporal(found: Proposal, good: bool) -> None:
    assert (kind_problem(QuestionKind.TEMPORAL, found) is None) is good


def test_the_prompt_is_as_before_without_a_kind() -> None:
    opening = (Message("system", "a"), Message("user", "b"))
    assert asked_for(opening, None, Prompts()) is opening
    first, last = asked_for(opening, QuestionKind.BRIDGE, Prompts())
    assert first == opening[0] and last.content.startswith("b\n\nKind of question: a bridge.")
    assert {f"kind_{kind.value}" for kind in QuestionKind} == set(KINDS)
