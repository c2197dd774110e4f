"""The form that OpenAI's chat API gives to messages, calls and tools."""

import json
from typing import cast

from pydantic import JsonValue

from questwell.llm.changes import Body
from questwell.llm.client import Message, Tool, ToolCall


def message_body(message: Message, reasoning_field: str | None) -> Body:
    """A message as the API has it; next to calls, an empty text is null, which some servers insist on."""
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
    """A tool as the API has it."""
    function: dict[str, JsonValue] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": json.loads(tool.parameters),
    }
    return {"type": "function", "function": function}
