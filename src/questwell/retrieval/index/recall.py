"""How well a retriever finds gold passages: recall of questions, hits of their single-hop parts.

Questions come from a JSON-lines file of MuSiQue's kind: `question`, `gold_doc_ids`, and optionally `decomposition`, a
list of `{"question", "answer", "gold_doc_id"}` in which `#1` stands for the first answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import BaseModel, Field, TypeAdapter

from questwell.errors import CorpusError
from questwell.text.files import Line, read_jsonl
from questwell.types.corpus import Hit

REFERENCE = re.compile(r"#(\d{1,2})\b")
"""Placeholder in a part's question for the answer of an earlier part."""


class Searches(Protocol):
    """The part of a retriever that is measured."""

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """As `Retriever.search`."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A single-hop question, its references replaced by the right answers."""

    question: str
    gold: str
    """Id of the document that answers it."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question whose gold documents are known."""

    question: str
    gold: frozenset[str]
    """Ids of documents, at least one."""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Recalls:
    """The recall of each question or part, in their order."""

    questions: dict[int, list[float]]
    """By k: share of a question's gold documents among those of its first k hits."""
    parts: list[float]
    """1 if the part's gold document is among those of its first `PART_K` hits, else 0."""


PART_K = 10
"""Hits of a part that are looked at."""


class _Step(BaseModel):
    question: str
    answer: str
    gold_doc_id: str


class _Record(BaseModel):
    question: str
    gold_doc_ids: Annotated[list[str], Field(min_length=1)]
    decomposition: list[_Step] = []


def read_questions(path: Path) -> list[Question]:
    """The questions in a file.

    Raises:
        CorpusError: it cannot be read, or a line is no such question; says which.
    """
    questions = [
        Question(record.question, frozenset(record.gold_doc_ids), _parts(record, line))
        for line, record in read_jsonl(path, TypeAdapter(_Record), CorpusError)
    ]
    if not questions:
        raise CorpusError(f"{path} holds no question")
    return questions


def _parts(record: _Record, line: Line) -> tuple[Part, ...]:
    answers: list[str] = []

    def answer(reference: re.Match[str]) -> str:
        place = int(reference[1])
        if not 1 <= place <= len(answers):
            raise CorpusError(f"{line.place}: {reference.group()} refers to no earlier part")
        return answers[place - 1]

    parts: list[Part] = []
    for step in record.decomposition:
        parts.append(Part(REFERENCE.sub(answer, step.question), step.gold_doc_id))
        answers.append(step.answer)
    return tuple(parts)


async def measure(retriever: Searches, questions: Sequence[Question], cutoffs: Sequence[int] = (5, 10, 20)) -> Recalls:
    """What `retriever` finds of the gold documents of `questions`."""
    found: dict[int, list[float]] = {k: [] for k in cutoffs}
    parts: list[float] = []
    for question in questions:
        documents = await _documents(retriever, question.question, max(cutoffs))
        for k, shares in found.items():
            shares.append(len(question.gold.intersection(documents[:k])) / len(question.gold))
        for part in question.parts:
            parts.append(float(part.gold in await _documents(retriever, part.question, PART_K)))
    return Recalls(found, parts)


async def _documents(retriever: Searches, query: str, k: int) -> list[str]:
    return [hit.passage.document_id for hit in await retriever.search(query, k)]
