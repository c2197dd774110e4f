"""Demonstrations of the three roles of self-play over facts, and the answers that its proposer is given.

A proposer sees an answer and the passage about its country. It asks for the answer with the country named, or, after a
search, with the country described by a clue, which takes the solver one search more.
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from arms import PROMPTS
from facts import Asked, Fact
from world import Dialogue, found, searched, solving

from questwell.agents.prompts import Prompts
from questwell.agents.tools import Shelf, show
from questwell.recipes.runs import files
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.types.corpus import Passage

NOISE = 4
"""Unrelated passages that the reader is shown, as when a question is verified."""
MISSING = 0.25
"""Share of the reader's demonstrations in which the passage with the answer is left out."""


async def roles(asked: Sequence[Asked], index: LexicalIndex, top_k: int, seed: int) -> list[Dialogue]:
    """A dialogue of each role about every question: solver, proposer, reader."""
    draw, prompts = random.Random(seed), Prompts(PROMPTS)
    others = [one.fact.passage for one in asked]
    dialogues: list[Dialogue] = []
    for one in asked:
        dialogues.append(await solving(one, index, top_k, draw))
        dialogues.append(await proposing(one, index, top_k, prompts))
        dialogues.append(reading(one, others, draw, prompts))
    return dialogues


async def proposing(asked: Asked, index: LexicalIndex, top_k: int, prompts: Prompts) -> Dialogue:
    """Search for the clue, or for the fact where there is none, then ask; the country is named if no clue was found."""
    fact, clue = asked.fact, asked.clue
    opening = prompts.messages(
        "ssp_proposer", rules="", turns=0, hops=0, answer=fact.value, passage=show(fact.passage, 1)
    )
    wanted = clue or fact
    query = wanted.kind.keywords.format(fact.country)
    hits = await index.search(query, top_k)
    text = asked.text if clue and found(clue.value, hits) else fact.kind.question.format(fact.country)
    return [
        *({"role": message.role, "content": message.content} for message in opening),
        *searched(query, Shelf([fact.passage]).show(hits)),
        {"role": "assistant", "content": f"<question>{text}</question>"},
    ]


def reading(asked: Asked, others: Sequence[Passage], draw: random.Random, prompts: Prompts) -> Dialogue:
    """Answer from the passages of the question among others; unknown if the one with the answer is not there."""
    missing = draw.random() < MISSING
    own = ([] if missing else [asked.fact.passage]) + ([asked.clue.passage] if asked.clue else [])
    strange = [other for other in others if not other.title.startswith(f"{asked.fact.country}:")]
    shown = list({passage.id: passage for passage in (*own, *draw.sample(strange, NOISE))}.values())
    draw.shuffle(shown)
    lines = "\n".join(show(passage, number) for number, passage in enumerate(shown, 1))
    answer = asked.fact.value if asked.fact.passage in shown else "unknown"
    return [
        *(
            {"role": message.role, "content": message.content}
            for message in prompts.messages("gate_read", passages=lines, question=asked.text)
        ),
        {"role": "assistant", "content": f"<answer>{answer}</answer>"},
    ]


def write_answers(path: Path, facts: Sequence[Fact]) -> None:
    """JSONL of answer and passage_id, for `questwell selfplay --answers`."""
    rows = [{"answer": fact.value, "passage_id": fact.passage.id} for fact in facts]
    files.replace(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
