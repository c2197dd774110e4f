"""`ToyWorld`: linked facts, a question for every chain of facts, and a retriever that finds one fact per search.

A fact is a passage `r1 of e3 is e7`. A question of two hops is `r2 of r1 of e3`: whoever answers it must search
`r1 of e3` first, because only its result says what to search next. The facts are drawn at random, so the answer
cannot be guessed from the question.
"""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from questwell.types.corpus import Hit, Passage
from questwell.types.trajectory import Turn

PROMPTS = Path(__file__).parent / "prompts"
"""Prompt files that use only the world's words; pass them to `Prompts`."""


@dataclass(frozen=True, slots=True)
class ToyQuestion:
    """A question about the end of a chain of facts."""

    id: str
    question: str
    """Text of the question, such as `r2 of r1 of e3`."""
    answer: str
    queries: tuple[str, ...]
    """The searches that answer it, in order, one per hop."""
    findings: tuple[str, ...]
    """The result of each search; the last one is the answer."""

    @property
    def hops(self) -> int:
        """Number of searches needed."""
        return len(self.queries)


@dataclass(frozen=True)
class ToyWorld:
    """Entities linked by relations; these parameters determine all facts and questions."""

    entities: int = 16
    relations: int = 2
    seed: int = 0
    """Random seed of the facts."""
    entity_prefix: str = "e"
    relation_prefix: str = "r"
    """Prefix of relation names; another prefix gives a world with other names."""
    held_out: float = 0.25
    """Fraction of the entities from which only test questions start."""

    @property
    def words(self) -> tuple[str, ...]:
        """All names, for a vocabulary."""
        return (*self._entities, *self._relations)

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        """All facts, one per passage."""
        return tuple(
            Passage(
                id=f"{subject}/{relation}", title="", text=f"{relation} of {subject} is {found}", document_id=subject
            )
            for (relation, subject), found in self.facts.items()
        )

    @cached_property
    def facts(self) -> Mapping[tuple[str, str], str]:
        """Map of (relation, subject) to entity. Each relation maps entities one to one, and none to itself."""
        draw = random.Random(f"facts/{self.seed}/{self.entities}/{self.relations}")
        facts: dict[tuple[str, str], str] = {}
        for relation in self._relations:
            circle = draw.sample(self._entities, len(self._entities))
            facts |= {(relation, one): other for one, other in zip(circle, (*circle[1:], circle[0]), strict=True)}
        return facts

    def questions(self, hops: int = 2, *, test: bool = False) -> tuple[ToyQuestion, ...]:
        """Return all questions of `hops` hops that start from an entity of the split, in a fixed order."""
        held_out = set(random.Random(f"split/{self.seed}").sample(self._entities, round(self.held_out * self.entities)))
        starts = [entity for entity in self._entities if (entity in held_out) == test]
        chains = itertools.product(starts, itertools.product(self._relations, repeat=hops))
        return tuple(self._question(start, relations) for start, relations in chains)

    def retriever(self) -> "ToyRetriever":
        """Return a retriever that finds a fact by its relation and subject."""
        return ToyRetriever(self)

    @cached_property
    def _entities(self) -> tuple[str, ...]:
        return tuple(f"{self.entity_prefix}{number}" for number in range(self.entities))

    @cached_property
    def _relations(self) -> tuple[str, ...]:
        return tuple(f"{self.relation_prefix}{number}" for number in range(self.relations))

    def _question(self, start: str, relations: Sequence[str]) -> ToyQuestion:
        at = start
        queries: list[str] = []
        findings: list[str] = []
        for relation in relations:
            queries.append(f"{relation} of {at}")
            at = self.facts[relation, at]
            findings.append(at)
        text = " of ".join([*reversed(relations), start])
        return ToyQuestion(text.replace(" of ", "."), text, at, tuple(queries), tuple(findings))


class ToyRetriever:
    """A `Retriever` that finds the facts whose relation and subject are both in the query."""

    def __init__(self, world: ToyWorld) -> None:
        self._passages = {passage.id: passage for passage in world.passages}
        self.name = f"toy-{world.entity_prefix}{world.entities}x{world.relations}-{world.seed}"

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """Return at most `k` facts; none if the query names no relation and subject."""
        found = itertools.islice(self._matching(query.split()), k)
        return tuple(Hit(passage, 1.0, rank) for rank, passage in enumerate(found, 1))

    async def aclose(self) -> None:
        """Nothing to release."""

    def _matching(self, words: Sequence[str]) -> Iterator[Passage]:
        for one, other in itertools.permutations(dict.fromkeys(words), 2):
            if (passage := self._passages.get(f"{one}/{other}")) is not None:
                yield passage


def walk(question: ToyQuestion, world: ToyWorld, draw: random.Random, error_rate: float = 0.0) -> tuple[Turn, ...]:
    """Return the turns that answer a question: one search per hop, then the answer that the last one found.

    With probability `error_rate` a search looks for a random fact instead, whose result is then used. From such
    demonstrations a policy learns the form of an episode, but is right only sometimes.
    """
    at = question.queries[0].split()[-1]
    turns: list[Turn] = []
    for number, query in enumerate(question.queries, 1):
        fact = (query.split()[0], at) if draw.random() >= error_rate else draw.choice(list(world.facts))
        searched = f"{fact[0]} of {fact[1]}"
        at = world.facts[fact]
        turns.append(Turn(f"<search>{searched}</search>", searched, (), f"[{number}] {searched} is {at}"))
    return (*turns, Turn(f"<answer>{at}</answer>"))
