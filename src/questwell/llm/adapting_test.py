# ruff: noqa: E501  wordings of servers stand as they are
import json

import pytest

from questwell.errors import ContextOverflow, LLMFiltered
from questwell.llm.adapting import Manners
from questwell.llm.client import FinishReason, Message, Request, Tool, ToolCall
from questwell.llm.openai_test import client_of
from questwell.llm.prices import Price
from questwell.llm.refusals import refusal_text
from questwell.llm.replies import read_reply
from questwell.llm.streams import joined

SCHEMA = '{"type": "object", "properties": {"a": {"type": "string", "maxLength": 9}}}'
ASK = Request((Message("user", "Which lake?"),), temperature=0.5, stop=("</answer>",), seed=3, schema=SCHEMA)
SENT = {
    "model": "m",
    "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
    "temperature": 0.5,
    "max_tokens": 8192,
    "stop": ["</answer>"],
    "seed": 3,
    "logprobs": True,
    "return_token_ids": True,
    "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "string", "maxLength": 9}}},
    "tools": [],
}


def learnt(message: object, sent: dict | None = None) -> tuple[str, ...]:
    manners = Manners()
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    manners.learn(dict(sent or SENT), *refusal_text(body))
    return manners.changes


@pytest.mark.parametrize(
    ("message", "change"),
    [
        # OpenAI, reasoning models
        ({"error": {"message": "Unsupported value: 'temperature' does not support 0.5 with this model. Only the "
                    "default (1) value is supported.", "param": "temperature"}}, "omit temperature"),
        ({"error": {"message": "Unsupported parameter: 'stop' is not supported with this model."}}, "omit stop"),
        ({"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                    "'max_completion_tokens' instead.", "param": "max_tokens"}},
         "rename max_tokens max_completion_tokens"),
        ({"error": {"message": "max_tokens is too large: 8192. This model supports at most 4096 completion tokens, "
                    "whereas you provided 8192."}}, "cap 4096"),
        ({"error": {"message": "Invalid schema for response_format 'reply': 'maxLength' is not permitted."}},
         "schema without bounds"),
        # Bedrock
        ({"message": "This model doesn't support the stopSequences field. Remove stopSequences and try again."},
         "omit stop"),
        # Mistral
        ({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]},
         "omit seed"),
        ({"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra "
          "inputs are not permitted", "input": 3}]}, "type": "invalid_request_error", "param": None}, "omit seed"),
        ({"object": "error", "message": "{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"logprobs\"],"
          "\"msg\":\"Extra inputs are not permitted\"}]}", "param": None}, "omit logprobs"),
        ({"object": "error", "message": "Tool call id was call_0 but must be a-z, A-Z, 0-9, with a length of 9.",
          "type": "invalid_function_call", "code": "3280"}, "shorten ids"),
        ({"error": {"message": "Tool call IDs should be alphanumeric strings with length 9!"}}, "shorten ids"),
        # OpenRouter, whose own message says nothing
        ({"error": {"message": "Provider returned error", "code": 400, "metadata": {"provider_name": "X", "raw":
          "{\"error\": {\"message\": \"'stop' is not supported with this model.\", \"param\": \"stop\"}}"}}}, "omit stop"),
        ({"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "'seed' is not supported"}}},
         "omit seed"),
        ({"message": "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"},
         "merge turns"),
        # DeepSeek
        ({"error": {"message": "This response_format type is unavailable now"}}, "schema as object"),
        ({"error": {"message": "Invalid max_tokens value, the valid range of max_tokens is [1, 4096]"}}, "cap 4096"),
        ({"error": {"message": "The reasoning_content in the thinking mode must be passed back to the API."}},
         "send back reasoning_content"),
        ({"error": {"message": "Missing `reasoning_content` field in the assistant message"}},
         "send back reasoning_content"),
        # Anthropic
        ({"error": {"message": "max_tokens: 8192 > 4096, which is the maximum allowed number of output tokens"}},
         "cap 4096"),
        # Gemini
        ([{"error": {"message": "Invalid JSON payload received. Unknown name \"seed\": Cannot find field."}}], "omit seed"),
        # vLLM
        ({"object": "error", "message": "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to "
          "be set"}, "choose none"),
        ({"message": "System role not supported"}, "merge system"),
        # Mistral's first templates: where turns alternate, the system message is what is in the way.
        ({"message": "Conversation roles must alternate user/assistant/user/assistant/..."}, "merge system"),
        ({"message": "[{'type': 'extra_forbidden', 'loc': ('body', 'return_token_ids')}]"}, "omit return_token_ids"),
        # DashScope
        ({"error": {"message": "This model only support stream mode, please enable the stream parameter"}}, "stream"),
        ({"error": {"message": "parameter.enable_thinking must be set to false for non-streaming calls"}}, "stream"),
        ({"error": {"message": "parameter.enable_thinking必须设置为false才能进行非流式调用"}}, "stream"),
        ({"error": {"message": "enable thinking can not be support when `stream=False`."}}, "stream"),
        # o1-mini
        ({"error": {"message": "Unsupported value: 'messages[0].role' does not support 'system' with this model."}},
         "merge system"),
        (b"unknown field: logprobs", "omit logprobs"),
    ],
)  # fmt: skip
def test_a_refusal_that_names_a_parameter_is_answered_by_one_change(message: object, change: str) -> None:
    assert learnt(message) == (change,)


