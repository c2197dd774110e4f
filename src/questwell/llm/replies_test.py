"""Shapes of replies and streams that servers were reported to send."""

import json

import pytest

from questwell.errors import ContextOverflow, LLMFiltered, LLMRefused, LLMUnavailable, MalformedReply
from questwell.http.retrying import Failure
from questwell.llm.prices import ListPrice, Usage
from questwell.llm.replies import Reply, read_reply, usage_in

ROME = {"content": "Rome"}


def body(message=ROME, **more):
    usage = {"prompt_tokens": 5, "completion_tokens": 3}
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage} | more).encode()


def read(raw: bytes) -> Reply:
    reply = read_reply(raw)
    assert isinstance(reply, Reply), reply
    return reply


def failed(raw: bytes) -> Failure:
    failure = read_reply(raw)
    assert isinstance(failure, Failure), failure
    return failure


def stream(*deltas, end="data: [DONE]"):
    lines = [f"data: {json.dumps({'choices': [{'delta': delta}]})}" for delta in deltas]
    return "\n\n".join([*lines, end, ""]).encode()


def calls(*pieces):
    return read(stream(*({"tool_calls": [piece]} for piece in pieces))).tool_calls


@pytest.mark.parametrize(
    ("content", "text", "thought"),
    [
        (["Ro", "me"], "Rome", ""),
        ([{"type": None, "text": "Rome"}], "Rome", ""),
        ({"type": "text", "text": "Rome"}, "Rome", ""),
        ({"answer": "Zürich"}, '{"answer": "Zürich"}', ""),
        (
            [{"type": "reasoning", "summary": [{"text": "Paris?"}]}, {"type": "text", "text": "Rome"}],
            "Rome",
            "Paris?",
        ),
    ],
)
def test_content_of_any_shape(content, text, thought):
    reply = read(body({"content": content}))
    assert (reply.text, reply.reasoning) == (text, thought)


@pytest.mark.parametrize(
    "message",
    [
        {"thinking": "hm"},
        {"reasoning": {"content": "hm"}},
        {"reasoning_content": [{"type": "text", "text": "h"}, {"type": "text", "text": "m"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}, {"type": "reasoning.text", "text": "hm"}]},
        {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.summary", "summary": "other"}]},
    ],
)
def test_a_thought_is_kept_from_whichever_field_it_is_in(message):
    assert (read(body(ROME | message)).text, read(body(ROME | message)).reasoning) == ("Rome", "hm")


def test_signed_thoughts_of_litellm_go_back():
    blocks = [{"type": "thinking", "thinking": "hm", "signature": "s"}]
    reply = read(body(ROME | {"reasoning_content": "hm", "thinking_blocks": blocks, "reasoning_details": None}))
    assert json.loads(reply.carry) == {"thinking_blocks": blocks}


@pytest.mark.parametrize("empty", [{}, "", None, False])
def test_an_empty_error_is_none(empty):
    assert read(body(error=empty)).text == "Rome"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (rb"Rome \ud83d", "Rome \ufffd"),
        (b"Rome \xf0\x9f", "Rome \ufffd"),
        (b"Ro\nme", "Ro\nme"),
        (rb"\ud83d\ude00", "\U0001f600"),
    ],
)
def test_characters_that_json_does_not_allow_lose_no_reply(raw, text):
    assert read(b'{"choices": [{"message": {"content": "%s"}}]}' % raw).text == text
    assert read(b'\xef\xbb\xbf{"choices": [{"message": {"content": "%s"}}]}' % raw).text == text


def test_ids_as_numbers_and_a_call_without_a_function():
    made = read(body({"tool_calls": [{"id": 7, "function": {"name": "search"}}, {"id": "", "function": None}]}))
    assert [(call.id, call.name) for call in made.tool_calls] == [("7", "search"), ("call_1", "")]


def test_a_token_without_a_logprob_leaves_the_text():
    logprobs = {"content": [{"token": "a", "logprob": None, "id": 3}]}
    reply = read(json.dumps({"choices": [{"message": ROME, "logprobs": logprobs}]}).encode())
    assert (reply.text, reply.logprobs) == ("Rome", ())


# --- usage


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None),
        ({"prompt_tokens": 9, "completion_tokens": 0}, None),
        ({"prompt_tokens": 0, "completion_tokens": 9}, None),
        ({"prompt_tokens": -1, "completion_tokens": -1}, None),
        ({"prompt_tokens": "n/a", "completion_tokens": 3}, None),
        ([], None),
        ({"prompt_tokens": 5, "completion_tokens": 1}, Usage(5, 1)),
        ({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 2008}, Usage(5, 2003)),
        (
            {"prompt_tokens": 5, "completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 9}},
            Usage(5, 12),
        ),
        (
            {"prompt_tokens": 5, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 9}},
            Usage(5, 9),
        ),
        ({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8, "reasoning_tokens": 9}, Usage(5, 12)),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 3,
                "total_tokens": 108,
                "prompt_tokens_details": {"cached_tokens": 100},
            },
            Usage(105, 3, 100),
        ),
        (
            {"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}},
            Usage(5, 3, 5),
        ),
        ({"prompt_tokens": 5, "completion_tokens": 3, "cost": {"total_cost": 0.5}}, Usage(5, 3, cost_usd=0.5)),
        ({"prompt_tokens": 5, "completion_tokens": 3, "cost": "0.5"}, Usage(5, 3, cost_usd=0.5)),
        ({"prompt_tokens": 5, "completion_tokens": 3, "cost": -1}, Usage(5, 3)),
        ({"prompt_tokens": 5, "completion_tokens": 3, "cost": True}, Usage(5, 3)),
    ],
)
def test_a_usage_that_cannot_be_right_is_unknown(usage, expected):
    reply = read(body(usage=usage))
    assert (reply.text, reply.usage) == ("Rome", expected)


