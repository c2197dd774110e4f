"""Groups similar texts by k-means over vectors, and finds the words that characterise each group."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
"""Array with one row per text."""
Groups = npt.NDArray[np.intp]
"""Array with the group number of each row."""

_ITERATIONS = 20
_GRID = 4096
"""Centres are rounded to multiples of 1 / this number, so that products with a matrix on the same grid add up exactly
and the groups are the same on every processor and with any number of threads."""
_COMMON = re.compile(
    "what|which|when|where|who|whom|whose|how|was|were|the|and|for|that|this|with|from|has|have|had|did|does|are|its|into|"
    "first|name|named|year|called|used|than|then|their|there"
)


def words_of(text: str) -> set[str]:
    """Return the words of a text that may indicate its topic: three letters or more, without very common words."""
    return {word for word in re.findall(r"\w{3,}", text.lower()) if not _COMMON.fullmatch(word)}


class Vocabulary:
    """Words that distinguish texts: they occur in at least two of them, but not in nearly all."""

    def __init__(self, split: Sequence[set[str]], most: int | None = None) -> None:
        """Collect the words from `split`, the word sets of the texts; keep only the `most` common ones."""
        seen = Counter(word for words in split for word in words)
        telling = sorted(word for word, count in seen.items() if 2 <= count <= 0.8 * len(split))
        kept = telling if most is None else sorted(sorted(telling, key=lambda word: -seen[word])[:most])
        self.words = kept
        self._place = {word: at for at, word in enumerate(kept)}
        self._weights = np.array([np.log(len(split) / seen[word]) for word in kept])

    def vectors(self, split: Sequence[set[str]]) -> Matrix:
        """Return a tf-idf vector of length 1 per text; zero for a text with none of the words."""
        matrix = np.zeros((len(split), len(self.words)))
        for row, words in enumerate(split):
            at = [self._place[word] for word in words & self._place.keys()]
            matrix[row, at] = self._weights[at]
        return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)

    def apart(self, matrix: Matrix, group: Groups, number: int, most: int = 3) -> tuple[str, ...]:
        """Return the words that distinguish a group of rows of `matrix` from the rest, the most distinctive first."""
        mine = group == number
        apart = matrix[mine].mean(axis=0) - (matrix[~mine].mean(axis=0) if (~mine).any() else 0.0)
        best: list[int] = np.argsort(-apart, kind="stable")[:most].tolist()
        return tuple(self.words[at] for at in best if apart[at] > 0)


def nearest(matrix: Matrix, centres: Matrix) -> Groups:
    """Return the number of the centre nearest to each row; the first of equally near ones."""
    return np.argmax(matrix @ centres.T - (centres * centres).sum(axis=1) / 2, axis=1)


def settled(matrix: Matrix, centres: Matrix) -> tuple[Matrix, Groups]:
    """Return the final centres and each row's group, iterating from `centres` until nothing changes (Lloyd)."""
    group = nearest(matrix, centres)
    for _ in range(_ITERATIONS):
        centres = np.stack(
            [matrix[group == n].mean(axis=0) if (group == n).any() else centre for n, centre in enumerate(centres)]
        )
        centres = np.rint(centres * _GRID) / _GRID
        again = nearest(matrix, centres)
        if (again == group).all():
            break
        group = again
    return centres, group
