"""What an OpenAI-compatible endpoint sent back, as a `Completion` or as the `Failure` that it is.

Everything that servers are known to get wrong is decided here, by status and body alone, so that it can be tested
without a network: error bodies under status 200, answers in `reasoning_content`, missing usage, overflow messages.
"""

import json
import re
from dataclasses import dataclass

from pydantic import BaseModel, JsonValue, ValidationError

from questwell.errors import ContextOverflow, LLMError, LLMRefused, LLMUnavailable, MalformedReply
from questwell.http.retrying import Failure
from questwell.llm.client import FinishReason, ToolCall
from questwell.llm.prices import Usage

QUOTED = 200
"""Characters of a body that an error message shows."""

RETRIABLE = frozenset({408, 409, 429})
OVERLOADED = frozenset({429, 503, 504, 529})
"""Statuses by which an endpoint says that it gets too many calls."""

# vLLM, SGLang: "maximum context length"; llama.cpp: "available context size", type exceed_context_size_error; OpenAI:
# code context_length_exceeded; Anthropic's compatible endpoint: "prompt is too long"; TGI, Mistral, Gemini:
# "input is too long", "too large for model", "input token count exceeds".
OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|available context size|maximum context length|context window"
    r"|(?:prompt|input) is too long|too large for model|input token count exceeds",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """The part of a `Completion` that the endpoint wrote."""

    text: str
    model: str | None
    finish: FinishReason
    tool_calls: tuple[ToolCall, ...]
    usage: Usage | None
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]


class _Function(BaseModel):
    name: str
    arguments: str | dict[str, JsonValue] = "{}"

    def written(self) -> str:
        """The arguments as text; some servers send them parsed."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)


class _ToolCall(BaseModel):
    id: str | None = None
    function: _Function


class _Part(BaseModel):
    type: str
    text: str = ""


class _Message(BaseModel):
    content: str | list[_Part] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None

    def text(self) -> str:
        """The content; what the server took for reasoning only where there is no content."""
        if isinstance(self.content, list):
            content = "".join(part.text for part in self.content if part.type == "text")
        else:
            content = self.content or ""
        if content or self.tool_calls:
            return content
        return self.reasoning_content or self.reasoning or ""


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
    token_ids: list[int] | None = None
    prompt_token_ids: list[int] | None = None


class _Details(BaseModel):
    cached_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


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
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
}
_NO_ANSWER = "the endpoint is unhealthy or no OpenAI-compatible one; check base_url and the server's log"


def read_reply(body: bytes) -> Reply | Failure[LLMError]:
    """The reply in the body of a status 200."""
    try:
        parsed = _Body.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the body"
        return _malformed(f"a reply that is no completion ({where}: {first['msg']})", body)
    if parsed.error is not None or parsed.object == "error":
        return _error_under_200(parsed, body)
    if not parsed.choices:
        return _malformed("a reply without choices", body)
    choice = parsed.choices[0]
    if choice.finish_reason == "content_filter" or (choice.message and choice.message.refusal):
        return Failure(
            LLMRefused, f"refused by its content filter: {quote(body)}", "change the prompt", retriable=False
        )
    if choice.finish_reason in {"abort", "error"}:
        return _malformed(f"a reply that it broke off ({choice.finish_reason})", body)
    if choice.message is None and choice.text is None:
        return _malformed("a choice without message or text", body)
    return _reply(parsed, choice)


def _reply(parsed: _Body, choice: _Choice) -> Reply:
    calls = (choice.message.tool_calls or []) if choice.message else []
    tool_calls = tuple(
        ToolCall(call.id or f"call_{index}", call.function.name, call.function.written())
        for index, call in enumerate(calls)
    )
    finish = _FINISH.get(choice.finish_reason or "", FinishReason.TOOL_CALLS if tool_calls else FinishReason.STOP)
    token_ids, logprobs = _token_view(choice)
    return Reply(
        text=choice.message.text() if choice.message else choice.text or "",
        model=parsed.model,
        finish=finish,
        tool_calls=tool_calls,
        usage=_usage(parsed.usage),
        prompt_ids=tuple(choice.prompt_token_ids or parsed.prompt_token_ids or ()),
        token_ids=token_ids,
        logprobs=logprobs,
    )


def _usage(usage: _Usage | None) -> Usage | None:
    if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    details = usage.prompt_tokens_details
    return Usage(usage.prompt_tokens, usage.completion_tokens, (details.cached_tokens or 0) if details else 0)


def _token_view(choice: _Choice) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Ids and log-probabilities of the tokens written; a half that does not fit the other is worthless and left out."""
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


def read_error(status: int, body: bytes, retry_after_s: float | None = None) -> Failure[LLMError]:
    """The failure that an HTTP error status stands for."""
    text = body.decode("utf-8", "replace")
    what = f"status {status}: {quote(body)}"
    if status in {400, 413, 422, 500} and OVERFLOW.search(text):  # llama.cpp once sent it as a 500
        return Failure(ContextOverflow, what, "shorten the prompt or serve a longer context", retriable=False)
    if status == 429 and "insufficient_quota" in text:
        return Failure(LLMRefused, what, "the account has no credit left; add some", retriable=False)
    if status in RETRIABLE or status >= 500:
        advice = "the endpoint is overloaded or down; try later, or lower max_in_flight"
        return Failure(LLMUnavailable, what, advice, True, status in OVERLOADED, retry_after_s)
    return Failure(LLMRefused, what, _REFUSED.get(status, "the server does not take this request"), retriable=False)


_REFUSED = {
    400: "the server does not take this request; if it names a parameter, leave that out with the option `omit`",
    401: "check the API key (OPENAI_API_KEY)",
    403: "check that this API key may use the model",
    404: "check the model's name and that base_url ends as the server wants it (most: /v1)",
    422: "the server does not take this request; if it names a parameter, leave that out with the option `omit`",
}


def _error_under_200(parsed: _Body, body: bytes) -> Failure[LLMError]:
    """Some gateways answer 200 and put the real status into the body (OpenRouter, older vLLM)."""
    code = parsed.error.get("code") if isinstance(parsed.error, dict) else parsed.code
    if isinstance(code, int | str) and str(code).isdigit() and 400 <= int(code) <= 599:
        return read_error(int(code), body)
    if OVERFLOW.search(body.decode("utf-8", "replace")):
        return read_error(400, body)
    return _malformed("an error under status 200", body)


def _malformed(what: str, body: bytes) -> Failure[LLMError]:
    return Failure(MalformedReply, f"{what}: {quote(body)}", _NO_ANSWER, retriable=True)


def quote(body: bytes) -> str:
    """The first characters of a body, for a message."""
    return repr(body[: 4 * QUOTED].decode("utf-8", "replace")[:QUOTED])
