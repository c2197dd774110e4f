"""Measures how well a retriever finds gold documents: recall of questions, and hits of their single-hop parts.

Questions come from a JSON-lines file like MuSiQue's: `question`, `gold_doc_ids`, and optionally `decomposition`, a list
of `{"question", "answer", "gold_doc_id"}` in which `#1` stands for the first answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from questwell.errors import CorpusError
from questwell.text.files import Line, read_jsonl
from questwell.types.corpus import Hit

REFERENCE = re.compile(r"#(\d{1,2})\b")
"""Placeholder in a part's question for the answer of an earlier part."""


class Searches(Protocol):
    """A retriever to measure; only its search is needed."""

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """At most `k` hits for `query`, best first."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A single-hop part of a question, with references replaced by the right answers."""

    question: str
    gold: str
    """Id of the document that answers the part."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its gold documents."""

    question: str
    gold: frozenset[str]
    """Ids of the gold documents; at least one."""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Recalls:
    """The recall of each question and each part, in order."""

    questions: dict[int, list[float]]
    """For each k, the recall of each question: the fraction of its gold documents among its first k hits."""
    parts: list[float]
    """For each part, 1 if its gold document is among its first `PART_K` hits, otherwise 0."""


PART_K = 10
"""Number of hits in which a part's gold document is looked for."""


_NUMBERS_TOO = ConfigDict(coerce_numbers_to_str=True)
"""Ids may be numbers, as in the corpus."""


class _Step(BaseModel):
    model_config = _NUMBERS_TOO
    question: str
    answer: str
    gold_doc_id: str


def _listed(value: object) -> object:
    return [value] if isinstance(value, str | int) else value


class _Record(BaseModel):
    model_config = _NUMBERS_TOO
    question: str
    gold_doc_ids: Annotated[list[str], Field(min_length=1), BeforeValidator(_listed)]
    decomposition: list[_Step] = []


def read_questions(path: Path) -> list[Question]:
    """The questions in a file.

    Raises:
        CorpusError: the file cannot be read, or a line is not such a question; the message names the line.
    """
    questions = [
        Question(record.question, frozenset(record.gold_doc_ids), _parts(record, line))
        for line, record in read_jsonl(path, TypeAdapter(_Record), CorpusError)
    ]
    if not questions:
        raise CorpusError(f"{path} contains no question")
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
    """The recall of `retriever` for `questions` at each of `cutoffs`."""
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
