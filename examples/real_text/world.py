"""The files of an experiment: questions of each split, and demonstrations that search clumsily."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facts import HELD_OUT_KINDS, Asked, facts, one_hop, split, two_hops

from questwell.agents.tools import Shelf
from questwell.recipes.runs import files
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.scoring.answers import normalise
from questwell.types.corpus import Hit

SYSTEM = "Search, then answer."
CLUMSY = 0.6
"""Share of demonstrated searches that ask with the whole question instead of its key words."""
Dialogue = list[dict[str, str]]
"""Messages of a demonstration, each with role and content."""


@dataclass(frozen=True, slots=True)
class World:
    """Questions by split, each in an order that the seed fixes."""

    train: list[Asked]
    dev: list[Asked]
    test: list[Asked]
    other_kinds: list[Asked]
    """Questions about the countries of the test, of kinds of fact that training never asks for."""
    shown: list[Asked]
    """Questions for demonstrations: about training countries, none of them in `train`."""


def make_world(index: LexicalIndex, hops: int, seed: int, demonstrations: int) -> World:
    """The questions that code composes from the corpus."""
    known = facts(index.passage_at(at) for at in range(len(index)))
    asked = one_hop(known) if hops == 1 else two_hops(known)
    random.Random(seed).shuffle(asked)
    countries = split((fact.country for fact in known), 0)  # equal for every seed, so that answers can be paired

    def of(part: str, *, held_out: bool) -> list[Asked]:
        return [
            one
            for one in asked
            if one.fact.country in countries[part] and (one.fact.kind.name in HELD_OUT_KINDS) == held_out
        ]

    train = of("train", held_out=False)
    tests = sorted(of("test", held_out=False), key=lambda one: one.text)
    others = sorted(of("test", held_out=True), key=lambda one: one.text)
    for part in (tests, others):
        random.Random(0).shuffle(part)
    return World(train[demonstrations:], of("dev", held_out=False), tests, others, train[:demonstrations])


def write_questions(path: Path, asked: Sequence[Asked]) -> None:
    """JSONL of id, question, answer and country; written whole or not at all, since a later call reads it as it is."""
    rows = [
        {"id": f"{path.stem}-{at}", "question": one.text, "answer": one.fact.value, "country": one.fact.country}
        for at, one in enumerate(asked)
    ]
    files.replace(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


async def write_demonstrations(path: Path, asked: Sequence[Asked], index: LexicalIndex, top_k: int, seed: int) -> None:
    """A solver's dialogue for each question, as JSONL."""
    draw = random.Random(seed)
    write_dialogues(path, [await solving(one, index, top_k, draw) for one in asked])


async def solving(asked: Asked, index: LexicalIndex, top_k: int, draw: random.Random) -> Dialogue:
    """Each search is clumsy with probability `CLUMSY`; what is not found is answered by unknown."""
    shelf, hits = Shelf(), list[Hit]()
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked.text}]
    for good in asked.queries:
        query = asked.text if draw.random() < CLUMSY else good
        new = await index.search(query, top_k)
        hits += new
        messages += searched(query, shelf.show(new))
    answer = asked.fact.value if found(asked.fact.value, hits) else "unknown"
    return [*messages, {"role": "assistant", "content": f"<answer>{answer}</answer>"}]


def searched(query: str, shown: str) -> Dialogue:
    """A search, and what came of it."""
    return [
        {"role": "assistant", "content": f"<search>{query}</search>"},
        {"role": "user", "content": f"<information>\n{shown}\n</information>"},
    ]


def found(value: str, hits: Sequence[Hit]) -> bool:
    """Whether a passage holds the value."""
    return any(normalise(value) in normalise(hit.passage.text) for hit in hits)


def write_dialogues(path: Path, dialogues: Sequence[Dialogue]) -> None:
    """JSONL of messages."""
    lines = [json.dumps({"messages": messages}, ensure_ascii=False) + "\n" for messages in dialogues]
    files.replace(path, "".join(lines).encode())