@pytest.mark.parametrize(
    "message",
    [
        {"error": {"message": "The model `m` does not exist"}},
        {"error": {"message": "Incorrect API key provided"}},
        {"error": {"message": "your request was refused; stop doing that, mind the temperature of the model"}},
        b"Bad Request",
    ],
)
def test_a_refusal_that_names_nothing_changes_nothing(message: object) -> None:
    assert not [change for change in learnt(message) if "temperature" not in change and "stop" not in change]


def test_the_schema_is_loosened_step_by_step() -> None:
    manners = Manners()
    text = "response_format is not supported"
    assert manners.learn(manners.adapt(SENT), text, "") and manners.adapt(SENT)["response_format"] == {
        "type": "json_object"
    }
    assert manners.learn(manners.adapt(SENT), text, "") and "response_format" not in manners.adapt(SENT)
    assert not manners.learn(manners.adapt(SENT), text, "")


def test_messages_are_merged() -> None:
    manners = Manners()
    manners.remember(["merge system", "merge turns"])
    messages = [
        *SENT["messages"],
        {"role": "assistant", "content": "a"},
        {"role": "tool", "content": "t"},
        {"role": "user", "content": "v"},
        {"role": "user", "content": "w"},
    ]
    merged = manners.adapt({**SENT, "messages": messages})["messages"]
    assert [(m["role"], m["content"]) for m in merged] == [
        ("user", "s\n\nu"), ("assistant", "a"), ("tool", "t\n\nv\n\nw")
    ]  # fmt: skip
    assert messages[1] == {"role": "user", "content": "u"}, "the request itself is left alone"


def test_no_empty_message_goes_to_an_endpoint_that_takes_none() -> None:
    call = {"id": "call_0", "function": {"name": "search", "arguments": "{}"}}
    said = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "found", "tool_call_id": "call_0"},
    ]
    manners = Manners()
    assert manners.learn({"messages": said}, "messages: text content blocks must be non-empty", "")
    assert manners.changes == ("fill empty",)
    adapted = manners.adapt({"messages": said})["messages"]
    assert [message["content"] for message in adapted] == ["u", "(no text)", None, "found"]
    assert said[1]["content"] == ""
    assert not Manners().learn({"messages": said[:1]}, "messages must be non-empty", ""), "there is nothing to fill"


def test_ids_of_calls_are_shortened_and_still_match_their_answers() -> None:
    calls = [{"id": name, "function": {"name": "search", "arguments": "{}"}} for name in ("call_0", "a1b2c3d4e", "x-y")]
    answers = [{"role": "tool", "content": "found", "tool_call_id": call["id"]} for call in calls]
    manners = Manners()
    manners.remember(["shorten ids"])
    first, *others = manners.adapt(
        {"messages": [{"role": "assistant", "content": None, "tool_calls": calls}, *answers]}
    )["messages"]
    names = [call["id"] for call in first["tool_calls"]]
    assert names == [answer["tool_call_id"] for answer in others]
    assert names[1] == "a1b2c3d4e" and len(set(names)) == 3
    assert all(len(name) == 9 and name.isalnum() for name in names)


