"""The reader: answers from memory or from given passages, with one call and without tools.

Gates use it to verify a question (`games/gates.py`). Replies are JSON, requested by a schema if the endpoint is known
to follow one, and always read strictly; a single answer may also be in `<answer>`, as a solver writes it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from questwell.agents.prompts import Prompts
from questwell.agents.session import Session
from questwell.agents.tools import neutralise, show
from questwell.errors import LLMFiltered
from questwell.llm.client import Request
from questwell.llm.json_replies import json_text, json_value, said, scalar_text, schema_of
from questwell.llm.speech import spoken
from questwell.scoring.answers import normalise
from questwell.types.corpus import Passage


class Reader(Protocol):
    """Answers a question in one call. None means the reply was unusable; empty means the reader does not know.

    Each raises LLMError when the endpoint fails. A text that its content filter refuses counts as nothing usable.
    """

    async def recall(self, question: str, session: Session, random_seed: int, temperature: float = 0.0) -> str | None:
        """The answer without any passage."""
        ...

    async def read(self, question: str, passages: Iterable[Passage], session: Session, random_seed: int) -> str | None:
        """The answer from `passages`, which are shown in this order."""
        ...

    async def every(
        self, question: str, passages: Iterable[Passage], session: Session, random_seed: int
    ) -> tuple[str, ...] | None:
        """All answers that `passages` allow, without repeats."""
        ...

    async def changes(self, question: str, session: Session, random_seed: int) -> bool | None:
        """Whether the right answer may change over time."""
        ...


_UNKNOWN = frozenset(
    {
        "",
        "unknown",
        "not found",
        "none",
        "i don t know",
        "i dont know",
        "i do not know",
        "no answer",
        "na",
        "n a",
        "n / a",
    }
)
_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_LONGEST = 100
MOST_LISTED = 8
"""Maximum number of answers that a reader may list."""


@dataclass(frozen=True, slots=True)
class PromptedReader:
    """A reader that asks a model with four prompt files."""

    prompts: Prompts
    structured: bool = False
    """Whether to ask for a reply that follows a JSON schema; for small models."""
    max_tokens: int = 8192
    """Maximum number of tokens of a reply, thoughts included."""

    async def recall(self, question: str, session: Session, random_seed: int, temperature: float = 0.0) -> str | None:
        """The answer without any passage, as `Reader.recall`."""
        values = {"question": neutralise(question)}
        return _answer(await self._ask("gate_recall", _ONE, session, random_seed, values, temperature))

    async def read(self, question: str, passages: Iterable[Passage], session: Session, random_seed: int) -> str | None:
        """The answer from `passages`, as `Reader.read`."""
        values = {"question": neutralise(question), "passages": _shown(passages)}
        return _answer(await self._ask("gate_read", _ONE, session, random_seed, values))

    async def every(
        self, question: str, passages: Iterable[Passage], session: Session, random_seed: int
    ) -> tuple[str, ...] | None:
        """All answers that `passages` allow, as `Reader.every`."""
        values = {"question": neutralise(question), "passages": _shown(passages)}
        return _answers(await self._ask("gate_list", _ALL, session, random_seed, values))

    async def changes(self, question: str, session: Session, random_seed: int) -> bool | None:
        """Whether the right answer may change over time, as `Reader.changes`."""
        reply = await self._ask("gate_dated", _CHANGES, session, random_seed, {"question": neutralise(question)})
        word = json_text(reply, "changes")
        return {"yes": True, "no": False}.get(normalise(word)) if word else None

    async def _ask(
        self,
        prompt: str,
        schema: str,
        session: Session,
        random_seed: int,
        values: Mapping[str, str],
        temperature: float = 0.0,
    ) -> str:
        request = Request(
            self.prompts.messages(prompt, **values),
            max_tokens=self.max_tokens,
            temperature=temperature,
            seed=random_seed,
            schema=schema if self.structured else None,
        )
        try:
            return said(await session.complete(request))
        except LLMFiltered:  # asking again would not help: the filter refuses this text
            return ""


_ONE = schema_of("answer", {"type": "string", "maxLength": _LONGEST})
_ALL = schema_of(
    "answers", {"type": "array", "items": {"type": "string", "maxLength": _LONGEST}, "maxItems": MOST_LISTED}
)
_CHANGES = schema_of("changes", {"type": "string", "enum": ["yes", "no"]})


def _shown(passages: Iterable[Passage]) -> str:
    return "\n".join(show(passage, number) for number, passage in enumerate(passages, 1)) or "(no passage)"


def _answer(reply: str) -> str | None:
    """The single answer in a reply: in JSON, in `<answer>`, or a reply of one short line."""
    value = json_text(reply, "answer")
    if value is None and (tagged := _TAGGED.findall(spoken(reply))) and len(tagged) == 1:
        value = tagged[0]
    if value is None:
        value = _plain(spoken(reply))
    return _known(value) if value and value.strip() else None


def _answers(reply: str) -> tuple[str, ...] | None:
    """All answers in a reply, in JSON or as a bulleted list, without those that say "unknown"."""
    value = json_value(reply, "answers")
    if (
        value is None
        and (lines := _LISTED.findall(plain := spoken(reply).strip()))
        and len(lines) == len(plain.splitlines())
    ):
        value = [_plain(line) for line in lines]
    texts = [scalar_text(one) for one in cast(list[object], value)] if isinstance(value, list) else [None]
    if any(text is None for text in texts):
        return None
    known = [_known(text) for text in texts if text is not None]
    return tuple({normalise(one): one for one in known if one}.values())[:MOST_LISTED]


_LISTED = re.compile(r"^[ \t]*(?:[-*•]|\d+[.)])[ \t]+(\S.*)$", re.MULTILINE)
_LABEL = re.compile(r"^\W*(?:(?:the\s+)?(?:final\s+)?answer)\W*[:=]\s*", re.IGNORECASE)


def _plain(said: str) -> str | None:
    """A reply of one short line without markup, as written by models whose endpoint ignores the schema."""
    line = _LABEL.sub("", said.strip()).strip()
    return (
        line
        if line and len(line.splitlines()) == 1 and len(line) <= _LONGEST and not set("<>{}[]") & set(line)
        else None
    )


def _known(answer: str) -> str:
    """`answer` on one line; empty if it says that the answer is not known."""
    return "" if normalise(answer) in _UNKNOWN else " ".join(answer.split())
