"""The toy world for search self-play: facts that are found from either end, right answers, and demonstrations.

A proposer starts from an answer, so it must find facts by what they lead to: `r1 is e7` finds `r1 of e3 is e7`.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from questwell.toy.world import ToyQuestion, ToyWorld, walk
from questwell.types.corpus import Hit, Passage
from questwell.types.trajectory import Turn

UNKNOWN = "unknown"
"""Answer of a reader whose passages do not answer the question; the only word that is in no fact."""


class PassageRetriever:
    """Finds facts by relation and subject (`r1 of e3`), or backwards by relation and object (`r1 is e7`)."""

    def __init__(self, passages: Iterable[Passage], name: str = "passages") -> None:
        self.name = name
        self._facts: dict[tuple[str, str], Passage] = {}
        self._leading: dict[tuple[str, str], Passage] = {}
        for passage in passages:
            relation, _, subject, _, found = passage.text.split()
            self._facts[relation, subject] = passage
            self._leading[relation, found] = passage

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """Return at most one fact: `r1 of e3` and `r1 is e7` find one, all other queries none."""
        words = query.split()
        if len(words) != 3 or words[1] not in ("of", "is"):
            return ()
        found = (self._facts if words[1] == "of" else self._leading).get((words[0], words[2]))
        return (Hit(found, 1.0, 1),)[:k] if found else ()

    async def aclose(self) -> None:
        """Nothing to release."""


class TwoWayRetriever(PassageRetriever):
    """Finds all facts of a world, from either end."""

    def __init__(self, world: ToyWorld) -> None:
        super().__init__(world.passages, f"{world.retriever().name}-two-way")


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One ideal rollout."""

    kind: Literal["solver", "proposer", "reader"]
    values: dict[str, str]
    """Values from the world that fill its prompt."""
    turns: tuple[Turn, ...]


def truth(world: ToyWorld, question: str) -> str | None:
    """Return the right answer to any question; None if it does not refer to facts of this world."""
    *relations, start = question.replace("?", " ").split(" of ")
    at = start.strip()
    for relation in reversed([relation.strip() for relation in relations]):
        found = world.facts.get((relation, at))
        if found is None:
            return None
        at = found
    return at if relations else None


def solving(world: ToyWorld, question: ToyQuestion, error_rate: float, rng: random.Random) -> Demonstration:
    """Return a demonstration of a solver that searches hop by hop; `error_rate` is that of `walk`."""
    return Demonstration("solver", {"question": question.question}, walk(question, world, rng, error_rate))


def proposing(world: ToyWorld, answer: str, hops: int, error_rate: float, rng: random.Random) -> Demonstration:
    """Return a demonstration of a proposer that follows `hops` facts back from `answer` on a random path.

    The path does not return to `answer`. With probability `error_rate` per hop it continues from an unrelated fact;
    the question then has another answer.
    """
    leading = {(relation, found): subject for (relation, subject), found in world.facts.items()}
    relations = sorted({relation for relation, _ in world.facts})
    shelf = _Shelf()
    at, path, turns = answer, list[str](), list[Turn]()
    for _ in range(hops):
        usable = [relation for relation in relations if leading[relation, at] != answer] or relations
        relation = rng.choice(usable)
        if rng.random() < error_rate:
            at = rng.choice(sorted({found for _, found in leading} - {at}))
        source = leading[relation, at]
        query = f"{relation} is {at}"
        turns.append(Turn(f"<search>{query}</search>", query, (), shelf.show(f"{relation} of {source} is {at}")))
        path.append(relation)
        at = source
    turns.append(Turn(f"<question>{' of '.join([*path, at])}</question>"))
    return Demonstration("proposer", {"answer": answer, "hops": str(hops)}, tuple(turns))


def reading(world: ToyWorld, question: ToyQuestion, noise: int, missing: bool, rng: random.Random) -> Demonstration:
    """Return a demonstration of a reader that follows facts among `noise` others; with `missing`, one is left out."""
    needed = [f"{query} is {found}" for query, found in zip(question.queries, question.findings, strict=True)]
    lost = rng.randrange(len(needed)) if missing else len(needed)
    others = [passage.text for passage in world.passages if passage.text not in needed]
    shown = list(dict.fromkeys([*needed[:lost], *needed[lost + 1 :], *rng.sample(others, noise)]))
    lost = next((at for at, fact in enumerate(needed) if fact not in shown), len(needed))
    rng.shuffle(shown)
    passages = "\n".join(f"[{number}] {text}" for number, text in enumerate(shown, 1))
    said = question.answer if lost == len(needed) else UNKNOWN
    thought = " ".join(needed[:lost])
    turn = Turn(f"<think>{thought}</think><answer>{said}</answer>")
    return Demonstration("reader", {"question": question.question, "passages": passages}, (turn,))


class _Shelf:
    """Numbers each fact when it is first shown, as an agent's shelf does."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def show(self, fact: str) -> str:
        """Return the fact as an agent reads it, with its number."""
        return f"[{self._numbers.setdefault(fact, len(self._numbers) + 1)}] {fact}"
