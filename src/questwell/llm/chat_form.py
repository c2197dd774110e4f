"""Messages, calls and tools in the JSON form of OpenAI's chat API."""

import json
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import cast

from pydantic import JsonValue

from questwell.llm.changes import Body, short_id
from questwell.llm.client import Message, Tool, ToolCall


def message_bodies(messages: Iterable[Message], reasoning_field: str | None) -> list[Body]:
    """`messages` in the form of the API, with a different id for each call.

    Servers that give no ids, or start again with each message, repeat them, and others refuse a history that does.
    """
    bodies = [message_body(message, reasoning_field) for message in messages]
    seen = set[str]()
    renamed = defaultdict[str, deque[str]](deque)
    for body in bodies:
        if calls := cast(list[Body], body.get("tool_calls") or []):
            renamed.clear()
        for call in calls:
            name = new = str(call["id"])
            number = 2
            while new in seen:
                new, number = _another(name, number), number + 1
            seen.add(new)
            renamed[name].append(new)
            call["id"] = new
        if waiting := renamed[str(body.get("tool_call_id"))]:
            body["tool_call_id"] = waiting.popleft()
    return bodies


def _another(name: str, number: int) -> str:
    """An id like `name`; one of nine letters and digits stays such an id, because Mistral accepts no other."""
    new = f"{name}_{number}"
    return short_id(new) if short_id(name) == name else new


def message_body(message: Message, reasoning_field: str | None) -> Body:
    """`message` in the form of the API. Next to calls an empty text is sent as null; some servers insist on that."""
    body: Body = {"role": message.role, "content": message.content or (None if message.tool_calls else "")}
    if message.tool_calls:
        body["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": _function(call),
                **cast(Body, json.loads(call.carry or "{}")),
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    if message.carry:
        body |= cast(Body, json.loads(message.carry))
    if reasoning_field and message.role == "assistant":
        body[reasoning_field] = message.reasoning
    return body


def _function(call: ToolCall) -> Body:
    return {"name": call.name, "arguments": call.arguments}


def tool_body(tool: Tool) -> JsonValue:
    """`tool` in the form of the API."""
    schema = cast(dict[str, JsonValue], json.loads(tool.parameters))
    function: dict[str, JsonValue] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": _inlined(schema, cast(dict[str, JsonValue], schema.get("$defs", {}))),
    }
    return {"type": "function", "function": function}


def _inlined(tree: JsonValue, parts: dict[str, JsonValue]) -> JsonValue:
    """A schema with its parts in place of references to them: Gemini refuses these, and parsers do not follow them."""
    if isinstance(tree, list):
        return [_inlined(one, parts) for one in tree]
    if not isinstance(tree, dict):
        return tree
    name = str(tree.get("$ref")).removeprefix("#/$defs/")
    if name in parts:
        return _inlined(parts[name], parts)
    return {key: _inlined(value, parts) for key, value in tree.items() if key != "$defs"}
