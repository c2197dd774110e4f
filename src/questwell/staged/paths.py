"""Paths over passages: hop by hop from a name in the question to the answer. Each is the skeleton of a question."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from questwell.retrieval.corpora.corpus import subject
from questwell.scoring.answers import contains, normalise
from questwell.staged.likeness import tells
from questwell.staged.spans import is_misnamed, year_of
from questwell.staged.values import Value, values
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType

_MOST = 4000
"""Maximum number of paths considered."""
_MOST_STEPS = 20_000
"""Maximum number of further hops tried, divided among the first hops: a large pool has millions of 3-hop paths."""
_FEW = 6
"""Maximum number of others with the same value if only the year distinguishes them; more means a company or prize."""
_BARE = 2.0
"""Penalty for an inverse hop from a single word: many things may have "UTC+1", which only a search shows."""
_AWAY = 1.5
"""Penalty on a path's promise when it does not lead through the seed's subject."""
_MORE_HOPS = 1.0
"""Penalty on a path's promise for each hop beyond one per passage, since the model has to read each hop."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One search: in `passage`, from its subject to a value, or from a value to the subject that has it."""

    passage: Passage
    value: Value
    inverse: bool = False
    """From the value to the subject: "the country whose capital is Lima"."""

    @property
    def subject(self) -> str:
        """Subject of the passage."""
        return subject(self.passage)

    @property
    def known(self) -> str:
        """The name or value from which the hop starts."""
        return self.value.text if self.inverse else self.subject

    @property
    def found(self) -> str:
        """The name or value to which the hop leads."""
        return self.subject if self.inverse else self.value.text

    @property
    def type(self) -> AnswerType:
        """Answer type of what the hop finds."""
        return AnswerType.ENTITY if self.inverse else self.value.type

    @property
    def key(self) -> tuple[str, str, bool]:
        """Identity of the hop: two hops with equal keys are the same."""
        return (self.passage.id, self.value.text, self.inverse)


Path = tuple[Hop, ...]
"""A chain of hops: each finds what the next one starts from."""


def searches(path: Path) -> int:
    """Return the minimum number of searches that the path needs: one per passage."""
    return len({hop.passage.id for hop in path})


