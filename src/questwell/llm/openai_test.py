import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from questwell.errors import (
    ConfigError,
    ContextOverflow,
    LLMError,
    LLMFiltered,
    LLMRefused,
    LLMTimeout,
    LLMUnavailable,
    MalformedReply,
)
from questwell.llm.client import FinishReason, Message, Request, Tool, ToolCall
from questwell.llm.limiter import Limiter
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


async def error_of(endpoint, request=ASK, **options) -> LLMError:
    async with client_of(endpoint.base_url, **options) as client:
        with pytest.raises(LLMError) as caught:
            await client.complete(request)
    return caught.value


# --- what is sent, what comes back


async def test_chat_completion_comes_back_with_usage_latency_and_cost(endpoint):
    endpoint.says("Lake Erie", delay_s=0.05)
    async with client_of(endpoint.base_url, pricing=Price(input_usd=10.0, output_usd=100.0)) as client:
        done = await client.complete(ASK)
    assert (done.text, done.model, done.finish) == ("Lake Erie", "served", FinishReason.STOP)
    assert (done.prompt_tokens, done.completion_tokens) == (7, 3)
    assert done.cost_usd == pytest.approx((7 * 10 + 3 * 100) / 1e6)
    assert 0.05 <= done.latency_s < 5
    assert endpoint.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert (endpoint.asked[0].method, endpoint.asked[0].path) == ("POST", "/v1/chat/completions")


async def test_chat_request_carries_every_field(endpoint):
    endpoint.says()
    call = ToolCall("c1", "search", '{"query": "lake"}')
    request = Request(
        messages=(
            Message("system", "Be brief."),
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", "a hit", tool_call_id="c1"),
        ),
        max_tokens=9,
        temperature=0.5,
        stop=("</s>",),
        seed=4,
        schema='{"type": "string"}',
        tools=(Tool("search", "Searches.", '{"type": "object"}'),),
    )
    async with client_of(endpoint.base_url) as client:
        await client.complete(request)
    assert endpoint.requests[0] == {
        "model": "m-1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"query": "lake"}'}}
                ],
            },
            {"role": "tool", "content": "a hit", "tool_call_id": "c1"},
        ],
        "max_tokens": 9,
        "temperature": 0.5,
        "stop": ["</s>"],
        "seed": 4,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "reply", "strict": True, "schema": {"type": "string"}},
        },
        "tools": [
            {
                "type": "function",
                "function": {"name": "search", "description": "Searches.", "parameters": {"type": "object"}},
            }
        ],
    }


async def test_prompt_goes_to_plain_completion(endpoint):
    endpoint.says(body={"choices": [{"text": " Paris", "finish_reason": "length"}]})
    async with client_of(endpoint.base_url) as client:
        done = await client.complete(Request(prompt="The capital of France is", max_tokens=1, stop=(".",)))
    assert (done.text, done.finish) == (" Paris", FinishReason.LENGTH)
    assert endpoint.asked[0].path == "/v1/completions"
    assert endpoint.requests[0] == {
        "model": "m-1",
        "prompt": "The capital of France is",
        "max_tokens": 1,
        "temperature": 0.0,
        "stop": ["."],
    }


async def test_options_add_omit_and_rename_fields(endpoint):
    endpoint.says()
    options = {
        "omit": frozenset({"temperature"}),
        "extra": {"top_k": 1},
        "max_tokens_field": "max_completion_tokens",
    }
    async with client_of(endpoint.base_url, **options) as client:
        await client.complete(Request(messages=ASK.messages, max_tokens=5))
    sent = endpoint.requests[0]
    assert sent["top_k"] == 1
    assert sent["max_completion_tokens"] == 5
    assert not {"temperature", "max_tokens"} & sent.keys()


async def test_token_view_is_asked_for_and_read(endpoint):
    tokens = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.5}]
    endpoint.says(choice={"logprobs": {"content": tokens}, "token_ids": [5, 6]}, body={"prompt_token_ids": [1, 2]})
    async with client_of(endpoint.base_url, token_view=True) as client:
        done = await client.complete(ASK)
    assert endpoint.requests[0]["logprobs"] is True
    assert (done.prompt_ids, done.token_ids, done.logprobs) == ((1, 2), (5, 6), (-0.5, -1.5))


async def test_tool_calls_come_back_as_written(endpoint):
    calls = [{"id": "c9", "type": "function", "function": {"name": "search", "arguments": '{"query": '}}]
    endpoint.says(message={"content": None, "tool_calls": calls}, choice={"finish_reason": "tool_calls"})
    async with client_of(endpoint.base_url) as client:
        done = await client.complete(ASK)
    assert done.tool_calls == (ToolCall("c9", "search", '{"query": '),)
    assert (done.text, done.finish) == ("", FinishReason.TOOL_CALLS)


# --- retries


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_passing_failures_are_retried_until_success(endpoint, status):
    endpoint.sends(status).sends(status).says("at last")
    async with client_of(endpoint.base_url) as client:
        assert (await client.complete(ASK)).text == "at last"
    assert len(endpoint.requests) == 3