def test_the_system_message_is_merged_only_where_turns_already_alternate() -> None:
    text = "Conversation roles must alternate user/assistant/user/assistant/..."
    roles = ("system", "user", "user")
    manners = Manners()
    sent = {"messages": [{"role": role, "content": role} for role in roles]}
    assert manners.learn(sent, text, "") and manners.changes == ("merge turns",)
    assert manners.learn(manners.adapt(sent), text, "") and manners.changes == ("merge turns", "merge system")
    assert manners.adapt(sent)["messages"] == [{"role": "user", "content": "system\n\nuser\n\nuser"}]


def test_an_error_that_nests_for_ever_is_heard_in_no_time() -> None:
    tree: object = "'seed' is not supported"
    for _ in range(40):
        tree = {"error": tree, "detail": [], "message": {"msg": "no"}}
    assert learnt(tree) == ()


def test_what_the_user_asked_for_is_not_left_out() -> None:
    manners = Manners(["reasoning_effort"])
    sent = {**SENT, "reasoning_effort": "high"}
    assert not manners.learn(sent, "Unsupported parameter: 'reasoning_effort'", "reasoning_effort")


async def test_it_adapts_once_and_remembers(endpoint, caplog):
    for name in ("temperature", "stop", "seed"):
        endpoint.sends(400, {"error": {"message": f"Unsupported parameter: '{name}'", "param": name}})
    endpoint.says("Erie")
    async with client_of(endpoint.base_url) as client:
        done = await client.complete(ASK)
        assert (done.text, done.adapted) == ("Erie", ("omit temperature", "omit stop", "omit seed"))
        await client.complete(ASK)
    assert len(endpoint.requests) == 5
    assert not {"temperature", "stop", "seed"} & endpoint.requests[-1].keys()
    said = [record.getMessage() for record in caplog.records if record.name == "questwell"]
    assert [line.rpartition(": ")[2] for line in said] == ["omit temperature", "omit stop", "omit seed"]


async def test_calls_in_flight_that_meet_the_same_refusal_all_get_through(endpoint):
    import asyncio

    def answer(asked):
        refused = "stop" in asked.body
        endpoint._answers = []
        if refused:
            endpoint.sends(400, {"error": {"message": "no stop here", "param": "stop"}}, delay_s=0.02)
        else:
            endpoint.says("Erie")
        return endpoint._answers[0]

    endpoint.answer = answer
    async with client_of(endpoint.base_url) as client:
        done = await asyncio.gather(*[client.complete(ASK) for _ in range(8)])
    assert [one.text for one in done] == ["Erie"] * 8
    assert len(endpoint.requests) == 16


async def test_a_cap_that_does_not_fit_the_context_is_lowered_for_this_call(endpoint):
    say = "This model's maximum context length is 4096 tokens and your request has {} input tokens (8192 > 4096 - {})."
    endpoint.sends(400, {"message": say.format(50, 50)}).says("a").sends(400, {"message": say.format(4000, 4000)}).says(
        "b"
    )
    request = Request(ASK.messages, max_tokens=8192)
    async with client_of(endpoint.base_url) as client:
        assert (await client.complete(request)).text == "a"
        assert (await client.complete(request)).text == "b"
    assert [sent["max_tokens"] for sent in endpoint.requests] == [8192, 2048, 2048, 96]


async def test_a_prompt_that_leaves_no_room_is_an_overflow(endpoint):
    endpoint.sends(400, {"message": "maximum context length is 4096 tokens and your request has 4090 input tokens"})
    async with client_of(endpoint.base_url) as client:
        with pytest.raises(ContextOverflow):
            await client.complete(ASK)
    assert len(endpoint.requests) == 1


async def test_thoughts_go_back_only_where_they_are_demanded(endpoint):
    history = (
        Message("user", "q"),
        Message("assistant", "", (ToolCall("c", "search", "{}", '{"extra_content": {"google": 1}}'),), reasoning="hm"),
        Message("tool", "found", tool_call_id="c"),
    )
    endpoint.says("a").sends(400, {"error": {"message": "Missing `reasoning_content` field in the assistant message"}})
    endpoint.says("b")
    async with client_of(endpoint.base_url) as client:
        await client.complete(Request(history))
        assert (await client.complete(Request(history))).adapted == ("send back reasoning_content",)
    said = [sent["messages"][1] for sent in endpoint.requests]
    assert [message.get("reasoning_content") for message in said] == [None, None, "hm"]
    assert said[0]["tool_calls"][0]["extra_content"] == {"google": 1}
    assert said[0]["content"] is None


