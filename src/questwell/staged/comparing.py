"""Comparisons: which of two subjects has the greater amount or the earlier date. Each side is a chain of its own.

Each side alone is a sound question for the amount; code compares them, so a comparison of two 2-step sides needs four
searches without a passage that connects them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from questwell.scoring.answers import normalise
from questwell.scoring.quantities import amount
from questwell.staged.claims import label_of
from questwell.staged.drafting import Written
from questwell.staged.paths import Hop, Path, leading_to
from questwell.staged.spans import fact_sentences
from questwell.staged.wording import Fact, described, happened, steps
from questwell.types.corpus import Passage
from questwell.types.derivation import Derivation, Operand, Operation
from questwell.types.game import AnswerType

AMOUNTS = (AnswerType.NUMBER, AnswerType.DATE)
_GREATER = {AnswerType.NUMBER: ("smaller", "greater"), AnswerType.DATE: ("earlier", "later")}
"""Words for the lesser and the greater of two values."""
_CLOSE = 1.05
"""Numbers closer than this factor are not compared: another source or year may turn them round."""
_ASKED = re.compile(r"Which has the (?P<word>smaller|greater|earlier|later) (?P<relation>[^,?]+), (?P<sides>.+)\?")
_OR = " or "
_DATED = re.compile(r"(?<!\d)[12]\d{3}(?!\d|[.,']\d|\s*[a-zµ°%])")
"""A year after which no unit comes."""
_SIGN = re.compile(r"[-+−–]\d")
"""A sign before a number, or a range: "UTC-5" is not compared."""

Side = Sequence[Fact]
"""Facts of a chain whose last fact is the amount."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison as a question asks for it."""

    relation: str
    sides: tuple[str, str]
    """Names or descriptions of the two subjects."""
    greater: bool

    def asked(self, side: str) -> str:
        """Return the question for the amount of one side."""
        return f"What is the {self.relation} of {side}?"

    def subject(self, asked: str) -> str:
        """Return the subject that `asked`, the question for a side, names."""
        return asked.removeprefix(self.asked("").removesuffix("?")).removesuffix("?")

    def decide(self, subjects: tuple[str, str], values: tuple[str, str]) -> str | None:
        """Return the subject that is asked for; None if the values cannot be compared."""
        first, second = map(amount, values)
        if first is None or second is None or first == second:
            return None
        return subjects[(first > second) != self.greater]


def read_comparison(question: str) -> Comparison | None:
    """Return the comparison that a question of this module asks for; None if it asks for something else."""
    found = _ASKED.fullmatch(question.strip())
    if found is None or found["sides"].count(_OR) != 1:
        return None
    first, _, second = found["sides"].partition(_OR)
    return Comparison(found["relation"], (first, second), found["word"] in ("greater", "later"))


def is_clue(path: Path) -> bool:
    """Return whether a path begins with a clue for a subject and ends in an amount of that subject."""
    return len(path) == 2 and path[0].inverse and not path[1].inverse and path[1].type in AMOUNTS


def partners(mine: Hop, candidates: Sequence[Path]) -> Iterator[Hop]:
    """Yield hops from another subject to an amount that may be compared with that of `mine`.

    It stands under the same label, in the same unit, and is not too close.
    """
    for path in candidates:
        last = path[-1]
        if len(path) > 1 or last.inverse or label_above(last) != label_above(mine):
            continue
        if normalise(last.subject) == normalise(mine.subject):
            continue
        if comparable(last.value.text, mine.value.text):
            yield last


def with_clue(amount_of: Hop, pool: Sequence[Passage], known: str) -> list[Path]:
    """Return paths that begin with a clue for the subject of a hop and end in the hop, the clearest clue first."""
    clues = leading_to(amount_of.subject, pool, known)
    return [(clue, amount_of) for clue in clues if clue.inverse and clue.passage.id != amount_of.passage.id]


def comparable(one: str, other: str) -> bool:
    """Return whether two amounts have the same unit and are clearly apart."""
    first, second = amount(one), amount(other)
    if first is None or second is None or _unit(one) != _unit(other) or _SIGN.search(one + other):
        return False
    if first == second or min(first, second) <= 0:
        return False
    return _is_year(one) or max(first, second) >= float(min(first, second)) * _CLOSE


def compared(one: Side, other: Side) -> Written | str:
    """Return the question that compares two sides, or why they cannot be compared."""
    relation = one[-1].relation
    if happened(relation):
        return f"{relation!r} is no measure"
    if normalise(relation) != normalise(other[-1].relation):
        return f"{relation!r} is not {other[-1].relation!r}"
    nouns = {side[0].noun.split()[-1] if side[0].noun else "" for side in (one, other)}
    if len(nouns) > 1 or "" in nouns:
        return f"{one[-1].hop.subject!r} and {other[-1].hop.subject!r} are not of one kind"
    values = [amount(side[-1].hop.value.text) or 0 for side in (one, other)]
    named = len(other) == 1  # the question names it, so it must not be the answer
    greater = values[0] > values[1] or not named
    word = _GREATER[one[-1].hop.type][greater]
    said = [described(side[:-1]) if len(side) > 1 else side[0].hop.subject for side in (one, other)]
    chosen = one if (values[0] > values[1]) == greater else other
    facts = (*one, *other)
    operands = tuple(
        Operand(f"{side[-1].hop.subject} = {side[-1].hop.value.text}", side[-1].hop.passage.id) for side in (one, other)
    )
    return Written(
        f"Which has the {word} {relation}, {said[1]} or {said[0]}?",
        chosen[-1].hop.subject,
        (),
        (*steps(one), *steps(other)),
        tuple({fact.hop.passage.id: fact.hop.passage for fact in facts}.values()),
        Derivation(Operation.ORDER, operands),
    )


def label_above(hop: Hop) -> str:
    """Return the label of the field that contains the hop's value, folded; empty if no field does."""
    return normalise(label_of(fact_sentences(hop.passage, hop.value.text), hop.value.text) or "")


def _unit(text: str) -> str:
    return " ".join(re.findall(r"[^\W\d_]+", text.lower())) if not _is_year(text) else "year"


def _is_year(text: str) -> bool:
    return _DATED.search(text) is not None
