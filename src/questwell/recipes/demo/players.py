"""`WrittenLLM`: a scripted model that plays every role of the demo."""

import re
from collections import Counter

from questwell.llm.client import Completion, Message, Request
from questwell.llm.gallery.mind import reply
from questwell.llm.gallery.mock import MockLLM, written
from questwell.recipes.demo.lines import GIVES_UP, PARTS, Pair, Part, Try

NAME = "lines written for the demo"


class WrittenLLM(MockLLM):
    """Writes the scripted lines; costs nothing."""

    def __init__(self) -> None:
        """Start before the first line."""
        self._tried: Counter[str] = Counter()

    @property
    def name(self) -> str:
        """Name of the model, which each item records."""
        return NAME

    async def complete(self, request: Request) -> Completion:
        """Return the next line of the role that is asked."""
        text = self._line(request)
        words = sum(len(message.content.split()) for message in request.messages)
        return Completion(text, NAME, prompt_tokens=words, completion_tokens=len(text.split()), cost_usd=0.0)

    def _line(self, request: Request) -> str:
        opening, later = _opening(request.messages)
        if "Given answer:" in opening:
            return written(reply([(message.role, message.content) for message in request.messages]))
        if "Your question:" in opening:
            asked = opening.partition("Your question:")[2].partition("\n")[0].strip()
            part, at = _of(asked)
            return _pair(part.pairs[at + 1], opening) if at + 1 < len(part.pairs) else GIVES_UP
        said = sum(message.role == "assistant" for message in later)
        if "Seed passage:" in opening:
            part = next(part for part in PARTS if f"] {part.seed}: " in opening)
            if said < len(part.queries):
                return f"<search>{part.queries[said]}</search>"
            return _pair(part.pairs[0], "\n".join(message.content for message in request.messages))
        asked = opening.partition("Question:")[2].partition("\n")[0].strip()
        chosen = self._begun(asked) if not said else _going_on(asked, later)
        if said < len(chosen.queries):
            return f"<search>{chosen.queries[said]}</search>"
        return f"<answer>{chosen.answer}</answer>"

    def _begun(self, asked: str) -> Try:
        """Return the next attempt at a question."""
        part, at = _of(asked)
        self._tried[asked] += 1
        return part.tries[at][(self._tried[asked] - 1) % len(part.tries[at])]


def _of(question: str) -> tuple[Part, int]:
    return next((part, at) for part in PARTS for at, pair in enumerate(part.pairs) if pair.question == question)


def _going_on(asked: str, later: tuple[Message, ...]) -> Try:
    """Return the attempt with the same beginning: no two attempts at a question begin with the same search."""
    part, at = _of(asked)
    return next(one for one in part.tries[at] if one.queries[0] in later[0].content)


def _opening(messages: tuple[Message, ...]) -> tuple[str, tuple[Message, ...]]:
    """Return the last message that asks for something, and the messages after it."""
    openings = ("Seed passage:", "Given answer:", "Your question:", "Question:")
    at = max(
        n for n, one in enumerate(messages) if one.role == "user" and any(text in one.content for text in openings)
    )
    return messages[at].content, messages[at + 1 :]


def _pair(pair: Pair, shown: str) -> str:
    numbers = {title: _number(title, shown) for _, _, title in pair.steps}
    steps = "\n".join(f"{query} | {found} | [{numbers[title]}]" for query, found, title in pair.steps)
    return (
        f"<think>{pair.thought}</think><question>{pair.question}</question><answer>{pair.answer}</answer>"
        f"<steps>\n{steps}\n</steps>"
    )


def _number(title: str, shown: str) -> int:
    """Return the number under which a passage was shown; 0, which is no passage, if it was not shown."""
    found = re.search(rf"\[(\d+)\] {re.escape(title)}: ", shown)
    return int(found[1]) if found else 0
