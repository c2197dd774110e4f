"""Passages that are nearly the same: mirrored pages, boilerplate, a document that is in the corpus twice."""

from collections import Counter, defaultdict

from questwell.scoring.words import words

RUN = 5
"""Words."""
SHARE = 0.8
"""Of the smaller passage's runs, from which two are nearly the same."""
_MOST = 50
"""Earlier passages that one run is remembered of: boilerplate in more of them tells none from the others."""


class Alike:
    """Remembers passages, and tells one that is nearly an earlier one."""

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
    """Hashes of its runs of words; a shorter text is one run."""
    found = words(text)
    return {hash(found[at : at + RUN]) for at in range(max(1, len(found) - RUN + 1))}
