"""Comparisons: which of two subjects has the greater amount or the earlier date. Each side is a chain of its own.

Each side alone is a sound question for the amount; code compares them, so a comparison of two 2-step sides needs four
searches without a passage that connects them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from questwell.scoring.answers import contains, normalise
from questwell.scoring.quantities import amount
from questwell.staged.claims import label_of
from questwell.staged.drafting import Written
from questwell.staged.paths import Hop, Path, leading_to
from questwell.staged.spans import fact_sentences
from questwell.staged.wording import OF_A_YEAR, SINCE, UNNAMED, Fact, described, happened, steps, with_article
from questwell.types.corpus import Passage
from questwell.types.derivation import Derivation, Operand, Operation
from questwell.types.game import AnswerType

AMOUNTS = (AnswerType.NUMBER, AnswerType.DATE)
_GREATER = {AnswerType.NUMBER: ("smaller", "greater"), AnswerType.DATE: ("earlier", "later")}
"""Words for the lesser and the greater of two values."""
_CLOSE = 1.05
"""Numbers closer than this factor are not compared: another source or year may turn them round."""
_ASKED = (
    re.compile(r"Which has the (?P<word>smaller|greater|earlier|later) (?P<relation>[^,?]+), (?P<sides>.+)\?"),
    re.compile(r"Which was (?P<relation>[a-z ]+) (?P<word>earlier|later), (?P<sides>.+)\?"),
    re.compile(r"Which has been (?P<relation>[a-z]+) since an? (?P<word>earlier|later) date, (?P<sides>.+)\?"),
    re.compile(r"Which (?P<relation>[a-z ]+) is from an? (?P<word>earlier|later) year, (?P<sides>.+)\?"),
)
"""Forms of a comparison: of a measure or a date with a noun, of what happened, since when something is so, of years."""
_MEASURED = (
    ("What is the {relation} of ", "?"),
    ("When was ", " {relation}?"),
    ("Since when has ", " been {relation}?"),
    (f"What is the {OF_A_YEAR} of ", "?"),
)
"""Beginning and end of the question for one side, by form."""
_OR = " or "
_DATED = re.compile(r"(?<!\d)[12]\d{3}(?!\d|[.,']\d|\s*[a-zµ°%])")
"""A year after which no unit comes."""
_SIGN = re.compile(r"[-+−–]\d")
"""A sign before a number, or a range: "UTC-5" is not compared."""

_ISO = re.compile(r"(?<!\d)[12]\d{3}-\d\d(?:-\d\d)?(?!\d)")
"""A date whose dashes are no signs."""

Side = Sequence[Fact]
"""Facts of a chain whose last fact is the amount."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison as a question asks for it."""

    relation: str
    sides: tuple[str, str]
    """Names or descriptions of the two subjects."""
    greater: bool
    form: int = 0
    """Place in `_ASKED`."""

    def asked(self, side: str) -> str:
        """Return the question for the amount of one side."""
        before, after = _MEASURED[self.form]
        return f"{before.format(relation=self.relation)}{side}{after.format(relation=self.relation)}"

    def decide(self, subjects: tuple[str, str], values: tuple[str, str]) -> str | None:
        """Return the subject that is asked for; None if the values cannot be compared."""
        first, second = map(amount, values)
        if first is None or second is None or first == second:
            return None
        return subjects[(first > second) != self.greater]


def read_comparison(question: str) -> Comparison | None:
    """Return the comparison that a question of this module asks for; None if it asks for something else."""
    for form, asked in enumerate(_ASKED):
        found = asked.fullmatch(question.strip())
        if found is not None and found["sides"].count(_OR) == 1:
            first, _, second = found["sides"].partition(_OR)
            return Comparison(found["relation"], (first, second), found["word"] in ("greater", "later"), form)
    return None


def is_side(path: Path) -> bool:
    """Return whether a path describes a subject, by a clue or as the value of another, and ends in its amount."""
    return len(path) == 2 and not path[1].inverse and path[1].type in AMOUNTS


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


