"""Finds items that overlap with benchmark questions. It only reports them; the caller decides what to drop.

There are two signs: a shared sequence of words, and the same answer to a question about the same things. Both may be
accidental, so each overlap names both questions.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from questwell.scoring.answers import normalise
from questwell.scoring.functional import is_functional
from questwell.scoring.words import is_unspaced
from questwell.scoring.words import words as words_of
from questwell.text.scripts import WORD_PER_CHARACTER
from questwell.types.dataset import Item
from questwell.types.evaluation import Question

NGRAM = 8
"""Words per n-gram. GPT-3's 13 (Brown et al. 2020, appendix C) is longer than most multi-hop questions."""
SHARED = 0.6
"""Questions with the same answer overlap if they share at least this fraction of the benchmark's content words."""
_TELLING = 3
"""Minimum content words per n-gram: "what is the name of the one who was" is in many questions."""
_CHARACTERS = (
    (re.compile("[\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"), 1.5),
    (re.compile("[\u3040-\u30ff\u31f0-\u31ff]"), 2.0),
    (re.compile(f"[{WORD_PER_CHARACTER}]"), 4.0),
)
"""Characters per word in Han, Kana, Thai and others. A Chinese word has 1.5 on average, a Thai word 4."""
_ARTICLES = frozenset({"a", "an", "the"})


class Sign(StrEnum):
    """How two questions overlap."""

    NGRAM = "ngram"
    """A shared n-gram in the question or its intended steps."""
    ANSWER_PAIR = "answer_pair"
    """The same answer, and most of the benchmark question's content words."""
    MEANING = "meaning"
    """Similar vectors (`meaning.py`); only if requested."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """An item that may give away a question of a benchmark."""

    item_id: str
    benchmark: str
    question_id: str
    sign: Sign
    detail: str
    """The shared words."""


def overlaps(items: Iterable[Item], questions: Sequence[Question], *, words: int = NGRAM) -> list[Overlap]:
    """Return all overlaps, ordered by item; at most one of each sign per item and question.

    Args:
        items: items whose questions and step queries are compared.
        questions: questions of any benchmarks.
        words: length of a run, articles not counted; a benchmark question that is shorter counts as one run. Of a
            script without spaces, as many characters count as a word as it takes there (`_CHARACTERS`).
    """
    runs = _runs(questions, words)
    by_answer: dict[str, list[tuple[Question, frozenset[str]]]] = defaultdict(list)
    for question in questions:
        content = _content(question.question)
        for answer in {_answer(answer) for answer in question.answers} - {""}:
            by_answer[answer].append((question, content))
    return [found for item in items for found in (*_by_run(item, runs), *_by_answer(item, by_answer))]


def _runs(questions: Sequence[Question], words: int) -> dict[int, dict[tuple[str, ...], list[Question]]]:
    """Return the questions' n-grams by length: `words`, or fewer for a shorter question."""
    runs: dict[int, dict[tuple[str, ...], list[Question]]] = defaultdict(lambda: defaultdict(list))
    for question in questions:
        tokens = _tokens(question.question)
        per_word = sum(map(_characters, tokens)) / len(tokens) if tokens else 1.0
        length = min(round(words * per_word), len(tokens))
        if length < 3:  # "Who is he?" is in too many questions to be evidence
            continue
        for run in dict.fromkeys(_ngrams(tokens, length)):
            if sum(not is_functional(word) for word in run) >= min(_TELLING, length - 1):
                runs[length][run].append(question)
    return runs


def _characters(token: str) -> float:
    """Return how many tokens like this one make a word."""
    return next((count for script, count in _CHARACTERS if script.match(token)), 1.0)


def _by_run(item: Item, runs: dict[int, dict[tuple[str, ...], list[Question]]]) -> list[Overlap]:
    found: dict[tuple[str, str], Overlap] = {}
    for text in (item.question, *(step.query for step in item.steps)):
        tokens = _tokens(text)
        for length, known in runs.items():
            for run in _ngrams(tokens, length):
                for question in known.get(run, ()):
                    key = (question.benchmark, question.id)
                    found.setdefault(key, Overlap(item.id, *key, Sign.NGRAM, _joined(run)))
    return list(found.values())


def _by_answer(item: Item, by_answer: dict[str, list[tuple[Question, frozenset[str]]]]) -> list[Overlap]:
    ours = _content(" ".join((item.question, *(step.query for step in item.steps))))
    found: dict[tuple[str, str], Overlap] = {}
    for answer in dict.fromkeys(_answer(answer) for answer in (item.answer, *item.aliases)):
        for question, theirs in by_answer.get(answer, ()):
            shared = ours & theirs
            if theirs and len(shared) >= SHARED * len(theirs):
                key = (question.benchmark, question.id)
                detail = f"answer {answer!r}; {' '.join(sorted(shared))}"
                found.setdefault(key, Overlap(item.id, *key, Sign.ANSWER_PAIR, detail))
    return list(found.values())


def _ngrams(tokens: Sequence[str], length: int) -> Iterable[tuple[str, ...]]:
    return (tuple(tokens[at : at + length]) for at in range(len(tokens) - length + 1))


def _joined(run: Sequence[str]) -> str:
    return "".join(run) if all(map(is_unspaced, run)) else " ".join(run)


def _content(text: str) -> frozenset[str]:
    """Return the content words of a question; in scripts without spaces, pairs of characters."""
    tokens = _tokens(text)
    spaced = {word for word in tokens if len(word) > 2 and not is_functional(word)}
    pairs = {
        one + other
        for one, other in pairwise(tokens)
        if is_unspaced(one + other) and not is_functional(one) and not is_functional(other)
    }
    return frozenset(spaced | pairs)


def _tokens(text: str) -> list[str]:
    return [word for word in words_of(text) if word not in _ARTICLES]


def _answer(text: str) -> str:
    """Return the normalised words of an answer, without a leading article."""
    plain = normalise(text)
    first, _, rest = plain.partition(" ")
    return rest if rest and first in _ARTICLES else plain
