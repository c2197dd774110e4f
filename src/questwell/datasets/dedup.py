"""Removes exact and near duplicates among items; the first of equal items is kept.

Exact: the same words in the question. Near: the same answer, the same numbers and names, and questions that share most
of their character 5-grams. Another answer, number or name makes another question, however alike the words: "When was
bridge 12 opened?" is not "When was bridge 13 opened?". So only questions that agree in all three are compared, and a
template that was filled in thousands of times costs no more than other questions.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from questwell.datasets.picked import Picked
from questwell.errors import ConfigError
from questwell.scoring.answers import normalise, numbers
from questwell.scoring.functional import is_functional
from questwell.scoring.words import is_unspaced, words
from questwell.types.dataset import Item

SHINGLE = 5
"""Characters per shingle, which works for any script; 3 in scripts where a character is about a word."""
_NAME = re.compile(r"[^\W\d_]\w*")
_PERMUTATIONS = 128
_Group: TypeAlias = tuple[str, frozenset[str], frozenset[str]]
"""Answer, numbers and names: two questions are compared only if they agree in all of them."""
_SLACK = 0.15
"""MinHash is an estimate: candidates up to this much below the threshold are measured exactly."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An item that repeats an earlier one."""

    item_id: str
    of: str
    """Id of the item that is kept."""
    similarity: float
    """Jaccard similarity of their shingles, in [0, 1]; 1.0 for exact ones."""
    exact: bool


def deduplicate(items: Sequence[Item], *, threshold: float | None = 0.7) -> tuple[Picked[Item], list[Duplicate]]:
    """Return the items without duplicates, in order, and the duplicates.

    Args:
        items: an earlier one is kept before a later one. They may be on disk: of each only two hashes are kept.
        threshold: minimum similarity of near duplicates; None: only exact duplicates are removed.

    Raises:
        ConfigError: `threshold` is given, but the extra `datasets` is not installed.
    """
    kept, duplicates = _exact(items)
    if threshold is None or len(kept) < 2:
        return kept, duplicates
    kept, near = _near(kept, threshold)
    return kept, duplicates + near


def shingles(text: str) -> frozenset[str]:
    """Return the character 5-grams of normalised `text`; 3-grams in scripts without spaces."""
    found = words(text)
    unspaced = 2 * sum(map(is_unspaced, found)) > len(found)
    plain, length = ("".join(found), 3) if unspaced else (" ".join(found), SHINGLE)
    return frozenset(plain[at : at + length] for at in range(max(1, len(plain) - length + 1)))


def names(text: str) -> frozenset[str]:
    """Return the capitalised words of `text` that are not function words, in lower case."""
    found = (match.group() for match in _NAME.finditer(text))
    return frozenset(word.lower() for word in found if word[0].isupper() and not is_functional(word.lower()))


def similarity(first: frozenset[str], second: frozenset[str]) -> float:
    """Return the Jaccard similarity of two sets, in [0, 1]."""
    return len(first & second) / len(first | second)


class KnownQuestions:
    """Known questions with answers; compares a new question with them by the rule of `deduplicate`."""

    def __init__(self, pairs: Iterable[tuple[str, str]], threshold: float = 0.7) -> None:
        """Store `pairs` of question and answer; `threshold` is the minimum similarity of near duplicates."""
        self._threshold = threshold
        self._groups: dict[_Group, tuple[tuple[str, frozenset[str]], ...]] = {}
        self._add(pairs)

    def and_also(self, pairs: Iterable[tuple[str, str]]) -> "KnownQuestions":
        """Return a new object with these questions and `pairs`; this one is not changed."""
        more = KnownQuestions((), self._threshold)
        more._groups = dict(self._groups)
        more._add(pairs)
        return more

    def _add(self, pairs: Iterable[tuple[str, str]]) -> None:
        for question, answer in pairs:
            group = _group(question, answer)
            self._groups[group] = (*self._groups.get(group, ()), (question, shingles(question)))

    def near(self, question: str, answer: str) -> str | None:
        """Return the most similar known near duplicate; None if there is none."""
        grams = shingles(question)
        found = [(similarity(grams, one), known) for known, one in self._groups.get(_group(question, answer), ())]
        share, known = max(found, default=(0.0, ""))
        return known if found and share >= self._threshold else None


def _exact(items: Sequence[Item]) -> tuple[Picked[Item], list[Duplicate]]:
    first: dict[bytes, int] = {}
    kept: list[int] = []
    repeats: list[tuple[str, int]] = []
    for at, item in enumerate(items):
        of = first.setdefault(_digest(normalise(item.question)), at)
        if of == at:
            kept.append(at)
        else:
            repeats.append((item.id, of))
    return Picked(items, kept), [Duplicate(name, items[of].id, 1.0, exact=True) for name, of in repeats]


def _near(items: Sequence[Item], threshold: float) -> tuple[Picked[Item], list[Duplicate]]:
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError:
        raise ConfigError(
            "near duplicates need MinHash: pip install 'questwell[datasets]', or set --near-duplicates 0"
        ) from None
    repeats: dict[int, Duplicate] = {}
    for group in _comparable(items):
        index: Any = MinHashLSH(threshold=max(0.05, threshold - _SLACK), num_perm=_PERMUTATIONS)
        grams: dict[int, frozenset[str]] = {}
        for at in group:
            item = items[at]
            grams[at] = shingles(item.question)
            sketch: Any = MinHash(num_perm=_PERMUTATIONS, seed=1)
            sketch.update_batch([gram.encode() for gram in grams[at]])
            candidates: list[int] = sorted(index.query(sketch))
            alike = ((other, similarity(grams[at], grams[other])) for other in candidates)
            found = next(((other, share) for other, share in alike if share >= threshold), None)
            if found is None:
                index.insert(at, sketch)
            else:
                repeats[at] = Duplicate(item.id, items[found[0]].id, found[1], exact=False)
    kept = Picked(items, (at for at in range(len(items)) if at not in repeats))
    return kept, [repeats[at] for at in sorted(repeats)]


def _comparable(items: Sequence[Item]) -> list[list[int]]:
    """Return groups of at least two item positions with the same answer, numbers and names."""
    first: dict[bytes, int] = {}
    groups: dict[int, list[int]] = defaultdict(list)
    for at, item in enumerate(items):
        answer, found, named = _group(item.question, item.answer)
        of = first.setdefault(_digest(repr((answer, sorted(found), sorted(named)))), at)
        if of != at:
            groups[of].append(at)
    return [[of, *more] for of, more in groups.items()]


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def _group(question: str, answer: str) -> _Group:
    return normalise(answer), numbers(question), names(question)
