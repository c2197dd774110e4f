"""Messages, calls and tools in the JSON form of OpenAI's chat API."""

import json
from typing import cast

from pydantic import JsonValue

from questwell.llm.changes import Body
from questwell.llm.client import Message, Tool, ToolCall


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
    function: dict[str, JsonValue] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": json.loads(tool.parameters),
    }
    return {"type": "function", "function": function}
