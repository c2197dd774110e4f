"""Implements `questwell index --evaluate`: measures how many gold passages an index finds, with intervals."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from questwell.errors import ConfigError
from questwell.evaluation.statistics import Estimate, estimate
from questwell.recipes.corpus.index import IndexConfig, in_order, open_index, open_reranker
from questwell.recipes.runs.caller import IndexProgress
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.retrieval.index.recall import Question, Recalls, measure, read_questions


@dataclass(frozen=True, slots=True)
class RecallReport:
    """How well an index finds gold passages. All shares are fractions with 95 % intervals."""

    retriever: str
    passages: int
    questions: int
    recall: dict[int, Estimate]
    """By k: share of a question's gold documents among its first k hits, mean over questions."""
    parts: Estimate
    """Share of single-hop parts whose gold document is among their first 10 hits; 0 of 0 if there are no parts."""


def evaluate_index(config: IndexConfig, questions: Path, index_progress: IndexProgress | None = None) -> RecallReport:
    """Measure what the index of `config` finds for the questions in a file; builds the index if needed.

    Raises:
        CorpusError: the file is malformed.
        ConfigError: a gold document is not in the index, so the figures would be meaningless.
        QuestwellError: opening the index or a search failed.
    """
    asked = read_questions(questions)
    reranker = open_reranker(config)
    index = open_index(config, index_progress)
    lexical = index if isinstance(index, LexicalIndex) else index.lexical
    _check_gold(lexical, asked, questions)

    searched = in_order(config, index, reranker)

    async def whole() -> Recalls:
        try:
            return await measure(searched, asked)
        finally:
            await searched.aclose()

    found = asyncio.run(whole())
    return RecallReport(
        retriever=searched.name,
        passages=len(index),
        questions=len(asked),
        recall={k: estimate(shares) for k, shares in found.questions.items()},
        parts=estimate(found.parts),
    )


def _check_gold(index: LexicalIndex, questions: list[Question], path: Path) -> None:
    gold = {name for question in questions for name in (*question.gold, *(part.gold for part in question.parts))}
    missing = sorted(name for name in gold if not index.passages_of(name))
    if missing:
        raise ConfigError(
            f"{len(missing)} of {len(gold)} gold documents of {path} are not in the corpus {index.manifest.corpus!r}, "
            f"such as {missing[0]!r}: name the corpus that the questions are about"
        )
