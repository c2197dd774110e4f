# ruff: noqa: E501  wordings of servers stand as they are
import json

import pytest

from questwell.errors import ContextOverflow, LLMFiltered, LLMRefused, LLMUnavailable, MalformedReply
from questwell.llm.refusals import read_error

OVERFLOWS = [
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
    '{"code": "context_length_exceeded"}',
    "The decoder prompt (length 9000) is longer than the maximum model length of 4096. Make sure that ...",
    "The input (9000 tokens) is longer than the model's context length (4096 tokens).",
    "Input length (9000 tokens) exceeds the maximum allowed length (4095 tokens).",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "the input length exceeds the context length",
    "prompt too long; exceeded max context length by 300 tokens",
    "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with context length of 4096",
    "The number of tokens to keep from the initial prompt is greater than the context length.",
    "Reached context length of 4096 tokens with model (arch: qwen2) that does not currently support mid-generation overflow.",
    "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 20",
    "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000",
    "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]",
    "too many tokens: total number of tokens in the prompt cannot exceed 4081",
    "prompt is too long: 200001 tokens > 199999 maximum",
    "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length",
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    "request (27001 tokens) exceeds the available context size (8192 tokens), try increasing it",
    "Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)",
    "Prompt exceeds max length",
    "invalid params, context window exceeds limit (2013)",
    "Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192",
    "ValidationException: Input is too long for requested model.",
]


@pytest.mark.parametrize("text", OVERFLOWS)
def test_every_wording_of_an_overflow_is_known(text: str) -> None:
    assert read_error(400, json.dumps({"error": {"message": text}}).encode()).kind is ContextOverflow


@pytest.mark.parametrize(
    ("status", "text", "kind", "retriable"),
    [
        (413, "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 9000, please reduce your "
         "message size", LLMUnavailable, True),
        (429, "You exceeded your current quota, limit: input token count exceeds free tier", LLMUnavailable, True),
        (429, '{"code": "insufficient_quota"}', LLMRefused, False),
        (402, "Insufficient Balance", LLMRefused, False),
        (400, "The response was filtered due to the prompt triggering Azure OpenAI's content management policy",
         LLMFiltered, False),
        (400, "Content Exists Risk", LLMFiltered, False),
        (400, "Input data may contain inappropriate content.", LLMFiltered, False),
        (403, "openai/x requires moderation on OpenRouter. Your input was flagged", LLMFiltered, False),
        (400, "temperature must be between 0 and 2", LLMRefused, False),
        (400, "the stop sequences are too long", LLMRefused, False),
        (400, '{"error": {"message": "Failed to call a function.", "code": "tool_use_failed"}}', MalformedReply, True),
        (400, '{"error": {"message": "Failed to generate JSON.", "code": "json_validate_failed"}}', MalformedReply, True),
        (400, '{"object": "error", "message": "Already borrowed", "code": 400}', LLMUnavailable, True),
        (400, '{"error": "Model reloaded."}', LLMUnavailable, True),
        (424, '{"error": "Request failed during generation", "error_type": "generation"}', LLMUnavailable, True),
        (498, "flex tier capacity exceeded", LLMUnavailable, True),
        (499, "", LLMUnavailable, True),
        (500, "Conversation roles must alternate user/assistant at row 19: {{ raise_exception() }}", LLMRefused, False),
        (500, "tools param requires --jinja flag", LLMRefused, False),
        (500, "CUDA error", LLMUnavailable, True),
        (429, '{"error": {"type": "exceeded_current_quota_error"}}', LLMRefused, False),
        (400, "Your credit balance is too low to access the Anthropic API", LLMRefused, False),
    ],
)  # fmt: skip
def test_what_is_no_overflow(status: int, text: str, kind: type, retriable: bool) -> None:
    failure = read_error(status, text.encode())
    assert (failure.kind, failure.retriable) == (kind, retriable)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [('{"error": {"details": [{"@type": "x.RetryInfo", "retryDelay": "34.5s"}]}}', 34.5),
     ("Rate limit reached. Please try again in 250ms.", 0.25), ("Please try again in 7s", 7.0), ("later", None),
     ("Please try again in 7m12.5s. Need more tokens?", 432.5), ("try again in 1h0m1s.", 3601.0),
     ("Please retry after 26 seconds.", 26.0), ("Retry after 1 second", 1.0), ("retry in 2 minutes", 120.0),
     ("try again in 300 milliseconds", 0.3), ("try again in 1.2.3s", None), ("try again in 3 shifts", None)],
)  # fmt: skip
def test_how_long_to_wait_stands_in_the_body(text: str, seconds: float | None) -> None:
    assert read_error(429, text.encode()).retry_after_s == seconds
    assert read_error(429, text.encode(), 2.0).retry_after_s == 2.0
