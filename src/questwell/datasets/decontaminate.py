"""Overlap of items with questions of benchmarks: first a report; dropping is the caller's choice.

Two signs, each of which may be an accident, so each names both sides: a shared run of words, and the same answer to a
question about the same things.
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
"""Length of a run in words. GPT-3's 13 (Brown et al. 2020, appendix C) is longer than most multi-hop questions."""
SHARED = 0.6
"""With the same answer, questions overlap from this share of the benchmark question's content words."""
_TELLING = 3
"""Minimum number of content words in a run: "what is the name of the one who was" is in many questions."""
_CHARACTERS = (
    (re.compile("[\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"), 1.5),
    (re.compile("[\u3040-\u30ff\u31f0-\u31ff]"), 2.0),
    (re.compile(f"[{WORD_PER_CHARACTER}]"), 4.0),
)
"""Characters in a word: of Han, of Kana, of Thai and the others. A Chinese word has 1.5 on average, a Thai one 4."""
_ARTICLES = frozenset({"a", "an", "the"})


class Sign(StrEnum):
    """How two questions overlap."""

    NGRAM = "ngram"
    """A run of words in the question, the intended steps or the answer's sentence."""
    ANSWER_PAIR = "answer_pair"
    """The same answer, and most of the benchmark question's content words."""
    MEANING = "meaning"
    """Similar vectors (`meaning.py`); only if asked for."""


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
    """Every overlap, by item; of one item and one question at most one of each sign.

    Args:
        items: read in their question and the queries of their intended steps.
        questions: of any benchmarks.
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
    """Runs of words by their length: `words`, or fewer for a question that has no more."""
    runs: dict[int, dict[tuple[str, ...], list[Question]]] = defaultdict(lambda: defaultdict(list))
    for question in questions:
        tokens = _tokens(question.question)
        per_word = sum(map(_characters, tokens)) / len(tokens) if tokens else 1.0
        length = min(round(words * per_word), len(tokens))
        if length < 3:  # "Who is he?" is in too many questions to say anything
            continue
        for run in dict.fromkeys(_ngrams(tokens, length)):
            if sum(not is_functional(word) for word in run) >= min(_TELLING, length - 1):
                runs[length][run].append(question)
    return runs


def _characters(token: str) -> float:
    """How many tokens like this one make a word."""
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
    """Words that say what a question is about; in scripts without spaces, pairs of characters."""
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
    """The words of an answer; a leading article makes no difference here, where a report is made."""
    plain = normalise(text)
    first, _, rest = plain.partition(" ")
    return rest if rest and first in _ARTICLES else plain
