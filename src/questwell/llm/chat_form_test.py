"""Messages and tools as they are sent."""

import json
from typing import cast

from pydantic import BaseModel, JsonValue

from questwell.llm.adapting import Manners
from questwell.llm.changes import Body, messages_of, short_id
from questwell.llm.chat_form import message_bodies, tool_body
from questwell.llm.client import Message, Tool, ToolCall


def ids(*messages: Message) -> list[object]:
    found: list[object] = []
    for body in message_bodies(messages, None):
        found += [call["id"] for call in cast(list[Body], body.get("tool_calls") or [])]
        found += [body["tool_call_id"]] if "tool_call_id" in body else []
    return found


def said(*names: str) -> Message:
    return Message("assistant", "", tuple(ToolCall(name, "search", "{}") for name in names))


def told(name: str) -> Message:
    return Message("tool", "found", tool_call_id=name)


def test_ids_that_repeat_are_told_apart() -> None:
    assert ids(said("a"), told("a"), said("b"), told("b")) == ["a", "a", "b", "b"]
    again = ids(said("call_0"), told("call_0"), said("call_0"), told("call_0"), said("call_0_2"), told("call_0_2"))
    assert again == ["call_0"] * 2 + ["call_0_2"] * 2 + ["call_0_2_2"] * 2
    assert ids(said("a", "a"), told("a"), told("a")) == ["a", "a_2", "a", "a_2"]
    assert ids(said("a"), told("a"), said("b", "a"), told("b"), told("a")) == ["a", "a", "b", "a_2", "b", "a_2"]
    first, _, second, again = ids(said("abc123def"), told("abc123def"), said("abc123def"), told("abc123def"))
    assert first == "abc123def" != second == again and short_id(str(second)) == second


class _Step(BaseModel):
    query: str


class _Plan(BaseModel):
    steps: list[_Step] = []
    first: _Step | None = None


def test_a_schema_is_sent_without_references() -> None:
    schema = json.dumps(_Plan.model_json_schema())
    assert "$ref" in schema
    sent = json.dumps(tool_body(Tool("plan", "Plan.", schema)))
    assert "$ref" not in sent and "$defs" not in sent
    properties = json.loads(sent)["function"]["parameters"]["properties"]
    assert set(properties["steps"]["items"]["properties"]) == {"query"}
    assert properties["first"]["anyOf"][0]["properties"]["query"]["type"] == "string"


def test_results_are_named_where_that_is_demanded() -> None:
    history = (said("a"), told("a"), said("a"), told("a"), Message("user", "on"))
    body: Body = {"messages": cast(JsonValue, message_bodies(history, None))}
    manners = Manners()
    refusal = "* GenerateContentRequest.contents[2].parts[0].function_response.name: Name cannot be empty."
    assert manners.learn(body, refusal, "") and manners.changes == ("fill names",)
    sent = messages_of(manners.adapt(body))
    assert [message.get("name") for message in sent] == [None, "search", None, "search", None]
