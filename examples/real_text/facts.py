"""Facts of the CIA World Factbook that code can read, and questions of one or two hops composed from them."""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from questwell.types.corpus import Passage


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fact."""

    name: str
    pattern: str
    """Finds its value in a passage: the first group that matched."""
    question: str
    """Asks for it; {} is the country."""
    keywords: str
    """A good query for it; {} is the country."""
    clue: str = ""
    """Names the country by it; {} is the value. Empty: no clue is made of it."""


KINDS = (
    Kind(
        "capital",
        r"Capital - name: ([A-Z][A-Za-z'\- ]+?)[.;(]",
        "What is the capital of {}?",
        "capital of {}",
        "the country whose capital is {}",
    ),
    Kind(
        "highest point",
        r"[Hh]ighest point: ([A-Z][A-Za-z'\- ]+?) [\d,]+ m",
        "What is the highest point of {}?",
        "highest point of {}",
        "the country whose highest point is {}",
    ),
    Kind(
        "independence",
        r"Independence: (\d{1,2} [A-Z][a-z]+ \d{4})",
        "On which day did {} become independent?",
        "independence day of {}",
        "the country that became independent on {}",
    ),
    Kind(
        "internet country code",
        r"Internet country code: (\.[a-z]{2})\b",
        "What is the internet country code of {}?",
        "internet country code of {}",
        "the country whose internet country code is {}",
    ),
    Kind(
        "national anthem",
        r"National anthem\(?s?\)?(?: -)? ?(?:title|name): \"?([A-Z\"][^\".(]+)",
        "What is the national anthem of {}?",
        "national anthem of {}",
        "the country whose national anthem is {}",
    ),
    Kind(
        "currency",
        r"Exchange rates - currency: ([a-zA-Z ]+?) \(",
        "What is the currency of {}?",
        "currency exchange rates of {}",
    ),
    Kind(
        "coastline",
        r"Coastline(?: -)?:? (?:total: )?([\d,]+ km)",
        "How long is the coastline of {}?",
        "coastline of {}",
    ),
    Kind(
        "area",
        r"Area - total: ([\d,]+ sq km)|Area: total: ([\d,]+ sq km)",
        "What is the total area of {}?",
        "total area of {}",
    ),
    Kind("median age", r"Median age - total: ([\d.]+ years)", "What is the median age in {}?", "median age of {}"),
    Kind("airports", r"Airports: (\d+)", "How many airports does {} have?", "airports of {}"),
    Kind("suffrage", r"Suffrage: (\d+ years)", "At what age may one vote in {}?", "suffrage age {}"),
    Kind(
        "national symbol",
        r"National symbol\(s\): ([a-z][a-z \-]+?)[;(.]",
        "What is the national symbol of {}?",
        "national symbol of {}",
    ),
)
HELD_OUT_KINDS = ("median age", "national symbol")
"""Kinds of fact that only the evaluation asks for."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What the corpus says of a country."""

    country: str
    kind: Kind
    value: str
    passage: Passage


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its way to the answer."""

    text: str
    fact: Fact
    """The fact that the question asks for."""
    clue: Fact | None = None
    """What the country is named by; None when it is named itself."""

    @property
    def queries(self) -> tuple[str, ...]:
        """Good queries, in order."""
        last = self.fact.kind.keywords.format(self.fact.country)
        return (last,) if self.clue is None else (f"{self.clue.kind.name} {self.clue.value}", last)


def facts(passages: Iterable[Passage]) -> list[Fact]:
    """Every fact; of each kind the first that the corpus says of a country."""
    found: dict[tuple[str, str], Fact] = {}
    for passage in passages:
        country = passage.title.partition(":")[0]
        for kind in KINDS:
            if (country, kind.name) not in found and (match := re.search(kind.pattern, passage.text)):
                value = next(group for group in match.groups() if group).strip()
                found[country, kind.name] = Fact(country, kind, value, passage)
    return list(found.values())


def split(countries: Iterable[str], seed: int) -> dict[str, set[str]]:
    """Countries to train on, to look at while training, and to test on: 60, 20 and 20 percent."""
    order = sorted(set(countries))
    random.Random(seed).shuffle(order)
    first, second = int(0.6 * len(order)), int(0.8 * len(order))
    return {"train": set(order[:first]), "dev": set(order[first:second]), "test": set(order[second:])}


def one_hop(known: Sequence[Fact]) -> list[Asked]:
    """A question for each fact, the country named."""
    return [Asked(fact.kind.question.format(fact.country), fact) for fact in known]


def two_hops(known: Sequence[Fact]) -> list[Asked]:
    """A question for each fact and each clue that names its country and no other."""
    values = Counter((fact.kind.name, fact.value) for fact in known if fact.kind.clue)
    clues: dict[str, list[Fact]] = defaultdict(list)
    for fact in known:
        if fact.kind.clue and values[fact.kind.name, fact.value] == 1:
            clues[fact.country].append(fact)
    return [compose(fact, clue) for fact in known for clue in clues[fact.country] if clue.kind is not fact.kind]


def compose(fact: Fact, clue: Fact) -> Asked:
    """The question for `fact` about the country that `clue` names."""
    return Asked(fact.kind.question.format(clue.kind.clue.format(clue.value)), fact, clue)
