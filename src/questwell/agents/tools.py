"""Writes search results for an agent, as delimited data that cannot open or close a tag."""

import re
from collections.abc import Iterable, Sequence

from questwell.types.corpus import Hit, Passage

TAGS = ("think", "search", "information", "question", "answer", "steps", "tool_call", "tool_response")
"""Tag names with a meaning in a dialogue; retrieved text must not contain them as tags."""

_GAP = r"[\s\u200c\u200d]*"
_TAG = re.compile(rf"<(?={_GAP}/?{_GAP}(?:(?:{'|'.join(TAGS)})\b|\|))", re.IGNORECASE)
# The joiners U+200C and U+200D are allowed: Persian, Indic scripts and emoji need them.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)


def neutralise(text: str, limit: int = 2000) -> str:
    """At most `limit` characters of `text`, in which no tag, chat marker or control character is left.

    A `<` that would begin one of `TAGS` or a `<|marker|>` becomes `‹`; other text is unchanged.
    """
    clean = _TAG.sub("‹", _CONTROL.sub(" ", text[: 2 * limit]))
    return clean if len(clean) <= limit else clean[:limit].rstrip() + " …"


def show(passage: Passage, number: int) -> str:
    """One passage as `[number] title: text`, neutralised and on one line, so that it cannot look like two."""
    title = neutralise(passage.title, 200)
    line = f"[{number}] {title + ': ' if title else ''}{neutralise(passage.text)}"
    return " ".join(line.split())


class Shelf:
    """The passages that one agent has seen, numbered in the order in which they were first shown."""

    def __init__(self, first: Iterable[Passage] = (), start: int = 1) -> None:
        """Start with the passages `first`, numbered from `start`."""
        self._start = start
        self._passages: list[Passage] = []
        self._numbers: dict[str, int] = {}
        for passage in first:
            self.number(passage)

    def number(self, passage: Passage) -> int:
        """The number of `passage`; a new passage gets the next number."""
        if passage.id not in self._numbers:
            self._numbers[passage.id] = self._start + len(self._passages)
            self._passages.append(passage)
        return self._numbers[passage.id]

    def __contains__(self, passage: Passage) -> bool:
        """Whether `passage` has a number."""
        return passage.id in self._numbers

    def passage(self, number: int) -> Passage | None:
        """The passage with this number, if there is one."""
        at = number - self._start
        return self._passages[at] if 0 <= at < len(self._passages) else None

    @property
    def passages(self) -> Sequence[Passage]:
        """All passages, in the order of their numbers."""
        return tuple(self._passages)

    def show(self, hits: Iterable[Hit]) -> str:
        """The hits as text for an agent, one per line, or a line that says that there are none."""
        lines = [show(hit.passage, self.number(hit.passage)) for hit in hits]
        return "\n".join(lines) if lines else "Nothing was found. Try other words."
