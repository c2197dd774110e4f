"""Recognises passages that are nearly the same: mirrored pages, boilerplate, repeated documents."""

from collections import Counter, defaultdict

from questwell.scoring.words import words

RUN = 5
"""Number of words in a run."""
SHARE = 0.8
"""Minimum fraction of the smaller passage's runs that nearly equal passages share, in [0, 1]."""
_MOST = 50
"""Maximum number of passages remembered per run; a run in more passages is boilerplate and identifies none."""


class Alike:
    """Remembers passages and recognises one that is nearly the same as an earlier one."""

    def __init__(self) -> None:
        self._passages: dict[int, list[int]] = defaultdict(list)
        self._sizes: list[int] = []

    def seen(self, text: str) -> bool:
        """Whether `text` is nearly the same as a remembered text; if not, it is remembered."""
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
