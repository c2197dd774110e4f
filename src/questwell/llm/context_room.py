"""What a refusal of a prompt as too long says of the context and what is left of it for an answer."""

import re
from dataclasses import dataclass

_CONTEXT = re.compile(
    r"(?:maximum context length (?:is|of)|context length:?|must be <=|context limit:? [\d,]+ \+ [\d,]+ >)"
    r"\s*([\d,]+)",
    re.IGNORECASE,
)
_INPUT = re.compile(
    r"([\d,]+)\s*(?:`inputs` tokens|input tokens|tokens? (?:from|in) the (?:input|messages|prompt)|in the messages"
    r"|prompt tokens|of text input|in the prompt)|context limit:? ([\d,]+) \+",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Room:
    """The numbers in a refusal of a prompt that is too long, in tokens."""

    context: int
    """Room for prompt and answer together."""
    left: int
    """Room for an answer after this prompt."""


def room_in(text: str) -> Room | None:
    """The context, and what is left of it for an answer; None when the refusal does not say both.

    A server adds the cap of the answer to the prompt: a prompt that fits is refused for a cap that does not.
    """
    context, given = _CONTEXT.search(text), _INPUT.search(text)
    if context is None or given is None:
        return None
    whole = int(context[1].replace(",", ""))
    return Room(whole, whole - int((given[1] or given[2]).replace(",", "")))