async def test_retries_are_bounded(endpoint):
    endpoint.sends(500, {"error": {"message": "worker died"}})
    error = await error_of(endpoint, max_retries=3)
    assert type(error) is LLMUnavailable
    assert len(endpoint.requests) == 4
    for part in ("m-1", endpoint.base_url, "status 500", "worker died", "after 3 retries"):
        assert part in str(error)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422])
async def test_refusals_are_final_and_never_show_the_key(endpoint, status):
    endpoint.sends(status, {"error": {"message": f"no: {KEY} " + "x" * 5000}})
    error = await error_of(endpoint)
    assert type(error) is LLMRefused
    assert len(endpoint.requests) == 1
    assert KEY not in str(error)
    assert len(str(error)) < 600
    assert f"status {status}" in str(error)


async def test_retries_are_logged_without_the_key(endpoint, caplog):
    endpoint.sends(500, {"error": KEY}).says()
    async with client_of(endpoint.base_url) as client:
        await client.complete(ASK)
    assert [record.name for record in caplog.records] == ["stamina"]
    assert KEY not in str(vars(caplog.records[0]))


async def test_used_up_credit_is_no_rate_limit(endpoint):
    endpoint.sends(429, {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}})
    assert type(await error_of(endpoint)) is LLMRefused
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("status", [429, 500])
async def test_retry_after_in_seconds_is_waited_for(endpoint, status):
    endpoint.sends(status, headers={"retry-after": "0.2"}).says()
    started = asyncio.get_running_loop().time()
    async with client_of(endpoint.base_url, max_wait_s=5.0) as client:
        await client.complete(ASK)
    assert asyncio.get_running_loop().time() - started >= 0.2


async def test_retry_after_is_capped(endpoint):
    endpoint.sends(503, headers={"retry-after": "Fri, 31 Dec 2100 23:59:59 GMT"}).says()
    async with client_of(endpoint.base_url, max_wait_s=0.05) as client, asyncio.timeout(5):
        await client.complete(ASK)


async def test_rate_limit_holds_the_whole_endpoint_back(endpoint):
    endpoint.sends(429, headers={"retry-after": "0.3"}).says()
    limiter = Limiter(8)
    async with (
        client_of(endpoint.base_url, limiter=limiter, max_wait_s=5.0) as first,
        client_of(endpoint.base_url, limiter=limiter) as second,
    ):
        limited = asyncio.create_task(first.complete(ASK))
        while limiter.aimd.limit == 8:
            await asyncio.sleep(0.01)
        started = asyncio.get_running_loop().time()
        await second.complete(ASK)
        assert asyncio.get_running_loop().time() - started >= 0.2
        await limited
    assert limiter.aimd.limit == pytest.approx(4 + 2 / 4, abs=0.1)


async def test_limiter_bounds_calls_in_flight(endpoint):
    endpoint.says(delay_s=0.01)
    async with client_of(endpoint.base_url, limiter=Limiter(5)) as client:
        await asyncio.gather(*[client.complete(ASK) for _ in range(40)])
    assert endpoint.most_in_flight == 5


async def test_many_calls_at_once(endpoint):
    endpoint.says(delay_s=2.0)
    async with client_of(endpoint.base_url, limiter=Limiter(50)) as client:
        await asyncio.gather(*[client.complete(ASK) for _ in range(50)])
    assert endpoint.most_in_flight == 50


# --- broken replies and connections


@pytest.mark.parametrize(
    ("body", "clue"),
    [
        (b"<html>Bad gateway</html>", "Bad gateway"),
        (b"", "JSON"),
        (b'{"choices": [{"mess', "JSON"),
        (b"[]", "not a completion"),
        (b"{}", "without choices"),
        (b'{"choices": []}', "without choices"),
        (b'{"choices": [{"index": 0}]}', "without message"),
        (b'{"choices": [{"message": {"content": 3}}]}', "not a completion"),
        (b'{"choices": [{"message": {"content": "a"}, "finish_reason": "abort"}]}', "broke off"),
        (b'{"error": {"message": "upstream went away"}}', "upstream went away"),
        (b'{"error": "upstream went away"}', "upstream went away"),
        (b"\xff\xfe", "JSON"),
    ],
)
async def test_malformed_reply_is_retried_then_named(endpoint, body, clue):
    endpoint.sends(200, body)
    error = await error_of(endpoint, max_retries=2)
    assert type(error) is MalformedReply
    assert len(endpoint.requests) == 3
    assert clue.lower() in str(error).lower()


async def test_malformed_reply_then_a_good_one(endpoint):
    endpoint.sends(200, b"nonsense").says("fine")
    async with client_of(endpoint.base_url) as client:
        assert (await client.complete(ASK)).text == "fine"


