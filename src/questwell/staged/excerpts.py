"""Excerpts for a small model: the sentences of each retrieved passage that relate to the question."""

from collections.abc import Iterable
from dataclasses import replace

from questwell.agents.tools import Shelf
from questwell.retrieval.corpora.passages import sentences
from questwell.scoring.functional import is_functional
from questwell.staged.likeness import alike, words_of
from questwell.types.corpus import Hit, Passage

_MOST = 300
"""Maximum characters of an excerpt: input costs money, and in a long passage the 1.5B model reads the wrong line."""


def shown(hits: Iterable[Hit], question: str) -> str:
    """Return the hits as text for the model, one hit per line."""
    return Shelf().show([replace(hit, passage=excerpt(hit.passage, question)) for hit in hits])


def excerpt(passage: Passage, question: str, most: int = _MOST) -> Passage:
    """Return the passage cut down to the sentences that share most words with the question, in their original order.

    The first sentence of a document is included, and at least one sentence is kept, however long. A word weighs more
    if few sentences contain it, and less in long sentences. Function words do not count, nor words of the title: the
    question contains them because it asks about this passage. A passage of at most `most` characters is returned
    unchanged.
    """
    if len(passage.text) <= most:
        return passage
    parts = [passage.text[start:end] for start, end in sentences(passage.text)]
    titled = set(words_of(passage.title))
    asked = [word for word in words_of(question) if word not in titled and not is_functional(word)]
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
    """Return whether a text contains a word of the question, or a form of one."""
    words = set(words_of(part))
    return asked in words or any(word[:2] == asked[:2] and alike(word, asked) for word in words)
