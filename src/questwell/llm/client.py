"""The `LLM` protocol: a frozen `Request` in, a `Completion` out. Every model client implements it."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function call that the model made."""

    id: str
    name: str
    arguments: str
    """JSON text exactly as the model wrote it; it may be invalid."""
    carry: str = ""
    """JSON object of fields that must go back with the call as they came (Gemini's thought signatures)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    token_ids: tuple[int, ...] = ()
    """`content` as the model sampled it, when the client gave ids: it is never encoded again (`llm/policy.py`)."""
    reasoning: str = ""
    """The model's thoughts, for endpoints that demand them back; they are not sent to other endpoints."""
    carry: str = ""
    """JSON object of fields that must go back with the message as they came (OpenRouter's `reasoning_details`)."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call."""

    name: str
    description: str
    parameters: str
    """JSON schema, as JSON text (so that a request stays hashable)."""


@dataclass(frozen=True, slots=True)
class Request:
    """One model call. Exactly one of `messages` (chat) and `prompt` (plain completion) is given."""

    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    max_tokens: int = 1024
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    """The text ends before any of these; the stop string itself is not returned."""
    seed: int | None = None
    schema: str | None = None
    """JSON schema that the text must follow, as JSON text."""
    tools: tuple[Tool, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a request that is neither chat nor completion, or both."""
        if bool(self.messages) == (self.prompt is not None):
            raise ValueError("a Request needs exactly one of messages and prompt")

    def digest(self) -> str:
        """SHA-256 of everything above, in hex: with its place, the key under which a run keeps the answer."""
        values = {name: getattr(self, name) for name in _REQUEST}
        values["messages"] = [_keyed(message) for message in self.messages]
        values["tools"] = [asdict(tool) for tool in self.tools]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


_REQUEST, _MESSAGE, _CALL = (tuple(one.name for one in fields(kind)) for kind in (Request, Message, ToolCall))
_LATE = ("token_ids", "reasoning", "carry")
"""Fields newer than the keys of older runs: a key holds them only where they say something."""


def _keyed(message: Message) -> dict[str, object]:
    """`message` as it stands in the key of a call; `asdict` copies all of it, which was a fifth of a recorded call."""
    values = {name: value for name in _MESSAGE if (value := getattr(message, name)) or name not in _LATE}
    values["tool_calls"] = [
        {name: value for name in _CALL if (value := getattr(call, name)) or name not in _LATE}
        for call in message.tool_calls
    ]
    return values


class FinishReason(StrEnum):
    """Why the model stopped writing."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"


@dataclass(frozen=True, slots=True)
class Completion:
    """The model's answer, and its usage."""

    text: str
    model: str
    """Name of the model, as the endpoint gives it."""
    finish: FinishReason = FinishReason.STOP
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    """Reasoning that the endpoint returned apart from the text; never read as part of the answer."""
    carry: str = ""
    """As in `Message`."""
    adapted: tuple[str, ...] = ()
    """How the request was changed for this endpoint, which had refused it as it was: `omit stop`."""
    prompt_tokens: int | None = None
    """None when the endpoint does not report it."""
    completion_tokens: int | None = None
    cost_usd: float | None = None
    """None when the price of this model is not known, which is not 0."""
    latency_s: float = 0.0
    prompt_ids: tuple[int, ...] = ()
    """Token view, when the engine gives it; empty otherwise."""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()


class LLM(Protocol):
    """A model, however it is served. Safe to call from many tasks at once."""

    @property
    def name(self) -> str:
        """The model, as recorded with each item."""
        ...

    @property
    def priced(self) -> bool | None:
        """Whether completions will report their cost; None if only a call can show it."""
        ...

    async def complete(self, request: Request) -> Completion:
        """The model's answer to `request`.

        Retries, rate limits and time-outs are the client's own affair: what it raises is final.

        Raises:
            LLMError: no usable completion; the subclass says which boundary failed.
        """
        ...

    async def aclose(self) -> None:
        """Release connections and processes."""
        ...
