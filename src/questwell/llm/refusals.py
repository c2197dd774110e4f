"""Classifies an endpoint's error response as a `Failure`: overload, overflow, content filter or refusal.

The patterns are wordings of known servers, each with the server's name and a test. Their order matters: a limit of
tokens per minute is not an overflow, and a content filter is not a bad request.
"""

import json
import re
from typing import cast

from pydantic import JsonValue

from questwell.errors import ContextOverflow, LLMError, LLMFiltered, LLMRefused, LLMUnavailable, MalformedReply
from questwell.http.retrying import Failure

QUOTED = 200
"""Maximum number of characters of a body that an error message quotes."""

RETRIABLE = frozenset({408, 409, 424, 425, 429, 498, 499})
"""HTTP statuses below 500 of failures that pass: 424 is TGI's for a failed generation, 499 that of a proxy."""
OVERLOADED = frozenset({429, 498, 503, 504, 529})
"""HTTP statuses that mean the endpoint is overloaded; 498 is Groq's."""
PROXY_GAVE_UP = 524
"""Cloudflare's HTTP status for a server that sent nothing for 100 s. A stream keeps the connection alive."""

_OVERFLOW = (
    r"context_length_exceeded",  # OpenAI, Groq
    r"exceed_context_size|available context size",  # llama.cpp
    r"maximum context length",  # OpenAI, vLLM, SGLang, DeepSeek, OpenRouter, Fireworks
    r"longer than the (?:maximum )?model(?:'s)? (?:maximum )?(?:context )?length",  # vLLM's decoder prompt, SGLang
    r"exceeds? the (?:maximum|max) (?:allowed )?(?:input |sequence |context )?length",  # SGLang, MLC, Z.ai
    r"exceeds? (?:the )?(?:model'?s? )?(?:max(?:imum)? )?(?:context|prompt|input|sequence)[ _](?:length|limit|window)",
    r"exceeds? max(?:imum)? (?:context |prompt |input )?length",  # Ollama, Z.ai
    r"context (?:window|limit|length)\b.{0,40}(?:exceed|overflow|reached)",  # MiniMax
    r"(?:exceed|overflow)\w*.{0,40}context (?:window|limit)",
    r"context the overflows|reached context length|greater than the context length",  # LM Studio
    r"(?:prompt|input) (?:is )?too long",  # Anthropic, Bedrock, TGI, Ollama
    r"too large for model",  # Mistral
    r"(?:input|prompt) token count.{0,40}exceeds",  # Gemini, Copilot
    r"maximum prompt length",  # xAI
    r"must be <= \d+\. given|must have less than \d+ tokens",  # TGI, Together
    r"range of input length should be",  # DashScope
    r"too many tokens: ",  # Cohere
    r"exceeded model token limit",  # Moonshot
    r"reduce the length of the (?:messages|prompt|input)",  # Groq, Cerebras
    r"exceeds maximum allowed token size",  # NVIDIA NIM
    r"greater than max_seq_len",  # TabbyAPI
    r"input length and `?max_tokens`? exceed",  # Anthropic
    r"model_max_prompt_tokens_exceeded|model_context_window_exceeded",
)
OVERFLOW = re.compile("|".join(_OVERFLOW), re.IGNORECASE)
_RATE = re.compile(
    r"tokens per (?:minute|day|hour)|requests per (?:minute|day|hour)|\b[TR]P[MD]\b|rate[_ ]limit|too many requests",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(
    r"insufficient_quota|insufficient (?:balance|credit|funds)|billing_hard_limit|billing_not_active"
    r"|exceeded_current_quota_error"  # Moonshot; Gemini's "exceeded your current quota" may be a limit per minute
    r"|credit balance is too low"  # Anthropic
    r"|\bArrearage\b",  # DashScope
    re.IGNORECASE,
)
_BAD_DRAW = re.compile(r"tool_use_failed|json_validate_failed|\bfailed_generation\b")
"""Groq refuses what the model wrote, with status 400: the request was right, and another draw may be too."""
_PASSING = re.compile(r"already borrowed|model (?:was )?(?:reloaded|unloaded)|model has crashed", re.IGNORECASE)
"""Failures that pass, with status 400: a tokenizer in use (vLLM, TGI), and a model being loaded again (LM Studio)."""
_TEMPLATE = re.compile(
    r"jinja|raise_exception|roles must alternate|system role not supported|unsupported param: ", re.IGNORECASE
)
"""llama.cpp says with status 500 that the chat template refuses the messages; asking again would not help."""
_FILTER = re.compile(
    r"content[_ ]filter|content management policy|ResponsibleAIPolicyViolation"  # Azure
    r"|flagged as potentially violating|invalid_prompt|content_policy_violation"  # OpenAI
    r"|Content Exists Risk"  # DeepSeek
    r"|data_?inspection_?failed|inappropriate content"  # DashScope
    r"|PROHIBITED_CONTENT|blockReason|prompt was blocked"  # Gemini
    r"|requires moderation|flagged by moderation|\"flagged_input\"",  # OpenRouter
    re.IGNORECASE,
)
_NO_TOOLS = re.compile(
    r"enable-auto-tool-choice|tool-call-parser|does not support (?:tools|function)|tools param requires --jinja"
    r"|no endpoints found that support tool use",
    re.IGNORECASE,
)
_WAIT = re.compile(
    r'(?:"retryDelay"\s*:\s*"|(?:try again|retry) (?:in|after) )((?:[\d.]+\s*(?:milliseconds?|ms|seconds?|secs?|s'
    r"|minutes?|mins?|m|hours?|h)(?![a-z])\s*)+)",
    re.IGNORECASE,
)
_SPAN = re.compile(r"([\d.]*\d)\s*(ms|milli|s|m|h)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "milli": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def read_error(status: int, body: bytes, retry_after_s: float | None = None) -> Failure[LLMError]:
    """The failure that an HTTP error response stands for."""
    text = body.decode("utf-8", "replace")
    what = f"status {status}: {quote(body)}"
    if _NO_CREDIT.search(text) or status == 402:
        return Failure(LLMRefused, what, "the account has no credit left; add some", retriable=False)
    limited = status == 429 or (status in {400, 413} and _RATE.search(text) is not None)
    if not limited and status in {400, 413, 422, 500} and OVERFLOW.search(text):  # old llama.cpp sends overflows as 500
        return Failure(ContextOverflow, what, "shorten the prompt or serve a longer context", retriable=False)
    if not limited and status in {400, 403, 422, 451} and _FILTER.search(text):
        return Failure(LLMFiltered, what, "the endpoint's content filter refuses this text", retriable=False)
    if status == 400 and _BAD_DRAW.search(text):
        return Failure(MalformedReply, what, "the model writes unusable calls or JSON; try --protocol tags", True)
    if status == 500 and _TEMPLATE.search(text):
        return Failure(LLMRefused, what, _advice(400, text), retriable=False)
    if limited or status in RETRIABLE or status >= 500 or (status == 400 and _PASSING.search(text)):
        advice = "the endpoint is overloaded or down; try later, or lower max_in_flight"
        wait_s = retry_after_s if retry_after_s is not None else _asked_wait_s(text)
        return Failure(LLMUnavailable, what, advice, True, limited or status in OVERLOADED, wait_s)
    return Failure(LLMRefused, what, _advice(status, text), retriable=False)


def is_final(body: bytes) -> bool:
    """Whether an error says that the account has no credit, whatever its status."""
    return _NO_CREDIT.search(body.decode("utf-8", "replace")) is not None


def refusal_text(body: bytes) -> tuple[str, str]:
    """(the words of a refusal, the parameter that it names or ""), without the parts of the request that it quotes."""
    text = body.decode("utf-8", "replace")
    tree = _tree(text)
    if tree is None:
        return text[:4000], ""
    said: list[str] = []
    params: list[str] = []
    _listen(tree, said, params)
    return (" ".join(said) or text)[:4000], (params or [""])[-1]


_INNER = ("error", "detail", "message", "metadata", "raw")
"""Fields that contain an inner error: Mistral's `message` has `detail`, OpenRouter's `metadata.raw` another body."""
_DEEPEST = 8


def _listen(part: JsonValue, said: list[str], params: list[str], depth: int = 0) -> None:
    """Collect the words of one part of an error in `said`, and the parameters that it names in `params`."""
    if depth > _DEEPEST:
        return
    for one in part if isinstance(part, list) else [part]:
        fields = _fields(one)
        said += [value for key in ("message", "msg", "code", "type") if isinstance(value := fields.get(key), str)]
        if isinstance(named := fields.get("param"), str):
            params.append(named)
        if isinstance(where := fields.get("loc"), list):
            named = next((step for step in where if isinstance(step, str) and step != "body"), "")
            params.append(named)
            said.append(named)
        for key in _INNER:
            inner = fields.get(key)
            if isinstance(inner, str):
                inner = _tree(inner) or (None if key == "message" else inner)
            if isinstance(inner, str):
                said.append(inner)
            elif inner:
                _listen(inner, said, params, depth + 1)


def _tree(text: str) -> JsonValue:
    """`text` parsed as a JSON object or list; None for other text."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        tree: JsonValue = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return None
    return tree


def quote(body: bytes) -> str:
    """The first characters of a body, to quote in a message."""
    return repr(body[: 4 * QUOTED].decode("utf-8", "replace")[:QUOTED])


def _fields(tree: object) -> dict[str, JsonValue]:
    return cast(dict[str, JsonValue], tree) if isinstance(tree, dict) else {}


def _asked_wait_s(text: str) -> float | None:
    """The wait that a body asks for in seconds, as in "try again in 7m12.5s"; None if it asks for none."""
    found = _WAIT.search(text)
    if found is None:
        return None
    try:
        return sum(float(number) * _SECONDS[unit.lower()] for number, unit in _SPAN.findall(found[1])) or None
    except ValueError:
        return None


def _advice(status: int, text: str) -> str:
    if _NO_TOOLS.search(text):
        return (
            "it cannot read function calls: use --protocol tags, or start the server with a parser "
            "(vLLM: --enable-auto-tool-choice --tool-call-parser hermes; llama.cpp: --jinja)"
        )
    return _REFUSED.get(status, "the server refuses this request")


_PARAMETER = "the server refuses this request; if it names a parameter, leave the parameter out with --omit NAME"
_REFUSED = {
    400: _PARAMETER,
    403: "check that this API key may use the model",
    404: "check the model's name and that base_url ends as the server expects (usually in /v1)",
    422: _PARAMETER,
}
