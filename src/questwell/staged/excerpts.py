"""What a small model is shown of a search: of each passage the sentences that have to do with the question."""

from collections.abc import Iterable
from dataclasses import replace

from questwell.agents.tools import Shelf
from questwell.retrieval.corpora.passages import sentences
from questwell.staged.likeness import alike, words_of
from questwell.types.corpus import Hit, Passage

_MOST = 300
"""Characters of a passage: what is read is what a call costs, and of a long one the 1.5B model reads the wrong line."""


def shown(hits: Iterable[Hit], question: str) -> str:
    """The hits as the model reads them, one a line."""
    return Shelf().show([replace(hit, passage=excerpt(hit.passage, question)) for hit in hits])


def excerpt(passage: Passage, question: str, most: int = _MOST) -> Passage:
    """The passage with those sentences that share most words with the question, in their order.

    The first one of a document comes with them, and at least one is kept, however long. A word counts the more, the
    fewer sentences have it, and the less, the longer they are; words of the title do not count, for they are in the
    question because the passage was looked for. A passage of at most `most` characters is kept whole.
    """
    if len(passage.text) <= most:
        return passage
    parts = [passage.text[start:end] for start, end in sentences(passage.text)]
    titled = set(words_of(passage.title))
    asked = [word for word in words_of(question) if word not in titled]
    saying = [[_says(part, word) for part in parts] for word in asked]
    scores = [
        sum(says[number] / sum(says) for says in saying if any(says)) / max(len(part) / most, 1)
        for number, part in enumerate(parts)
    ]
    ranked = sorted(range(len(parts)), key=lambda number: (passage.offset > 0 or number > 0, -scores[number]))
    kept, room = {ranked[0]}, most - len(parts[ranked[0]])
    for number in ranked[1:]:
        if len(parts[number]) < room:
            kept.add(number)
            room -= len(parts[number]) + 1
    return replace(passage, text="\n".join(part for number, part in enumerate(parts) if number in kept))


def _says(part: str, asked: str) -> bool:
    """Whether a text has a word of the question, or a form of one."""
    words = set(words_of(part))
    return asked in words or any(word[:2] == asked[:2] and alike(word, asked) for word in words)
