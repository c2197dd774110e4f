"""Chains of passages in which each names the subject of the next: the skeleton of a multi-hop question."""

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from questwell.retrieval.corpora.corpus import subject
from questwell.scoring.answers import contains, normalise
from questwell.staged.spans import Span, is_about, name_weight, names, spans, stands_alone
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType


@dataclass(frozen=True, slots=True)
class Link:
    """`source` names `name`, which is the subject of `target`."""

    source: Passage
    name: str
    target: Passage

    @property
    def weight(self) -> int:
        """How plainly the source relates its subject to the name; higher is better."""
        return (self.name in self.source.links) + name_weight(self.name, self.source.text)


@dataclass(frozen=True, slots=True)
class Chain:
    """Passages linked one after another, and an answer in the last of them. Needs one search a passage."""

    first: Passage
    links: tuple[Link, ...]
    answer: Span

    @property
    def passages(self) -> tuple[Passage, ...]:
        """From the passage whose subject the question names to the passage that contains the answer."""
        return (self.first, *(link.target for link in self.links))

    @property
    def weight(self) -> float:
        """How well it promises to read: plain relations between subjects and names, a plain answer."""
        plain = [link.weight for link in self.links]
        return self.answer.weight + (sum(plain) / len(plain) if plain else 0)


def links(source: Passage, pool: Iterable[Passage]) -> Iterator[Link]:
    """Links from `source` to passages of `pool` about something that it names."""
    named = _named(source)
    for target in pool:
        name = named.get(normalise(subject(target)))
        if name is not None and target.document_id != source.document_id:
            yield Link(source, name, target)


@lru_cache(maxsize=8192)
def _named(source: Passage) -> Mapping[str, str]:
    """What a passage says of its subject names, by the normalised name."""
    here = subject(source)
    return {
        normalise(name): name
        for name in names(source, here)
        if is_about(source, here, name) and not _same_initials(name, here)
    }


def _all_links(pool: Sequence[Passage]) -> dict[str, list[Link]]:
    """The links within a pool by the id of their source."""
    about: dict[str, list[Passage]] = {}
    for passage in pool:
        about.setdefault(normalise(subject(passage)), []).append(passage)
    return {
        source.id: [link for name in _named(source) for link in links(source, about.get(name, ()))] for source in pool
    }


def chains(
    pool: Sequence[Passage], length: int, answer_type: AnswerType, rng: random.Random, seed: Passage
) -> list[Chain]:
    """Chains of `length` passages of the pool with an answer of the wanted type.

    Those through `seed` come first, then those through another passage about its subject. In a chain no document comes
    twice, no passage but the last holds the answer, and no passage but its own source names a link's target: otherwise
    a step could be skipped.
    """
    pool = [passage for passage in pool if not passage.text.startswith("1. ")]  # several senses under one title
    linked = _all_links(pool)
    starts = [passage for passage in pool if _is_name(subject(passage))]
    rng.shuffle(starts)
    found = [
        chain
        for start in starts
        for path in _paths(start, length - 1, linked)
        for chain in _end(start, path, answer_type)
    ]
    rng.shuffle(found)
    about = normalise(subject(seed))

    def distance(chain: Chain) -> int:
        if any(passage.id == seed.id for passage in chain.passages):
            return 0
        return 1 if any(normalise(subject(passage)) == about for passage in chain.passages) else 2

    return sorted(found, key=lambda chain: (distance(chain), -chain.weight))


def depths(pool: Sequence[Passage], most: int) -> dict[str, int]:
    """Passage id to the number of passages in the longest chain of the pool that ends there, at most `most`."""
    deepest = dict.fromkeys((passage.id for passage in pool), 1)
    linked = {source: [link.target.id for link in found] for source, found in _all_links(pool).items()}
    frontier = [(passage.id, (passage.id,)) for passage in pool]
    for _ in range(most - 1):
        frontier = [(target, (*path, target)) for at, path in frontier for target in linked[at] if target not in path]
        frontier = frontier[:10_000]
        for target, path in frontier:
            deepest[target] = max(deepest[target], len(path))
    return deepest


def skips_a_step(source: Passage, later: Sequence[Passage]) -> bool:
    """Whether `source`, put before `later`, already names what one of them but the first is about."""
    return any(contains(source.text, subject(passage)) for passage in later[1:])


def _paths(start: Passage, hops: int, linked: dict[str, list[Link]]) -> Iterator[tuple[Link, ...]]:
    if hops == 0:
        yield ()
        return
    for link in linked[start.id]:
        for rest in _paths(link.target, hops - 1, linked):
            path = (link, *rest)
            documents = [start.document_id, *(step.target.document_id for step in path)]
            targets = [step.target for step in path]
            if len(set(documents)) == len(documents) and not skips_a_step(start, targets):
                yield path


def _end(start: Passage, path: tuple[Link, ...], answer_type: AnswerType) -> Iterator[Chain]:
    """The path with each of the three most promising answers in its last passage."""
    passages = (start, *(link.target for link in path))
    *earlier, last = passages
    about = subject(last)
    options = [
        span
        for span in spans(last, about, answer_type)
        if stands_alone(span.text, last.text)
        and not _same_initials(span.text, about)
        and is_about(last, about, span.text)
        and not any(contains(f"{passage.title} {passage.text}", span.text) for passage in earlier)
    ]
    for span in sorted(options, key=lambda span: -span.weight)[:3]:
        yield Chain(start, path, span)


def _same_initials(one: str, other: str) -> bool:
    """Whether one is an abbreviation of the other: then "another name for it" is all that links them."""

    def initials(name: str) -> str:
        words = re.findall(r"\w+", name)
        return "".join(word if word.isupper() or len(words) == 1 else word[0] for word in words).upper()

    return initials(one) == initials(other)


def _is_name(title: str) -> bool:
    """Whether a title is a proper name; in a script without capitals every title is taken for one."""
    return any(c.isupper() or c.isdigit() for c in title) or title.lower() == title.upper()