@pytest.mark.parametrize(
    ("error", "kind", "calls"),
    [
        ({"code": 401, "message": "no such key"}, LLMRefused, 1),
        ({"code": "429", "message": "slow down"}, LLMUnavailable, 3),
        ({"code": 502, "message": "provider down"}, LLMUnavailable, 3),
        ({"code": "context_length_exceeded", "message": "too long"}, ContextOverflow, 1),
    ],
)
async def test_error_body_under_200_counts_as_the_status_it_names(endpoint, error, kind, calls):
    endpoint.sends(200, {"error": error})
    assert type(await error_of(endpoint, max_retries=2)) is kind
    assert len(endpoint.requests) == calls


async def test_old_vllm_error_object_under_200(endpoint):
    endpoint.sends(200, {"object": "error", "message": "unknown model", "code": 404})
    assert type(await error_of(endpoint)) is LLMRefused


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"),
        (400, "request (27001 tokens) exceeds the available context size (8192 tokens), try increasing it"),
        (500, "the request exceeds the available context size. try increasing the context size"),
        (400, "context_length_exceeded"),
        (400, "The input token count exceeds the maximum number of tokens allowed"),
        (413, "Prompt is too long"),
    ],
)
async def test_context_overflow_is_told_apart_and_final(endpoint, status, message):
    endpoint.sends(status, {"error": {"message": message}})
    assert type(await error_of(endpoint)) is ContextOverflow
    assert len(endpoint.requests) == 1


async def test_content_filter_is_a_refusal(endpoint):
    endpoint.says("", choice={"finish_reason": "content_filter"})
    assert type(await error_of(endpoint)) is LLMFiltered
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("kept", [0, 20])
async def test_cut_body_is_retried(endpoint, kept):
    endpoint.says("never whole", cut_after=kept).says("whole")
    async with client_of(endpoint.base_url) as client:
        assert (await client.complete(ASK)).text == "whole"
    assert len(endpoint.requests) == 2


async def test_body_that_is_always_cut_is_unavailable(endpoint):
    endpoint.says(cut_after=20)
    error = await error_of(endpoint, max_retries=1)
    assert type(error) is LLMUnavailable
    assert "broke" in str(error)
    assert len(endpoint.requests) == 2


async def test_hanging_endpoint_times_out_and_shrinks_the_limit(endpoint):
    endpoint.hangs()
    limiter = Limiter(8)
    error = await error_of(endpoint, limiter=limiter, timeout_s=0.1, max_retries=1)
    assert type(error) is LLMTimeout
    assert "0.1 s" in str(error)
    assert len(endpoint.requests) == 2
    assert limiter.aimd.limit == 2
    assert limiter.in_flight == 0


async def test_nobody_listening_is_unavailable():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    async with client_of(url, max_retries=1) as client:
        with pytest.raises(LLMUnavailable, match="check base_url"):
            await client.complete(ASK)


async def test_dropped_idle_connections_are_replaced(endpoint):
    endpoint.says()
    async with client_of(endpoint.base_url) as client:
        await client.complete(ASK)
        endpoint.drop_all()
        assert (await client.complete(ASK)).text == "fine"


async def test_cancelled_call_gives_its_slot_back(endpoint):
    endpoint.hangs()
    limiter = Limiter(1)
    async with client_of(endpoint.base_url, limiter=limiter) as client:
        task = asyncio.create_task(client.complete(ASK))
        while not endpoint.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert limiter.in_flight == 0


async def test_closing_ends_calls_in_flight_without_retries(endpoint):
    endpoint.hangs()
    async with client_of(endpoint.base_url, backoff_s=30.0, max_wait_s=30.0) as client:
        task = asyncio.create_task(client.complete(ASK))
        while not endpoint.requests:
            await asyncio.sleep(0.01)
    with pytest.raises(LLMUnavailable):
        await asyncio.wait_for(task, 5)
    assert len(endpoint.requests) == 1


async def test_call_after_closing_is_an_error_of_the_endpoint_like_any_other(endpoint):
    endpoint.says()
    async with client_of(endpoint.base_url) as client:
        await client.complete(ASK)
    with pytest.raises(LLMUnavailable, match="closed"):
        await client.complete(ASK)


# --- quirks


@pytest.mark.parametrize("base_url", ["127.0.0.1:8000", "ftp://host/v1", "", "http://", "http://[::1/v1"])
def test_base_url_that_is_none_is_refused(base_url):
    with pytest.raises(ConfigError, match="base_url"):
        OpenAIClient("m", base_url)


@pytest.mark.parametrize("key", ["sk-1\n2", "sk-\u00e9"])
def test_key_that_cannot_be_sent_is_refused_without_showing_it(key):
    with pytest.raises(ConfigError) as caught:
        OpenAIClient("m", "http://localhost/v1", key)
    assert "sk-" not in str(caught.value)


async def test_password_in_the_address_is_not_shown(endpoint):
    endpoint.sends(404)
    url = endpoint.base_url.replace("http://", "http://me:secret@")
    async with client_of(url) as client:
        with pytest.raises(LLMRefused) as caught:
            await client.complete(ASK)
    assert "secret" not in str(caught.value)
