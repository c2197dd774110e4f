"""What the client reads out of a reply: thoughts, usage, content in parts."""

import json
from contextlib import asynccontextmanager

import pytest

from questwell.llm.client import FinishReason, Message, Request
from questwell.llm.openai import OpenAIClient, OpenAIOptions
from questwell.llm.prices import Price

KEY = "sk-test-0123456789"
ASK = Request(messages=(Message("user", "Which lake?"),))


@asynccontextmanager
async def client_of(endpoint_url, *, key=KEY, limiter=None, pricing=None, **options):
    settings = OpenAIOptions(**{"backoff_s": 0.001, "max_wait_s": 0.05, "max_retries": 3, "timeout_s": 10.0} | options)
    client = OpenAIClient("m-1", endpoint_url, key, limiter=limiter, pricing=pricing, options=settings)
    try:
        yield client
    finally:
        await client.aclose()


@pytest.mark.parametrize("where", ["reasoning_content", "reasoning"])
async def test_reasoning_is_kept_apart_and_never_the_text(endpoint, where):
    endpoint.says(None, message={where: "It is Erie."}).says("Erie", message={where: "hm"})
    async with client_of(endpoint.base_url) as client:
        for text, thought in (("", "It is Erie."), ("Erie", "hm")):
            done = await client.complete(ASK)
            assert (done.text, done.reasoning) == (text, thought)


async def test_reasoning_is_not_the_text_of_a_tool_call(endpoint):
    calls = [{"id": None, "function": {"name": "search", "arguments": {"query": "lake"}}}]
    endpoint.says("", message={"reasoning_content": "I search.", "tool_calls": calls})
    async with client_of(endpoint.base_url) as client:
        done = await client.complete(ASK)
    assert (done.text, done.reasoning) == ("", "I search.")
    assert done.finish is FinishReason.TOOL_CALLS
    assert json.loads(done.tool_calls[0].arguments) == {"query": "lake"}


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None, "completion_tokens": 3}])
async def test_missing_usage_is_none_and_so_is_the_cost(endpoint, usage):
    endpoint.says(body={"usage": usage})
    async with client_of(endpoint.base_url, pricing=Price(1.0, 1.0)) as client:
        done = await client.complete(ASK)
    assert (done.prompt_tokens, done.completion_tokens, done.cost_usd) == (None, None, None)


async def test_content_in_parts_is_joined_without_its_thinking(endpoint):
    parts = [{"type": "thinking", "text": "hm"}, {"type": "text", "text": "Lake "}, {"type": "text", "text": "Erie"}]
    endpoint.says(message={"content": parts})
    async with client_of(endpoint.base_url) as client:
        assert (await client.complete(ASK)).text == "Lake Erie"


async def test_think_tags_are_left_to_the_agents(endpoint):
    endpoint.says("<think>hm</think>Erie")
    async with client_of(endpoint.base_url) as client:
        assert (await client.complete(ASK)).text == "<think>hm</think>Erie"


# --- what the user wrote


async def test_a_reply_that_used_up_its_cap_is_cut_off_whatever_it_says(endpoint):
    usage = {"prompt_tokens": 9, "completion_tokens": 1024}
    endpoint.says(None, message={"reasoning": "hm"}, body={"usage": usage}).says("never asked for")
    async with client_of(endpoint.base_url) as client:
        done = await client.complete(Request(ASK.messages, stop=("</answer>",)))
    assert (done.text, done.finish, done.adapted) == ("", FinishReason.LENGTH, ())  # no stop text ended the thought