async def test_a_stop_inside_a_thought_is_no_end(endpoint):
    struck = {"reasoning_content": "maybe <answer>Paris"}
    endpoint.says(None, message=struck).says("<answer>Rome</answer>")
    async with client_of(endpoint.base_url, pricing=Price(1e6, 1e6)) as client:
        done = await client.complete(ASK)
    assert (done.text, done.adapted) == ("<answer>Rome</answer>", ("omit stop",))
    assert (done.prompt_tokens, done.completion_tokens, done.cost_usd) == (14, 6, 20)  # both replies were paid for
    assert [("stop" in sent) for sent in endpoint.requests] == [True, False]


@pytest.mark.parametrize("text", ["<think>maybe <answer>Paris", "[THINK]x <question>Who?"])
async def test_a_stop_inside_a_thought_of_the_text_is_no_end_either(endpoint, text):
    endpoint.says(text).says("<think>no</think><answer>Rome")
    request = Request(ASK.messages, stop=("</search>", "</answer>", "</question>"))
    async with client_of(endpoint.base_url) as client:
        assert (await client.complete(request)).text.endswith("Rome")


async def test_rejected_replies_are_paid_for(endpoint):
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    endpoint.sends(200, {"choices": [], "usage": usage}).says("fine")
    async with client_of(endpoint.base_url, pricing=Price(1e6, 1e6)) as client:
        done = await client.complete(ASK)
    assert (done.prompt_tokens, done.completion_tokens, done.cost_usd) == (107, 13, 120)


async def test_what_failed_in_the_end_says_what_it_took(endpoint):
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    endpoint.says("", choice={"finish_reason": "content_filter"}, body={"usage": usage})
    async with client_of(endpoint.base_url, pricing=Price(1e6, 1e6)) as client:
        with pytest.raises(LLMFiltered) as caught:
            await client.complete(ASK)
    assert (caught.value.paid_tokens, caught.value.paid_usd) == ((100, 10), 110)


async def test_a_prompt_that_was_cut_silently_is_an_overflow(endpoint):
    usage = {"prompt_tokens": 4095, "completion_tokens": 1}
    endpoint.says("", choice={"finish_reason": "length"}, body={"usage": usage})
    async with client_of(endpoint.base_url) as client:
        with pytest.raises(ContextOverflow, match="after 1 tokens"):
            await client.complete(ASK)
    # the whole cap was used up by thoughts: that is no overflow
    endpoint._answers = []
    endpoint.says(
        "", choice={"finish_reason": "length"}, body={"usage": {"prompt_tokens": 5, "completion_tokens": 1024}}
    )
    async with client_of(endpoint.base_url) as client:
        assert (await client.complete(ASK)).finish is FinishReason.LENGTH


@pytest.mark.parametrize(
    ("usage", "tokens", "cost"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 2010}, (5, 2005), 2010),  # Gemini, xAI
        ({"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}, (5, 5), 10),
        ({"prompt_tokens": 5, "completion_tokens": 5, "cost": 0.25}, (5, 5), 0.25),  # OpenRouter
    ],
)
async def test_the_larger_figure_counts_and_the_providers_own_cost(endpoint, usage, tokens, cost):
    endpoint.says("a", body={"usage": usage})
    async with client_of(endpoint.base_url, pricing=Price(1e6, 1e6)) as client:
        done = await client.complete(ASK)
    assert ((done.prompt_tokens, done.completion_tokens), done.cost_usd) == (tokens, cost)


@pytest.mark.parametrize("arguments", [None, 5, ["q"], "{cut", '{"a":1}{"b":2}'])
async def test_odd_arguments_are_no_broken_reply(endpoint, arguments):
    calls = [{"id": "c", "function": {"name": "search", "arguments": arguments}}]
    endpoint.says(None, message={"tool_calls": calls})
    async with client_of(endpoint.base_url) as client:
        done = await client.complete(ASK)
    assert done.tool_calls[0].name == "search"
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("length", "length"), ("max_tokens", "length"), ("MAX_TOKENS", "length"), ("model_length", "length"),
     ("tool_use", "tool_calls"), ("stop", "stop"), ("end_turn", "stop"), ("STOP", "stop"), (None, "stop")],
)  # fmt: skip
def test_finish_reasons(reason, finish):
    body = {"choices": [{"message": {"content": "a"}, "finish_reason": reason}]}
    assert read_reply(json.dumps(body).encode()).finish == finish