@pytest.mark.parametrize(
    ("cost", "byok", "expected"),
    [(0, True, 0.5), (0.25, True, 0.75), (0, None, 0.5), (0.25, None, 0.25), (0, False, 0)],
)
def test_the_bill_for_an_own_key_at_openrouter_counts(cost, byok, expected):
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "cost": cost, "is_byok": byok}
    found = read(body(usage=usage | {"cost_details": {"upstream_inference_cost": 0.5}})).usage
    assert found is not None and found.cost_usd == expected


def test_an_empty_answer_may_have_no_tokens():
    assert read(body({"content": ""}, usage={"prompt_tokens": 5, "completion_tokens": 0})).usage == Usage(5, 0)
    assert usage_in(b'{"choices": 3, "usage": {"prompt_tokens": 5, "completion_tokens": 0}}') == Usage(5, 0)


def test_cached_tokens_beyond_the_prompt_have_a_list_price():
    pytest.importorskip("genai_prices")
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 100}}
    found = read(body(usage=usage)).usage
    assert found is not None
    price = ListPrice("gpt-4o-mini", "https://api.openai.com/v1")
    assert price.cost_usd(found) == pytest.approx((5 * 0.15 + 100 * 0.075 + 3 * 0.6) / 1e6)


# --- errors with status 200


@pytest.mark.parametrize(
    ("error", "kind", "retriable"),
    [
        ({"code": "content_filter", "message": "The response was filtered"}, LLMFiltered, False),
        ({"code": "rate_limit_exceeded", "message": "try again in 7s"}, LLMUnavailable, True),
        ({"code": "insufficient_quota", "message": "no"}, LLMRefused, False),
        (
            {"message": "Failed to call a function.", "code": "tool_use_failed", "status_code": 400},
            MalformedReply,
            True,
        ),
        ({"code": 400, "message": "unknown field"}, LLMRefused, False),
        ({"message": "upstream went away"}, MalformedReply, True),
    ],
)
def test_an_error_with_status_200_is_told_by_its_words(error, kind, retriable):
    for raw in (json.dumps({"error": error}).encode(), f"event: error\ndata: {json.dumps(error)}\n\n".encode()):
        failure = failed(raw)
        assert (failure.kind, failure.retriable) == (kind, retriable)


# --- streams


def test_errors_in_a_stream():
    overflow = {"object": "error", "message": "This model's maximum context length is 10 tokens", "code": 400}
    assert failed(f"data: {json.dumps(overflow)}\n\n".encode()).kind is ContextOverflow
    assert failed(b'error: {"code": 503, "message": "Loading model"}\n\n').kind is LLMUnavailable
    assert "gone away" in failed(b"event: error\ndata: gone away\n\n").what


@pytest.mark.parametrize("comment", [":keepalive", ": OPENROUTER PROCESSING", "retry: 3000", "id: 1"])
def test_a_stream_may_begin_with_anything(comment):
    assert read(f"{comment}\n\n".encode() + stream(ROME)).text == "Rome"


def test_thoughts_as_parts_and_then_text():
    thought = {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Paris?"}]}]}
    reply = read(stream({"role": "assistant", "content": ""}, thought, {"content": "Ro"}, {"content": "me"}))
    assert (reply.text, reply.reasoning) == ("Rome", "Paris?")
    assert read(stream({"content": "Ro"}, {"content": [{"type": "text", "text": "me"}]})).text == "Rome"


def test_usage_in_the_choice_of_a_stream():
    usage = {"prompt_tokens": 5, "completion_tokens": 3}
    end = json.dumps({"choices": [{"delta": {}, "finish_reason": "stop", "usage": usage}]})
    assert read(stream(ROME, end=f"data: {end}")).usage == Usage(5, 3)


def call(arguments, index=0, **more):
    name = more.pop("name", None)
    return {"index": index, "function": {"arguments": arguments} | ({"name": name} if name else {})} | more


X, Y = '{"query":"x"}', '{"query":"y"}'


@pytest.mark.parametrize(
    "pieces",
    [
        [call(X, id="a", name="search"), call(Y, 1, id="b", name="search")],
        [call(X, id="a", name="search"), call(Y, id="b", name="search")],  # Gemini: index 0 for each
        [call(X, None, id="a", name="search"), call(Y, None, id="b", name="search")],
        [call(X[:5], id="a", name="search"), call(X[5:], id=""), call(Y, 1, id="b", name="search")],
        [call(X[:5], id="a", name="search"), call(X[5:], id="a", name="search"), call(Y, 1, id="b", name="search")],
        [call(X[:5], None, id="a", name="search"), call(X[5:], None, id="a"), call(Y, None, id="b", name="search")],
        [call(X[:5], None, id="a", name="search"), call(X[5:], None), call(Y, None, id="b", name="search")],
        [call("", id="a", name="sea"), call(X, name="rch"), call(None), call(Y, 1, id="b", name="search")],
        [call(X, id="a", name="search"), call("", name="search"), call(Y, 1, id="b", name="search")],
    ],
)
def test_the_calls_of_a_stream_are_put_together(pieces):
    assert [(made.id, made.name, made.arguments) for made in calls(*pieces)] == [("a", "search", X), ("b", "search", Y)]


def test_calls_with_one_index_and_no_id():
    made = calls(call(X, name="search"), call(Y, name="search"))
    assert [one.arguments for one in made] == [X, Y]
    both = {"tool_calls": [{"function": {"name": "search", "arguments": one}} for one in (X, Y)]}
    assert [one.arguments for one in read(stream(both)).tool_calls] == [X, Y]
