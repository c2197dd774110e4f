"""Checks whether a pair is a question of the requested kind, from the steps and the derivation that come with it.

The check relies on what the proposer states: its steps, their passages, and how the answer is computed. It cannot see
whether the words of the question ask for exactly that; attempts and gates measure what the question needs.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace

from questwell.agents.prompts import Prompts
from questwell.llm.client import Message
from questwell.scoring.answers import contains, matches
from questwell.scoring.quantities import read_number
from questwell.scoring.times import YEAR, named_time
from questwell.types.corpus import Passage
from questwell.types.derivation import Derivation, Operation
from questwell.types.game import Proposal, QuestionKind, SolutionStep

_YEAR = re.compile(YEAR)
_DATE = re.compile(rf"{_YEAR.pattern}(?!\s*[a-zµ°%])")
"""A year after which no unit comes."""
_CALCULATIONS = (Operation.COUNT, Operation.DIFFERENCE, Operation.SUM)


def asked_for(opening: tuple[Message, ...], kind: QuestionKind | None, prompts: Prompts) -> tuple[Message, ...]:
    """`opening` with a description and an example of `kind`; unchanged if no kind is requested."""
    if kind is None:
        return opening
    *before, last = opening
    (wanted,) = prompts.messages(f"kind_{kind.value}")
    return (*before, replace(last, content=f"{last.content}\n\n{wanted.content}"))


def kind_problem(kind: QuestionKind | None, pair: Proposal) -> str | None:
    """Why `pair` is not a question of `kind`, as a sentence for the proposer; None if it is, or if `kind` is None."""
    match kind:
        case None:
            return None
        case QuestionKind.BRIDGE:
            found = _bridge(pair)
        case QuestionKind.INTERSECTION:
            found = _intersection(pair)
        case QuestionKind.COMPARISON:
            found = _worked_out(pair.derivation, (Operation.ORDER,))
        case QuestionKind.CALCULATION:
            found = _worked_out(pair.derivation, _CALCULATIONS)
        case QuestionKind.TEMPORAL:
            found = _temporal(pair)
    return None if found is None else f"This is no {kind.value} question: {found}"


def _bridge(pair: Proposal) -> str | None:
    """What is wrong with a chain, in which each step asks for what the one before found; None if nothing is."""
    steps = pair.steps
    if pair.derivation is not None:
        return "its answer is worked out, and should be found at the end of a chain."
    if len(steps) < 2 or not _other_passages(steps):
        return "it needs at least two steps, each with a passage of its own."
    for before, step in itertools.pairwise(steps):
        if not before.answer or not contains(step.query, before.answer):
            return f"the query {step.query!r} must name {before.answer!r}, which the step before finds."
        if contains(pair.question, before.answer):
            return f"the question names {before.answer!r}, and should only describe it."
    return _ends(pair)


def _intersection(pair: Proposal) -> str | None:
    """What is wrong with an intersection, in which two or more steps find one thing in different passages; or None."""
    for step in pair.steps:
        same = [one for one in pair.steps if step.answer and matches(one.answer, (step.answer,))]
        if len(same) < 2 or not _other_passages(same) or any(contains(one.query, step.answer) for one in same):
            continue
        if contains(pair.question, step.answer):
            return f"the question names {step.answer!r}, and should only describe it."
        rest = [one for one in pair.steps if one not in same]
        if not rest:
            return _ends(pair)
        if not any(contains(one.query, step.answer) for one in rest):
            return f"no further step asks about {step.answer!r}, which the others find."
        return _ends(pair)
    return "two steps must find the same thing, each from another passage and by a query that does not name it."


def _ends(pair: Proposal) -> str | None:
    last = pair.steps[-1].answer
    if matches(last, (pair.answer, *pair.aliases)):
        return None
    return f"the last step finds {last!r}, and not the answer {pair.answer!r}."


def _worked_out(derivation: Derivation | None, wanted: Sequence[Operation]) -> str | None:
    names = " or ".join(one.value for one in wanted)
    if derivation is None or derivation.operation not in wanted:
        return f"its answer must be worked out, by {names}, in a line of its own in the steps."
    if len({one.passage_id for one in derivation.operands if one.passage_id}) < 2:
        return "its facts must stand in at least two different passages."
    return None


def _temporal(pair: Proposal) -> str | None:
    """What is wrong with a temporal question, which names a time or compares dates in passages; None if nothing is."""
    found = pair.derivation
    if found is not None and found.operation in (Operation.ORDER, Operation.DIFFERENCE):
        if all(_is_date(one.value) for one in found.operands):
            return None
        return "the facts that are compared must be dates with a year."
    named = _YEAR.findall(named_time(pair.question))
    if not named:
        return "the question must name the time for which it asks, or its answer be worked out from dates."
    if not any(_says(year, pair.evidence) for year in named):
        return f"none of the passages that the steps name says {' or '.join(named)}."
    return None


def _is_date(words: str) -> bool:
    """Whether `words` are a year or a date with one: no 742, and no 1,500 metres."""
    number = read_number(words)
    return number.year if number is not None else _DATE.search(words) is not None


def _says(year: str, evidence: Sequence[Passage]) -> bool:
    return any(year in _YEAR.findall(f"{one.title} {one.text}") for one in evidence)


def _other_passages(steps: Sequence[SolutionStep]) -> bool:
    """Whether each step names a passage, and all steps name different ones."""
    ids = [step.passage_id for step in steps]
    return all(ids) and len(set(ids)) == len(ids)
