"""Chooses seeds by the user's topics: the passages that the corpus' index finds for each topic in turn."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from questwell.errors import ConfigError
from questwell.recipes.generate.setup import Library
from questwell.text.files import read_lines
from questwell.types.corpus import Passage


@dataclass(frozen=True, slots=True)
class Start:
    """A passage where a play starts, and why it was chosen."""

    passage: Passage
    about: str = ""
    """See `Seed.about`."""


PER_TOPIC = 200
"""Maximum number of passages per topic; lower-ranked ones are hardly about it."""


def read_topics(path: Path) -> tuple[str, ...]:
    """Read topics from a file, one per line; skips empty lines and lines that begin with #.

    Raises:
        ConfigError: the file cannot be read, or contains no topic.
    """
    lines = (line.strip() for line in read_lines(path, ConfigError))
    found = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not found:
        raise ConfigError(f"topics = {str(path)!r}: the file contains no topic; write one per line")
    return found


async def of_topics(topics: Sequence[str], library: Library, seed: int) -> list[Start]:
    """Return passages for `topics`, one per topic in turn, without repeats; `seed` shuffles those of each topic."""
    found: list[list[Passage]] = []
    for topic in topics:
        passages = [hit.passage for hit in await library.search(topic, PER_TOPIC)]
        random.Random(f"{seed}/{topic}/topic").shuffle(passages)
        found.append(passages)
    if missing := [topic for topic, passages in zip(topics, found, strict=True) if not passages]:
        raise ConfigError(f"topics: the corpus contains nothing about {', '.join(map(repr, missing[:5]))}")
    drawn: dict[str, Start] = {}
    for start in _in_turn(topics, found):
        drawn.setdefault(start.passage.id, start)
    return list(drawn.values())


def _in_turn(topics: Sequence[str], lists: Sequence[Sequence[Passage]]) -> Iterator[Start]:
    for at in range(max(map(len, lists), default=0)):
        yield from (Start(found[at], topic) for topic, found in zip(topics, lists, strict=True) if at < len(found))
