"""The `LLM` protocol: a frozen `Request` in, a `Completion` out. Every model client implements it."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable


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
    """Token ids of `content` as sampled, if the client returns ids; they are never encoded again (`llm/policy.py`)."""
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
        """SHA-256 of the request in hex. A run stores the answer under its place in the game and this digest."""
        values = {name: getattr(self, name) for name in _REQUEST}
        values["messages"] = [_keyed(message) for message in self.messages]
        values["tools"] = [asdict(tool) for tool in self.tools]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


_REQUEST, _MESSAGE, _CALL = (tuple(one.name for one in fields(kind)) for kind in (Request, Message, ToolCall))
_LATE = ("token_ids", "reasoning", "carry")
"""Fields that older runs do not have in their keys, so they go into a key only if they are not empty."""


def _keyed(message: Message) -> dict[str, object]:
    """`message` as it goes into the key of a call. `asdict` took a fifth of the time of a recorded call."""
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
    """The model's answer with its usage and cost."""

    text: str
    model: str
    """Name of the model, as the endpoint gives it."""
    finish: FinishReason = FinishReason.STOP
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    """Reasoning that the endpoint returned separately from the text; never read as part of the answer."""
    carry: str = ""
    """JSON object of fields that must be sent back with the message, as in `Message.carry`."""
    adapted: tuple[str, ...] = ()
    """Changes made to the request because this endpoint refused it unchanged, such as `omit stop`."""
    prompt_tokens: int | None = None
    """Tokens of the prompt; None if the endpoint does not report them."""
    completion_tokens: int | None = None
    cost_usd: float | None = None
    """Cost in US dollars; None (not 0) if the price of this model is not known."""
    latency_s: float = 0.0
    prompt_ids: tuple[int, ...] = ()
    """Token ids of the prompt if the engine returns them; otherwise empty."""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()


class LLM(Protocol):
    """A language model. Safe to call from many tasks at once."""

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

        The client handles retries, rate limits and time-outs itself, so an error that it raises is final.

        Raises:
            LLMError: no usable completion was returned; the subclass says what failed.
        """
        ...

    async def aclose(self) -> None:
        """Release connections and processes."""
        ...


@runtime_checkable
class TellsCallsApart(Protocol):
    """A client that must know which call it answers, also after a restart, since two calls may ask the same."""

    async def complete_call(self, request: Request, call: str) -> Completion:
        """See `LLM.complete`; `call` is the place of the call in the run."""
        ...
