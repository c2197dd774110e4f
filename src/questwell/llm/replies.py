"""Reads what an OpenAI-compatible endpoint sent back as a `Reply` or a `Failure`.

All known faults of servers are handled here, from the body alone, so that they can be tested without a network: errors
with status 200, thoughts in `reasoning_content`, missing usage, streams that nobody asked for. A thought is never used
as the text, even if there is no other text.
"""

import json
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue, ValidationError

from questwell.errors import LLMError, LLMFiltered, LLMRefused, MalformedReply
from questwell.http.retrying import Failure
from questwell.llm.client import FinishReason, ToolCall
from questwell.llm.prices import Usage
from questwell.llm.refusals import is_final, quote, read_error
from questwell.llm.streams import is_stream, joined
from questwell.llm.usage import read_usage
from questwell.text.unicode import without_surrogates


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

    id: str | int | None = None
    function: _Function | None = None

    def carry(self) -> str:
        """Fields beyond OpenAI's as JSON: Gemini wants its thought signature in `extra_content` sent back."""
        kept = {key: value for key, value in (self.model_extra or {}).items() if key not in ("type", "index")}
        return json.dumps(kept, sort_keys=True) if kept else ""

    def read(self, index: int) -> ToolCall:
        """The call; one without an id is named by its place."""
        function = self.function or _Function()
        return ToolCall(str(self.id or f"call_{index}"), function.name or "", function.written(), self.carry())


class _Part(BaseModel):
    type: str | None = None
    text: str | None = None
    thinking: JsonValue = None
    summary: JsonValue = None

    def thought(self) -> str:
        """The thought in this part: a list of parts (Mistral; Databricks: the summary), or a text (Anthropic)."""
        return _words(self.thinking) or _words(self.summary) or self.text or ""


def _words(thought: JsonValue) -> str:
    """The text of a thought, which servers send as a text, an object, or a list of either; encrypted ones have none."""
    if isinstance(thought, list):
        return "".join(_words(part) for part in thought)
    if isinstance(thought, dict):
        return next((words for key in _WORDS if (words := _words(thought.get(key)))), "")
    return thought if isinstance(thought, str) else ""


_WORDS = ("text", "thinking", "summary", "content")


def _in_parts(content: JsonValue) -> JsonValue:
    """Content as a text or a list of parts; a server that parses JSON answers itself sends them as objects."""
    if isinstance(content, dict):
        return [content] if "text" in content else json.dumps(content, ensure_ascii=False)
    if isinstance(content, list):
        return [{"text": part} if isinstance(part, str) else part for part in content]
    return content


class _Message(BaseModel):
    content: Annotated[str | list[_Part] | None, BeforeValidator(_in_parts)] = None
    reasoning_content: JsonValue = None
    reasoning: JsonValue = None
    thinking: JsonValue = None
    """Ollama's field for thoughts, which some gateways keep."""
    reasoning_details: JsonValue = None
    thinking_blocks: JsonValue = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None

    def text(self) -> str:
        """The text of the message, without thoughts."""
        if isinstance(self.content, list):
            return "".join(part.text or "" for part in self.content if part.type in (None, "text", "output_text"))
        return self.content or ""

    def thought(self) -> str:
        """The thought of the message, from whichever field the server put it in."""
        parts = self.content if isinstance(self.content, list) else []
        thinking = "".join(part.thought() for part in parts if part.type in ("thinking", "reasoning"))
        places = (self.reasoning_content, self.reasoning, self.thinking, thinking, self.reasoning_details)
        return next((words for place in places if (words := _words(place))), "")

    def carry(self) -> str:
        """Signed thoughts as JSON, because providers check those that are sent back: OpenRouter's, LiteLLM's."""
        signed = {"reasoning_details": self.reasoning_details, "thinking_blocks": self.thinking_blocks}
        kept = {name: blocks for name, blocks in signed.items() if isinstance(blocks, list) and blocks}
        return json.dumps(kept) if kept else ""


class _Token(BaseModel):
    logprob: float | None = None
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


class _Body(BaseModel):
    choices: list[_Choice] | None = None
    model: str | None = None
    usage: JsonValue = None
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
        parsed = _parsed(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the body"
        return _malformed(f"a reply that is not a completion ({where}: {first['msg']})", body)
    if parsed.error or parsed.object == "error":  # some send an empty error along with the answer
        return _error_under_200(parsed, body)
    if not parsed.choices:
        return _malformed("a reply without choices", body)
    choice = parsed.choices[0]
    if choice.error:
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


def _parsed(body: bytes) -> _Body:
    """The body as an object, also with half a surrogate pair, broken UTF-8, a byte order mark or a raw line break.

    Raises:
        ValidationError: it is something else.
    """
    try:
        return _Body.model_validate_json(body)
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False)[0]["type"] != "json_invalid":
            raise
        try:
            tree: object = json.loads(body.decode("utf-8-sig", "replace"), strict=False)
        except (json.JSONDecodeError, RecursionError):
            raise error from None
        return _Body.model_validate_json(without_surrogates(json.dumps(tree, ensure_ascii=False)))


def usage_in(body: bytes) -> Usage | None:
    """The usage in a body, even if the rest of the body is unusable: rejected replies must be paid for too."""
    try:
        return read_usage(_Paid.model_validate_json(joined(body) if is_stream(body) else body).usage, spoke=False)
    except ValidationError:
        return None


class _Paid(BaseModel):
    usage: JsonValue = None


def _reply(parsed: _Body, choice: _Choice) -> Reply:
    message = choice.message or _Message()
    tool_calls = tuple(call.read(index) for index, call in enumerate(message.tool_calls or []))
    usual = FinishReason.TOOL_CALLS if tool_calls else FinishReason.STOP
    token_ids, logprobs = _token_view(choice)
    text, reasoning = message.text() if choice.message else choice.text or "", message.thought()
    return Reply(
        text=text,
        model=parsed.model,
        finish=_FINISH.get((choice.finish_reason or "").lower(), usual),
        tool_calls=tool_calls,
        reasoning=reasoning,
        carry=message.carry(),
        usage=read_usage(parsed.usage, spoke=bool(text or reasoning or tool_calls)),
        prompt_ids=tuple(choice.prompt_token_ids or parsed.prompt_token_ids or ()),
        token_ids=token_ids,
        logprobs=logprobs,
    )


def _token_view(choice: _Choice) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Ids and log-probabilities of the written tokens; both are empty if their lengths do not match."""
    ids = tuple(choice.token_ids or ())
    logprobs: tuple[float, ...] = ()
    if choice.logprobs and choice.logprobs.content:
        tokens = choice.logprobs.content
        logprobs = tuple(token.logprob for token in tokens if token.logprob is not None)
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
    failure = read_error(400, body)
    if failure.kind is not LLMRefused or is_final(body):
        return replace(failure, what=f"an error under status 200: {quote(body)}")
    return _malformed("an error under status 200", body)


def _malformed(what: str, body: bytes) -> Failure[LLMError]:
    return Failure(MalformedReply, f"{what}: {quote(body)}", _NO_ANSWER, retriable=True)
