"""Passages that are nearly the same: mirrored pages, boilerplate, a document that is in the corpus twice."""

from collections import Counter, defaultdict

from questwell.scoring.words import words

RUN = 5
"""Length of a run of words."""
SHARE = 0.8
"""Two passages are nearly the same from this share of the smaller one's runs."""
_MOST = 50
"""Most passages that are remembered per run: a run that more of them contain is boilerplate and tells none apart."""


class Alike:
    """Remembers passages, and recognises one that is nearly the same as an earlier one."""

    def __init__(self) -> None:
        self._passages: dict[int, list[int]] = defaultdict(list)
        self._sizes: list[int] = []

    def seen(self, text: str) -> bool:
        """Whether `text` is nearly one that was remembered; if not, it is remembered."""
        runs = _runs(text)
        shared = Counter(at for run in runs for at in self._passages.get(run, ()))
        if any(count >= SHARE * min(len(runs), self._sizes[at]) for at, count in shared.items()):
            return True
        for run in runs:
            if len(known := self._passages[run]) < _MOST:
                known.append(len(self._sizes))
        self._sizes.append(len(runs))
        return False


def _runs(text: str) -> set[int]:
    """Hashes of the runs of words in `text`; a text that is shorter than a run is one run."""
    found = words(text)
    return {hash(found[at : at + RUN]) for at in range(max(1, len(found) - RUN + 1))}
