from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.games.certificate import answer_spans, certify
from questwell.games.conftest import BRIDGE, ENGINEER, PROPOSAL, VILLAGE, Table, right, wrong
from questwell.scoring.answers import contains
from questwell.scoring.intervals import wilson
from questwell.types.certificate import Agreement, Span
from questwell.types.corpus import Hit
from questwell.types.game import Accepted, Round, WeakTrial
from questwell.types.gates import EvidenceRank, Gate, GateOutcome, GateResult


async def last_round() -> Round:
    played = await Table().proposes(0, *PROPOSAL).solves(0, right(2), wrong(1), right(3), right(2)).play()
    assert isinstance(played, Accepted)
    return played.rounds[-1]


async def test_from_the_attempts_alone() -> None:
    last = await last_round()
    found = certify(last)
    assert (found.difficulty, found.solve_rate) == (2, wilson(3, 4))
    assert (found.closed_book, found.weak_solve_rate, found.checks, found.judges) == (None, None, (), ())
    (only,) = found.evidence
    assert (only.passage_id, only.rank_by_question, only.rank_by_step) == (ENGINEER.id, None, None)
    assert (only.rank_by_attempts, only.attempts_found) == (None, 0)  # the scripted attempts search for the village
    (span,) = only.spans
    assert ENGINEER.text[span.start : span.end] == "1881"


async def test_ranks_of_the_attempts() -> None:
    last = await last_round()
    hits = (Hit(BRIDGE, 2.0, 1), Hit(VILLAGE, 1.0, 2), Hit(replace(ENGINEER, id="other"), 0.5, 3))
    attempts = list(last.attempts)
    for number, cut in ((0, hits), (2, hits[2:])):
        first, *rest = attempts[number].trajectory.turns
        turns = (replace(first, hits=cut), *rest)
        attempts[number] = replace(attempts[number], trajectory=replace(attempts[number].trajectory, turns=turns))
    evidence = (ENGINEER, BRIDGE)
    moved = replace(last, attempts=tuple(attempts), proposal=replace(last.proposal, evidence=evidence))
    engineer, bridge = certify(moved).evidence
    assert (engineer.rank_by_attempts, engineer.attempts_found) == (3, 2)  # by document, not by passage
    assert (bridge.rank_by_attempts, bridge.attempts_found) == (1, 1)


async def test_the_best_rank_of_all_searches_counts_and_no_reading_of_a_document() -> None:
    last = await last_round()
    found = {
        0: [("a", (Hit(BRIDGE, 2.0, 1), Hit(ENGINEER, 1.0, 4), Hit(replace(ENGINEER, id="other"), 0.5, 6)))],
        1: [("b", (Hit(ENGINEER, 1.0, 5),)), ("c", (Hit(ENGINEER, 1.0, 2),)), (None, (Hit(ENGINEER, 1.0, 1),))],
        2: [(None, (Hit(ENGINEER, 1.0, 1),))],
    }
    attempts = list(last.attempts)
    for number, turns in found.items():
        (first, *_) = attempts[number].trajectory.turns
        made = tuple(replace(first, query=query, hits=hits) for query, hits in turns)
        attempts[number] = replace(attempts[number], trajectory=replace(attempts[number].trajectory, turns=made))
    (only,) = certify(replace(last, attempts=tuple(attempts))).evidence
    assert (only.rank_by_attempts, only.attempts_found) == (2, 2)


async def test_rates_are_of_scored_attempts_and_aliases_are_marked_too() -> None:
    last = await last_round()
    stopped = replace(last, verdict=replace(last.verdict, right=1, scored=2, skipped=2))
    assert certify(stopped).solve_rate == wilson(1, 2)
    named = certify(replace(last, proposal=replace(last.proposal, aliases=("Elsa Marwood",))))
    (evidence,) = named.evidence
    assert [ENGINEER.text[span.start : span.end] for span in evidence.spans] == ["Elsa Marwood", "1881"]
    nothing = GateResult(Gate.CLOSED_BOOK, GateOutcome.UNSCORED, "", 0, 0)
    assert certify(replace(last, gates=(nothing,))).closed_book == wilson(0, 0)
    never = GateResult(Gate.CLOSED_BOOK, GateOutcome.ERRORED, "")
    assert certify(replace(last, gates=(never,))).closed_book is None


async def test_gates_and_judges_are_taken_over() -> None:
    last = await last_round()
    ranks = (EvidenceRank(ENGINEER.document_id, None, 4),)
    asked = replace(last, gates=(GateResult(Gate.CLOSED_BOOK, GateOutcome.PASSED, "a", 0, 3),))
    later = (
        GateResult(Gate.FINDABLE, GateOutcome.PASSED, "b", ranks=ranks),
        GateResult(Gate.CLOSED_BOOK, GateOutcome.FAILED, "c", 1, 5),
    )
    judges = (Agreement("other", 3, 4),)
    weak = WeakTrial((), replace(last.verdict, right=1, scored=4))
    found = certify(replace(asked, weak=weak), later, judges)
    assert [check.reason for check in found.checks] == ["c", "b"]  # in the order of the gates, the later one counts
    assert (found.closed_book, found.weak_solve_rate, found.judges) == (wilson(1, 5), wilson(1, 4), judges)
    assert (found.evidence[0].rank_by_question, found.evidence[0].rank_by_step) == (None, 4)
    assert certify(asked).closed_book == wilson(0, 3)


async def test_the_time_that_is_asked_for() -> None:
    last = await last_round()
    dated = replace(last, proposal=replace(last.proposal, question="Who was mayor as of 1936?"))
    assert certify(dated).as_of == "as of 1936"
    assert certify(last).as_of == ""


@pytest.mark.parametrize(
    ("text", "answers", "found"),
    [
        ("In 1881, and 1881 again; not 18812.", ["1881"], ["1881", "1881"]),
        ("ELSA  Marwood, and Elsa-Marwood", ["elsa marwood"], ["ELSA  Marwood", "Elsa-Marwood"]),
        ("New York Mets", ["Mets", "New York Mets", "York"], ["New York Mets"]),
        ("New York Mets", ["New", "New York Mets"], ["New York Mets"]),
        ("of New York Mets fans", ["New York", "York Mets fans"], ["New York"]),
        ("A++B", ["+B", "A+"], ["A+", "+B"]),
        ("Written in C++ and C.", ["C++"], ["C++"]),
        ("nothing", ["", "?"], []),
    ],
)
def test_spans(text: str, answers: list[str], found: list[str]) -> None:
    assert [text[span.start : span.end] for span in answer_spans(text, answers)] == found


@given(st.text("abc 1.", max_size=30), st.text("abc1 ", min_size=1, max_size=6))
def test_spans_are_in_order_and_hold_the_answer(text: str, answer: str) -> None:
    spans = answer_spans(text, [answer])
    assert all(isinstance(span, Span) and span.start < span.end for span in spans)
    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert all(contains(text[span.start : span.end], answer) for span in spans)
