"""Chains of passages in which each names the subject of the next: the skeleton of a multi-hop question."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from questwell.agents.staged.spans import Span, is_about, name_weight, names, spans, stands_alone
from questwell.retrieval.corpus import subject
from questwell.scoring.answers import contains, normalise
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType


@dataclass(frozen=True, slots=True)
class Link:
    """`source` names `name`, which is the subject of `target`."""

    source: Passage
    name: str
    target: Passage


@dataclass(frozen=True, slots=True)
class Chain:
    """Passages linked one after another, and an answer in the last of them. Needs one search a passage."""

    first: Passage
    links: tuple[Link, ...]
    answer: Span

    @property
    def passages(self) -> tuple[Passage, ...]:
        """From the one whose subject the question names to the one that holds the answer."""
        return (self.first, *(link.target for link in self.links))

    @property
    def weight(self) -> float:
        """How well it promises to read: plain relations between subjects and names, a plain answer."""
        plain = [(link.name in link.source.links) + name_weight(link.name, link.source.text) for link in self.links]
        return self.answer.weight + (sum(plain) / len(plain) if plain else 0)

    @property
    def key(self) -> tuple[str, ...]:
        """What makes it this chain and no other."""
        return (*(passage.id for passage in self.passages), normalise(self.answer.text))


def links(source: Passage, pool: Sequence[Passage]) -> Iterator[Link]:
    """Links from `source` to passages of `pool` about something that it names."""
    here = subject(source.title)
    for name in names(source, here):
        if not is_about(source, here, name):
            continue
        for target in pool:
            if target.document_id != source.document_id and normalise(subject(target.title)) == normalise(name):
                yield Link(source, name, target)


def chains(
    pool: Sequence[Passage], length: int, answer_type: AnswerType, rng: random.Random, seed: Passage
) -> list[Chain]:
    """Chains of `length` passages of the pool with an answer of the wanted type.

    Those through `seed` come first, then those through another passage about its subject. In a chain no document comes
    twice, no passage but the last holds the answer, and no passage but its own source names a link's target: otherwise
    a step could be skipped.
    """
    pool = [passage for passage in pool if not passage.text.startswith("1. ")]  # several senses under one title
    linked = {passage.id: list(links(passage, pool)) for passage in pool}
    found: list[Chain] = []
    starts = [passage for passage in pool if _is_name(subject(passage.title))]
    rng.shuffle(starts)
    for start in starts:
        for path in _paths(start, length - 1, linked):
            last = path[-1].target if path else start
            earlier = [link.source for link in path]
            if any(
                contains(passage.text, link.name) for link in path for passage in earlier if passage is not link.source
            ):
                continue
            options = sorted(
                (
                    span
                    for span in spans(last, subject(last.title), answer_type)
                    if not any(contains(f"{p.title} {p.text}", span.text) for p in earlier)
                    and stands_alone(span.text, last.text)
                    and is_about(last, subject(last.title), span.text)
                ),
                key=lambda span: -span.weight,
            )
            found.extend(Chain(start, path, span) for span in options[:3])
    rng.shuffle(found)
    about = normalise(subject(seed.title))

    def distance(chain: Chain) -> int:
        if any(passage.id == seed.id for passage in chain.passages):
            return 0
        return 1 if any(normalise(subject(passage.title)) == about for passage in chain.passages) else 2

    found.sort(key=lambda chain: (distance(chain), -chain.weight))
    return found


def _is_name(title: str) -> bool:
    """Whether a title is a proper name; in a script without capitals every title is taken for one."""
    return any(c.isupper() or c.isdigit() for c in title) or title.lower() == title.upper()


def _paths(start: Passage, hops: int, linked: dict[str, list[Link]]) -> Iterator[tuple[Link, ...]]:
    if hops == 0:
        yield ()
        return
    for link in linked[start.id]:
        for rest in _paths(link.target, hops - 1, linked):
            path = (link, *rest)
            documents = [start.document_id, *(step.target.document_id for step in path)]
            if len(set(documents)) == len(documents):
                yield path


def depths(pool: Sequence[Passage], most: int) -> dict[str, int]:
    """Passage id to the number of passages in the longest chain of the pool that ends there, at most `most`."""
    deepest = dict.fromkeys((passage.id for passage in pool), 1)
    linked = {passage.id: [link.target.id for link in links(passage, pool)] for passage in pool}
    frontier = [(passage.id, (passage.id,)) for passage in pool]
    for _ in range(most - 1):
        frontier = [(target, (*path, target)) for at, path in frontier for target in linked[at] if target not in path][
            :10_000
        ]
        for target, path in frontier:
            deepest[target] = max(deepest[target], len(path))
    return deepest
