"""Reads what an OpenAI-compatible endpoint sent back as a `Reply` or a `Failure`.

All known faults of servers are handled here, from the body alone, so that they can be tested without a network: errors
with status 200, thoughts in `reasoning_content`, missing usage, streams that nobody asked for. A thought is never used
as the text, even if there is no other text.
"""

import json
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from questwell.errors import LLMError, LLMFiltered, MalformedReply
from questwell.http.retrying import Failure
from questwell.llm.client import FinishReason, ToolCall
from questwell.llm.prices import Usage
from questwell.llm.refusals import OVERFLOW, quote, read_error
from questwell.llm.streams import is_stream, joined


@dataclass(frozen=True, slots=True)
class Reply:
    """What the endpoint wrote, from which a `Completion` is made."""

    text: str
    model: str | None
    finish: FinishReason
    tool_calls: tuple[ToolCall, ...]
    reasoning: str
    carry: str
    usage: Usage | None
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]


class _Function(BaseModel):
    name: str | None = None
    arguments: JsonValue = None

    def written(self) -> str:
        """The arguments as JSON text; some servers send an object, or nothing if there are none."""
        if self.arguments is None:
            return ""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)


class _ToolCall(BaseModel):
    model_config = ConfigDict(extra="allow")

    id: str | None = None
    function: _Function = _Function()

    def carry(self) -> str:
        """Fields beyond OpenAI's as JSON: Gemini wants its thought signature in `extra_content` sent back."""
        kept = {key: value for key, value in (self.model_extra or {}).items() if key not in ("type", "index")}
        return json.dumps(kept, sort_keys=True) if kept else ""


class _Part(BaseModel):
    type: str = "text"
    text: str | None = None
    thinking: JsonValue = None

    def thought(self) -> str:
        """The thought in this part: a list of parts for Mistral, a text for Anthropic."""
        if isinstance(self.thinking, list):
            return "".join(str(part.get("text") or "") for part in self.thinking if isinstance(part, dict))
        return self.thinking if isinstance(self.thinking, str) else self.text or ""


class _Message(BaseModel):
    content: str | list[_Part] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[JsonValue] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None

    def text(self) -> str:
        """The text of the message, without thoughts."""
        if isinstance(self.content, list):
            return "".join(part.text or "" for part in self.content if part.type in ("text", "output_text"))
        return self.content or ""

    def thought(self) -> str:
        """The thought of the message, from whichever field the server put it in."""
        parts = self.content if isinstance(self.content, list) else []
        thinking = "".join(part.thought() for part in parts if part.type in ("thinking", "reasoning"))
        return self.reasoning_content or self.reasoning or thinking

    def carry(self) -> str:
        """OpenRouter's `reasoning_details` as JSON: its providers check the thoughts that are sent back."""
        return json.dumps({"reasoning_details": self.reasoning_details}) if self.reasoning_details else ""


class _Token(BaseModel):
    logprob: float
    id: int | None = None


class _Logprobs(BaseModel):
    content: list[_Token] | None = None
    token_logprobs: list[float | None] | None = None


class _Choice(BaseModel):
    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None
    error: JsonValue = None
    token_ids: list[int] | None = None
    prompt_token_ids: list[int] | None = None


class _Details(BaseModel):
    cached_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's field for prompt tokens from its cache."""
    cost: float | None = None
    """Cost in US dollars; only OpenRouter sends it."""


class _Body(BaseModel):
    choices: list[_Choice] | None = None
    model: str | None = None
    usage: _Usage | None = None
    prompt_token_ids: list[int] | None = None
    error: JsonValue = None
    object: str | None = None
    code: JsonValue = None


_FINISH = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,  # Gemini, Anthropic
    "max_output_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,  # Mistral
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "tool_use": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
}
_FILTERED = (
    "content_filter",
    "safety",
    "recitation",
    "prohibited_content",
    "blocklist",
    "spii",
    "refusal",
    "sensitive",
)
_BROKEN = ("abort", "error", "network_error", "insufficient_system_resource")
_NO_ANSWER = "the endpoint is unhealthy or not OpenAI-compatible; check base_url and the log of the server"


