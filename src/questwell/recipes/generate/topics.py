"""Seeds by a user's topics: the passages that the corpus' own index finds for each, in turn."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from questwell.errors import ConfigError
from questwell.recipes.generate.setup import Library
from questwell.text.files import read_text
from questwell.types.corpus import Passage

PER_TOPIC = 200
"""Maximum number of passages per topic; further down the list they are hardly about it."""


def read_topics(path: Path) -> tuple[str, ...]:
    """The topics in a file, one per line; empty lines and those that begin with # are none.

    Raises:
        ConfigError: it cannot be read, or holds none.
    """
    lines = (line.strip() for line in read_text(path, ConfigError).splitlines())
    found = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not found:
        raise ConfigError(f"topics = {str(path)!r}: the file holds no topic; write one per line")
    return found


async def of_topics(topics: Sequence[str], library: Library, seed: int) -> list[Passage]:
    """Passages for `topics`, one of each in turn, no passage twice; each topic's in an order drawn by `seed`."""
    found: list[list[Passage]] = []
    for topic in topics:
        passages = [hit.passage for hit in await library.search(topic, PER_TOPIC)]
        random.Random(f"{seed}/{topic}/topic").shuffle(passages)
        found.append(passages)
    if missing := [topic for topic, passages in zip(topics, found, strict=True) if not passages]:
        raise ConfigError(f"topics: the corpus holds nothing about {', '.join(map(repr, missing[:5]))}")
    return list({passage.id: passage for passage in _in_turn(found)}.values())


def _in_turn(lists: Sequence[Sequence[Passage]]) -> Iterator[Passage]:
    for at in range(max(map(len, lists), default=0)):
        yield from (passages[at] for passages in lists if at < len(passages))
