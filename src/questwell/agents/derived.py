"""Checks answers that are computed from facts (a count, difference, order or sum) by computing them again.

The proposer names the operands, each with its exact words and the passage that contains them. A copied answer must be
in the evidence; for a derived answer the operands must be in the evidence, and the operation must give the answer.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal

from questwell.agents.moves import Derived
from questwell.scoring.answers import contains, normalise
from questwell.scoring.quantities import amount
from questwell.scoring.words import words
from questwell.types.corpus import Passage
from questwell.types.derivation import Derivation, Operand, Operation

_LINE = re.compile(rf"^\W*(?:derived?\s*:?\s*)?({'|'.join(Operation)})\W*$", re.IGNORECASE)
_SOURCE = re.compile(r"\[\s*(\d+)\s*\]\s*$")
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_SMALL = {word: value for value, word in enumerate(_WORDS)}


def read_derived(fields: Sequence[str]) -> Derived | None:
    """The derivation in a line such as `difference | 1936 [2] | 1931 [3]`; None if the line is a search step."""
    found = _LINE.match(fields[0]) if fields else None
    if found is None:
        return None
    operands: list[tuple[str, int | None]] = []
    for field in filter(None, fields[1:]):
        source = _SOURCE.search(field)
        operands.append((_SOURCE.sub("", field).strip(), int(source[1]) if source else None))
    return Derived(found[1].lower(), tuple(operands))


def derivation(derived: Derived, passage: Callable[[int], Passage | None]) -> Derivation:
    """The proposer's derivation, with passage ids in place of the numbers shown to it."""
    operands = tuple(
        Operand(span, found.id if number is not None and (found := passage(number)) else "")
        for span, number in derived.operands
    )
    return Derivation(Operation(derived.operation), operands)


def derivation_problem(question: str, answer: str, found: Derivation, passages: Sequence[Passage]) -> str | None:
    """Why the derivation does not give the answer, as a sentence for the proposer; None if it does."""
    texts = {passage.id: f"{passage.title} {passage.text}" for passage in passages}
    least = 1 if found.operation is Operation.COUNT else 2
    if len(found.operands) < least:
        return f"A {found.operation.value} needs at least {least} operands, each as: words [number of the passage]."
    for operand in found.operands:
        for part in operand.parts:
            if not contains(texts.get(operand.passage_id, ""), part):
                return f"The operand {part!r} does not stand in the passage that is named for it."
    if len({(normalise(one.span), one.passage_id) for one in found.operands}) < len(found.operands):
        return "An operand is named twice."
    if found.operation is not Operation.COUNT and all(contains(question, one.value) for one in found.operands):
        return "The question contains all operands, so that its answer needs no search."
    expected = _work_out(found)
    if expected is None:
        return f"The operands of the {found.operation.value} are no numbers or years that can be compared."
    if not _says(answer, expected):
        return f"The {found.operation.value} of the operands is {expected}, not {answer!r}."
    return None


def _work_out(found: Derivation) -> str | None:
    """The result of the operation; for an order, the names of the first and the last, joined by a bar."""
    if found.operation is Operation.COUNT:
        return str(len(found.operands))
    values = [amount(operand.value) for operand in found.operands]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    match found.operation:
        case Operation.SUM:
            return _plain(sum(known, Decimal(0)))
        case Operation.DIFFERENCE:
            return _plain(abs(known[0] - known[1])) if len(known) == 2 else None
        case Operation.ORDER:
            if known.count(min(known)) > 1 or known.count(max(known)) > 1:
                return None
            return f"{found.operands[known.index(min(known))].name}|{found.operands[known.index(max(known))].name}"


def _says(answer: str, expected: str) -> bool:
    if "|" in expected:
        return any(contains(answer, name) for name in expected.split("|"))
    wanted = Decimal(expected)
    said = [amount(word) if word not in _SMALL else Decimal(_SMALL[word]) for word in words(answer)]
    return wanted in said


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