@pytest.mark.parametrize(
    "reason", ["content_filter", "SAFETY", "content_filter: RECITATION", "RECITATION", "PROHIBITED_CONTENT", "refusal"]
)
def test_filters_are_final(reason):
    body = {"choices": [{"message": {"content": ""}, "finish_reason": reason}]}
    failure = read_reply(json.dumps(body).encode())
    assert (failure.kind, failure.retriable) == (LLMFiltered, False)


def chunks(*deltas: object, end: str | None = "stop", usage: object = None) -> bytes:
    lines = [{"model": "m", "choices": [{"delta": delta, "finish_reason": None}]} for delta in deltas]
    if end:
        lines.append({"choices": [{"delta": {}, "finish_reason": end}]})
    if usage:
        lines.append({"choices": [], "usage": usage})
    return b"".join(f"data: {json.dumps(line)}\n\n".encode() for line in lines) + (b"data: [DONE]\n\n" if end else b"")


async def test_a_stream_that_nobody_asked_for_is_read(endpoint):
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    body = chunks({"role": "assistant", "content": ""}, {"reasoning_content": "h"}, {"reasoning_content": "m"},
                  {"content": "Er"}, {"content": "ie"}, usage=usage)  # fmt: skip
    endpoint.sends(200, body, headers={"content-type": "text/event-stream"})
    async with client_of(endpoint.base_url) as client:
        done = await client.complete(ASK)
    assert (done.text, done.reasoning, done.prompt_tokens) == ("Erie", "hm", 7)


def test_calls_of_a_stream_are_put_together():
    part = [{"index": 0, "id": "a", "function": {"name": "search", "arguments": ""}}]
    rest = [{"index": 0, "function": {"arguments": '{"query":'}}, {"index": 1, "id": "b", "function": {"name": "x"}}]
    reply = read_reply(chunks({"tool_calls": part}, {"tool_calls": rest},
                              {"tool_calls": [{"index": 0, "function": {"arguments": ' "q"}'}}]}, end="tool_calls"))  # fmt: skip
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == [
        ("a", "search", '{"query": "q"}'), ("b", "x", "")
    ]  # fmt: skip


async def test_a_stream_that_breaks_off_is_tried_again(endpoint):
    endpoint.sends(200, chunks({"content": "Er"}, end=None)).says("Erie")
    async with client_of(endpoint.base_url) as client:
        assert (await client.complete(ASK)).text == "Erie"
    assert b"broke off" in joined(chunks({"content": "Er"}, end=None))


async def test_a_proxy_that_cuts_silent_connections_is_asked_for_a_stream(endpoint):
    endpoint.sends(524).sends(200, chunks({"content": "Erie"}))
    async with client_of(endpoint.base_url) as client:
        done = await client.complete(ASK)
    assert (done.text, done.adapted) == ("Erie", ("stream",))
    assert [sent.get("stream") for sent in endpoint.requests] == [None, True]


async def test_tools_without_a_parser_are_read_as_text(endpoint):
    endpoint.sends(400, {"message": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser'})
    endpoint.says("<tool_call>...")
    request = Request(ASK.messages, tools=(Tool("search", "s", "{}"),))
    async with client_of(endpoint.base_url) as client:
        await client.complete(request)
    assert endpoint.requests[1]["tool_choice"] == "none"


def test_two_calls_in_flight_learn_one_change_between_them() -> None:
    manners, sent = Manners(), {"max_tokens": 9}
    said = "Unsupported parameter: 'max_tokens' is not supported with this model."
    assert manners.learn(sent, said, "max_tokens", known=())
    assert manners.learn(sent, said, "max_tokens", known=())
    assert manners.changes == ("rename max_tokens max_completion_tokens",)


def test_what_was_learnt_before_is_not_said_again_and_yields_to_what_the_user_asks_for() -> None:
    manners = Manners(kept=("seed",))
    manners.remember(["omit stop", "omit seed", "a verb of a newer version"])
    assert (manners.changes, manners.news()) == (("omit stop",), ())
    assert manners.adapt({"stop": ["x"], "seed": 1}) == {"seed": 1}