def paths(
    pool: Sequence[Passage], length: int, types: Sequence[AnswerType], seed: Passage, rng: random.Random
) -> list[Path]:
    """Return paths that need `length` searches and end in a value of one of `types`, the most promising first.

    No passage is visited twice, and no passage contains what a later one is needed for, because then a step could be
    skipped. After an inverse hop the next hop may use another fact of the same passage.
    """
    world = _World.of(pool)
    starts = [hop for passage in pool for hop in _first_hops(passage, world, alone=length == 1)]
    starts.sort(key=lambda hop: -hop.value.weight)
    found: list[Path] = []
    for start in starts:
        tried = islice(_longer((start,), length, world, types), max(_MOST_STEPS // len(starts), 20))
        found += [path for path in tried if path is not None]
        if len(found) >= _MOST:
            break
    rng.shuffle(found)
    return sorted(found, key=lambda path: -promise(path, types, seed))


def promise(path: Path, types: Sequence[AnswerType], seed: Passage) -> float:
    """Return a score for how likely a path is to hold: clear values, the first type, through the seed's subject."""
    away = all(normalise(hop.subject) != normalise(subject(seed)) for hop in path)
    plain = sum(hop.value.weight for hop in path) / len(path)
    bare = sum(hop.inverse and " " not in hop.known for hop in path)
    more = len(path) - searches(path)
    return plain - types.index(path[-1].type) / 2 - _AWAY * away - _MORE_HOPS * more - _BARE * bare


def apart(candidates: Sequence[Path]) -> list[Path]:
    """Return paths without a common hop, chosen in order: if a hop turns out to be false, only one of them fails."""
    chosen: list[Path] = []
    used: set[tuple[str, str]] = set()
    for path in candidates:
        hops = {hop.key[:2] for hop in path}
        if not hops & used:
            chosen.append(path)
            used |= hops
    return chosen


def leading_to(name: str, pool: Sequence[Passage], known: str) -> list[Hop]:
    """Return hops that lead to `name`, clearest first, from passages and values that the question `known` lacks."""
    world = _World.of(pool)
    found = [
        hop
        for passage in pool
        for hop in _first_hops(passage, world, alone=False)
        if normalise(hop.found) == normalise(name) and not contains(known, hop.known)
    ]
    return sorted(found, key=lambda hop: -hop.value.weight)


def is_ambiguous(name: str, pool: Sequence[Passage]) -> bool:
    """Return whether passages about several things have this name: "Hook (film)" and "Hook (novel)"."""
    titles = {
        passage.title.rpartition("(")[2] if passage.title.endswith(")") else ""
        for passage in pool
        if normalise(subject(passage)) == normalise(name)
    }
    return len(titles) > 1


@dataclass(frozen=True, slots=True)
class _World:
    """The passages, indexed by subject and by the names that they contain as values."""

    about: dict[str, list[Passage]]
    holding: dict[str, list[tuple[Passage, Value]]]
    texts: dict[str, list[str]]
    """Folded texts about each subject, by its name, one text per passage."""

    @classmethod
    def of(cls, pool: Sequence[Passage]) -> "_World":
        about: dict[str, list[Passage]] = {}
        holding: dict[str, list[tuple[Passage, Value]]] = {}
        texts: dict[str, list[str]] = {}
        misnamed = {one.document_id for one in pool if is_misnamed(one, subject(one))}
        for passage in pool:
            texts.setdefault(normalise(subject(passage)), []).append(_folded(passage))
            if passage.document_id in misnamed:
                continue
            about.setdefault(normalise(subject(passage)), []).append(passage)
            for value in values(passage) if _is_name(subject(passage)) else ():
                if value.type is AnswerType.ENTITY:
                    holding.setdefault(normalise(value.text), []).append((passage, value))
        return cls(about, holding, texts)

    def apart(self, name: str, passage: Passage, before: str = "") -> bool:
        """Return whether a name identifies the subject of a passage among all passages that contain the name.

        The previous subject (`before`) may have it too. Others may if the passage gives the year of its subject.
        """
        own = {normalise(subject(passage)), normalise(before)}
        wanted, year = f" {normalise(name)} ", year_of(passage)
        told = {about: [text for text in texts if wanted in text] for about, texts in self.texts.items()}
        others = [texts for about, texts in told.items() if texts and about not in own]
        if len(others) > _FEW:
            return False
        return all(year is not None and f" {year} " not in text for texts in others for text in texts)


@lru_cache(maxsize=8192)
def _folded(passage: Passage) -> str:
    """Return title and text, normalised for `contains`."""
    return f" {normalise(f'{passage.title} {passage.text}')} "


def _first_hops(passage: Passage, world: _World, *, alone: bool) -> Iterator[Hop]:
    name = subject(passage)
    if not _is_name(name) or passage not in world.about.get(normalise(name), ()):
        return
    for value in values(passage):
        yield Hop(passage, value)
        if alone or value.type is not AnswerType.ENTITY or tells(value.text, name):
            continue
        named = value.text in passage.links or normalise(value.text) in world.about  # by many others, then
        if not named and world.apart(value.text, passage):
            yield Hop(passage, value, inverse=True)


def _longer(path: Path, length: int, world: _World, types: Sequence[AnswerType]) -> Iterator[Path | None]:
    """Yield the paths that begin with `path`; yield None for each further hop tried."""
    made = searches(path)
    if made == length and path[-1].type in types:
        yield path
    for hop in _next_hops(path, world):
        longer = (*path, hop)
        if searches(longer) <= length:
            yield None
            if _is_step(longer):
                yield from _longer(longer, length, world, types)


def _next_hops(path: Path, world: _World) -> Iterator[Hop]:
    """Yield hops that start from the end of the path: first facts about it, then subjects that have it as a value."""
    last, name = path[-1], normalise(path[-1].found)
    used = {hop.passage.id for hop in path}
    for passage in world.about.get(name, ()):
        if passage.id not in used or (last.inverse and passage.id == last.passage.id):
            for value in values(passage):
                yield Hop(passage, value)
    for passage, value in world.holding.get(name, ()):
        if passage.id not in used and not last.inverse and world.apart(value.text, passage, last.subject):
            yield Hop(passage, value, inverse=True)


def _is_step(path: Path) -> bool:
    """Return whether the last hop is needed: no earlier passage contains what it finds, nor its own passage the start.

    The name that the question begins with must not give it away either.
    """
    *earlier, last = path
    others = [hop.passage for hop in earlier if hop.passage.id != last.passage.id]
    told = any(contains(f"{passage.title} {passage.text}", last.found) for passage in others)
    known = [earlier[0].known, *(hop.found for hop in earlier[:-1])]
    same = earlier[-1].passage.id == last.passage.id
    if told or last.found in known or (same and last.found in (earlier[-1].known, earlier[-1].found)):
        return False
    if any(tells(earlier[0].known, hop.found) for hop in path):
        return False
    return same or not any(contains(f"{last.passage.title} {last.passage.text}", name) for name in known)


def _is_name(title: str) -> bool:
    """Return whether a title is a proper name; in a script without capitals every title counts as one."""
    return any(c.isupper() or c.isdigit() for c in title) or title.lower() == title.upper()