def ways_to(amount_of: Hop, pool: Sequence[Passage], known: str) -> list[Path]:
    """Return paths that describe the subject of a hop and end in the hop: clues first, the clearest of each first.

    The passage that describes it must not say the amount as well.
    """
    ways = leading_to(amount_of.subject, pool, known)
    apart = [way for way in ways if way.passage.id != amount_of.passage.id]
    silent = [way for way in apart if way.inverse or not contains(way.passage.text, amount_of.value.text)]
    return [(way, amount_of) for way in sorted(silent, key=lambda way: not way.inverse)]


def comparable(one: str, other: str) -> bool:
    """Return whether two amounts have the same unit and are clearly apart."""
    first, second = amount(one), amount(other)
    if first is None or second is None or _unit(one) != _unit(other) or _SIGN.search(_ISO.sub("", f"{one} {other}")):
        return False
    if first == second or min(first, second) <= 0:
        return False
    return _is_year(one) or max(first, second) >= float(min(first, second)) * _CLOSE


def compared(one: Side, other: Side) -> Written | str:
    """Return the question that compares two sides, or why they cannot be compared."""
    relation = one[-1].relation
    if happened(relation) and one[-1].hop.type is not AnswerType.DATE:
        return f"{relation!r} is no measure"
    if normalise(relation) != normalise(other[-1].relation):
        return f"{relation!r} is not {other[-1].relation!r}"
    nouns = {_noun(side) for side in (one, other)}
    if len(nouns) > 1 or "" in nouns:
        return f"{one[-1].hop.subject!r} and {other[-1].hop.subject!r} are not of one kind"
    values = [amount(side[-1].hop.value.text) or 0 for side in (one, other)]
    named = len(other) == 1  # the question names it, so it must not be the answer
    greater = values[0] > values[1] or not named
    word = _GREATER[one[-1].hop.type][greater]
    said = [described(side[:-1]) if len(side) > 1 else side[0].hop.subject for side in (one, other)]
    if all(phrase.startswith(UNNAMED) for phrase in said):  # a name beside it may say it
        return "nothing says what the two are"
    chosen = one if (values[0] > values[1]) == greater else other
    asked = f"{_which(one[-1], word)}, {said[1]} or {said[0]}?"
    if read_comparison(asked) is None:
        return f"{asked!r} has more than two sides"
    facts = (*one, *other)
    operands = tuple(
        Operand(f"{side[-1].hop.subject} = {side[-1].hop.value.text}", side[-1].hop.passage.id) for side in (one, other)
    )
    return Written(
        asked,
        chosen[-1].hop.subject,
        (),
        (*steps(one), *steps(other)),
        tuple({fact.hop.passage.id: fact.hop.passage for fact in facts}.values()),
        Derivation(Operation.ORDER, operands),
    )


def _which(fact: Fact, word: str) -> str:
    """Return the beginning of a comparison by what a fact says of its subject."""
    relation, said = fact.relation, fact.relation.lower()
    if said == OF_A_YEAR:
        return f"Which {fact.noun} is from {with_article(word)} year"
    if since := SINCE.fullmatch(said):
        return f"Which has been {since['state']} since {with_article(word)} date"
    return f"Which was {said} {word}" if happened(said) else f"Which has the {word} {relation}"


def _noun(side: Side) -> str:
    """Return the last word for what the subject of a side's amount is."""
    fact = side[0] if side[0].hop.inverse else side[-1]
    return fact.noun.split()[-1] if fact.noun else ""


def label_above(hop: Hop) -> str:
    """Return the label of the field that contains the hop's value, folded; empty if no field does."""
    return normalise(label_of(fact_sentences(hop.passage, hop.value.text), hop.value.text) or "")


def _unit(text: str) -> str:
    return " ".join(re.findall(r"[^\W\d_]+", text.lower())) if not _is_year(text) else "year"


def _is_year(text: str) -> bool:
    return _DATED.search(text) is not None