def read_reply(body: bytes) -> Reply | Failure[LLMError]:
    """The reply in the body of an answer with status 200."""
    if is_stream(body):
        body = joined(body)
    try:
        parsed = _Body.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the body"
        return _malformed(f"a reply that is not a completion ({where}: {first['msg']})", body)
    if parsed.error is not None or parsed.object == "error":
        return _error_under_200(parsed, body)
    if not parsed.choices:
        return _malformed("a reply without choices", body)
    choice = parsed.choices[0]
    if choice.error is not None:
        return _error_under_200(_Body(error=choice.error), body)
    finish = (choice.finish_reason or "").lower()
    if finish.startswith(_FILTERED) or (choice.message and choice.message.refusal):
        advice = "the endpoint's content filter refuses this text"
        return Failure(LLMFiltered, f"refused by its content filter: {quote(body)}", advice, retriable=False)
    if finish in _BROKEN:
        return _malformed(f"a reply that the endpoint broke off ({choice.finish_reason})", body)
    if choice.message is None and choice.text is None:
        return _malformed("a choice without message or text", body)
    return _reply(parsed, choice)


def usage_in(body: bytes) -> Usage | None:
    """The usage in a body, even if the rest of the body is unusable: rejected replies must be paid for too."""
    try:
        return _usage(_Body.model_validate_json(joined(body) if is_stream(body) else body).usage)
    except ValidationError:
        return None


def _reply(parsed: _Body, choice: _Choice) -> Reply:
    message = choice.message or _Message()
    tool_calls = tuple(
        ToolCall(call.id or f"call_{index}", call.function.name or "", call.function.written(), call.carry())
        for index, call in enumerate(message.tool_calls or [])
    )
    usual = FinishReason.TOOL_CALLS if tool_calls else FinishReason.STOP
    token_ids, logprobs = _token_view(choice)
    return Reply(
        text=message.text() if choice.message else choice.text or "",
        model=parsed.model,
        finish=_FINISH.get((choice.finish_reason or "").lower(), usual),
        tool_calls=tool_calls,
        reasoning=message.thought(),
        carry=message.carry(),
        usage=_usage(parsed.usage),
        prompt_ids=tuple(choice.prompt_token_ids or parsed.prompt_token_ids or ()),
        token_ids=token_ids,
        logprobs=logprobs,
    )


def _usage(usage: _Usage | None) -> Usage | None:
    """The usage of a reply. If thoughts are counted only in the total (Gemini, xAI), it is taken from the total."""
    if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    details = usage.prompt_tokens_details
    cached = (details.cached_tokens if details else None) or usage.prompt_cache_hit_tokens or 0
    written = max(usage.completion_tokens, (usage.total_tokens or 0) - usage.prompt_tokens)
    return Usage(usage.prompt_tokens, written, cached, usage.cost)


def _token_view(choice: _Choice) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Ids and log-probabilities of the written tokens; both are empty if their lengths do not match."""
    ids = tuple(choice.token_ids or ())
    logprobs: tuple[float, ...] = ()
    if choice.logprobs and choice.logprobs.content:
        tokens = choice.logprobs.content
        logprobs = tuple(token.logprob for token in tokens)
        ids = ids or tuple(token.id for token in tokens if token.id is not None)
    elif choice.logprobs and choice.logprobs.token_logprobs:
        logprobs = tuple(value for value in choice.logprobs.token_logprobs if value is not None)
    if ids and logprobs and len(ids) != len(logprobs):
        return (), ()
    return ids, logprobs


def _error_under_200(parsed: _Body, body: bytes) -> Failure[LLMError]:
    """The failure in a body with status 200: OpenRouter and older vLLM put the real status into the body."""
    code = parsed.error.get("code") if isinstance(parsed.error, dict) else parsed.code
    if isinstance(code, int | str) and str(code).isdigit() and 400 <= int(code) <= 599:
        return read_error(int(code), body)
    if OVERFLOW.search(body.decode("utf-8", "replace")):
        return read_error(400, body)
    return _malformed("an error under status 200", body)


def _malformed(what: str, body: bytes) -> Failure[LLMError]:
    return Failure(MalformedReply, f"{what}: {quote(body)}", _NO_ANSWER, retriable=True)
