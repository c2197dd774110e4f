"""Paths over passages: from what a question names, hop by hop, to a value. The skeleton of a multi-hop question."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from questwell.retrieval.corpora.corpus import subject
from questwell.scoring.answers import contains, normalise
from questwell.staged.values import Value, values
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType

_MOST = 4000
"""Paths that are looked at."""
_MOST_STEPS = 20_000
"""Further hops that are tried for them, divided among the first hops: three hops over a large pool have millions."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One search: in `passage`, from its subject to a value, or from a value to the subject that has it."""

    passage: Passage
    value: Value
    inverse: bool = False
    """From the value to the subject: "the country whose capital is Lima"."""

    @property
    def subject(self) -> str:
        """What the passage is about."""
        return subject(self.passage)

    @property
    def known(self) -> str:
        """What must be known to make the hop."""
        return self.value.text if self.inverse else self.subject

    @property
    def found(self) -> str:
        """What the hop gives."""
        return self.subject if self.inverse else self.value.text

    @property
    def key(self) -> tuple[str, str, bool]:
        """What makes it this hop and no other."""
        return (self.passage.id, self.value.text, self.inverse)


Path = tuple[Hop, ...]
"""Hops of which each gives what the next one must know."""


def paths(
    pool: Sequence[Passage], length: int, types: Sequence[AnswerType], seed: Passage, rng: random.Random
) -> list[Path]:
    """Paths of `length` hops over the pool that end in a value of one of `types`: the most promising first.

    Only the first hop may go from a value to its subject. No passage comes twice, and none tells what a later one is
    there for: then a step could be skipped.
    """
    about = _by_subject(pool)
    starts = [hop for passage in pool for hop in _first_hops(passage, about, alone=length == 1)]
    starts.sort(key=lambda hop: -hop.value.weight)
    found: list[Path] = []
    for start in starts:
        tried = islice(_longer((start,), length, about, types), max(_MOST_STEPS // len(starts), 20))
        found += [path for path in tried if path is not None]
        if len(found) >= _MOST:
            break
    rng.shuffle(found)
    return sorted(found, key=lambda path: -promise(path, types, seed))


def promise(path: Path, types: Sequence[AnswerType], seed: Passage) -> float:
    """How well a path promises to hold: plain values, of the first type, through the seed's subject."""
    away = all(normalise(hop.subject) != normalise(subject(seed)) for hop in path)
    return sum(hop.value.weight for hop in path) / len(path) - types.index(path[-1].value.type) - 4 * away


def leading_to(name: str, pool: Sequence[Passage], known: str) -> list[Hop]:
    """Hops that give `name`, plainest first, from passages and values that `known` (a question) does not hold."""
    about = _by_subject(pool)
    found = [
        hop
        for passage in pool
        for hop in _first_hops(passage, about, alone=False)
        if normalise(hop.found) == normalise(name) and not contains(known, hop.known)
    ]
    return sorted(found, key=lambda hop: -hop.value.weight)


def is_ambiguous(name: str, pool: Sequence[Passage]) -> bool:
    """Whether passages about several things bear the name: "Hook (film)" and "Hook (novel)"."""
    titles = {
        passage.title.rpartition("(")[2] if passage.title.endswith(")") else ""
        for passage in pool
        if normalise(subject(passage)) == normalise(name)
    }
    return len(titles) > 1


def _by_subject(pool: Sequence[Passage]) -> dict[str, list[Passage]]:
    about: dict[str, list[Passage]] = {}
    for passage in pool:
        about.setdefault(normalise(subject(passage)), []).append(passage)
    return about


def _first_hops(passage: Passage, about: dict[str, list[Passage]], *, alone: bool) -> Iterator[Hop]:
    name = subject(passage)
    if not _is_name(name):
        return
    for value in values(passage):
        yield Hop(passage, value)
        tells = (
            value.type is AnswerType.ENTITY and value.text not in passage.links and normalise(value.text) not in about
        )
        if not alone and tells and len(about[normalise(name)]) > 1:
            yield Hop(passage, value, inverse=True)  # what has a passage of its own is named by many others


def _longer(
    path: Path, length: int, about: dict[str, list[Passage]], types: Sequence[AnswerType]
) -> Iterator[Path | None]:
    """The paths that begin with `path`; None for each further hop that is tried."""
    if len(path) == length:
        if path[-1].value.type in types:
            yield path
        return
    for passage in about.get(normalise(path[-1].found), ()):
        if all(hop.passage.id != passage.id for hop in path):
            for value in values(passage):
                longer = (*path, Hop(passage, value))
                yield None
                if _is_step(longer):
                    yield from _longer(longer, length, about, types)


def _is_step(path: Path) -> bool:
    """Whether the last hop is needed: no earlier passage tells what it finds, nor does its own tell where to begin."""
    *earlier, last = path
    told = any(contains(f"{hop.passage.title} {hop.passage.text}", last.found) for hop in earlier)
    known = [earlier[0].known, *(hop.found for hop in earlier[:-1])]
    return not told and not any(contains(f"{last.passage.title} {last.passage.text}", name) for name in known)


def _is_name(title: str) -> bool:
    """Whether a title is a proper name; in a script without capitals every title is taken for one."""
    return any(c.isupper() or c.isdigit() for c in title) or title.lower() == title.upper()
