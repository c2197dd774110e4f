"""Reads how much room for an answer is left from an endpoint's refusal of a prompt as too long."""

import re
from dataclasses import dataclass

_CONTEXT = re.compile(
    r"(?:maximum context length (?:is|of)|context length(?: is only|:)?|must be <=|context limit:? [\d,]+ \+ [\d,]+ >)"
    r"\s*([\d,]+)",
    re.IGNORECASE,
)
_INPUT = re.compile(
    r"([\d,]+)\s*(?:`inputs` tokens|input tokens|tokens? (?:from|in) the (?:input|messages|prompt)|in the messages"
    r"|prompt tokens|of text input|in the prompt)|context limit:? ([\d,]+) \+",
    re.IGNORECASE,
)
_MOST_INPUT = re.compile(r"maximum input length of ([\d,]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Room:
    """The token counts in a refusal of a prompt as too long."""

    context: int
    """Tokens of the context, for prompt and answer together."""
    left: int
    """Tokens left for an answer after this prompt."""
    exact: bool = True
    """Whether the server read the whole prompt. vLLM (0.12 and later) reads one token more than fits and counts these,
    so that less may be left."""


def room_in(text: str) -> Room | None:
    """The size of the context and what is left of it for an answer; None if the refusal does not state both.

    Servers add the cap of the answer to the prompt, so a prompt that fits may be refused because of its cap.
    """
    context, given = _CONTEXT.search(text), _INPUT.search(text)
    if context is None or given is None:
        return None
    whole, prompt = _number(context[1]), _number(given[1] or given[2])
    most = _MOST_INPUT.search(text)
    return Room(whole, whole - prompt, exact=most is None or prompt != _number(most[1]) + 1)


def _number(digits: str) -> int:
    return int(digits.replace(",", ""))
