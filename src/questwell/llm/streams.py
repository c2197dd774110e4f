"""Joins server-sent events into one response body; some gateways stream even if nobody asked for it."""

import json
from typing import cast

from pydantic import JsonValue

Fields = dict[str, JsonValue]


def is_stream(body: bytes) -> bool:
    """Whether a body consists of server-sent events."""
    start = body.lstrip()[:16]
    return start.startswith((b"data:", b"event:", b": ", b":\n", b"id:"))


def joined(body: bytes) -> bytes:
    """The chunks of a stream as one completion; if the stream ended too early, the result is not a completion."""
    whole: Fields = {}
    choice: Fields = {}
    message: Fields = {}
    ended = False
    for raw in body.splitlines():  # of bytes: a text would be split at U+2028 too, which JSON leaves as it is
        line = raw.decode("utf-8", "replace")
        data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
        if data == "[DONE]":
            ended = True
        if not data or data == "[DONE]":
            continue
        try:
            chunk = _fields(json.loads(data))
        except (json.JSONDecodeError, RecursionError):
            return b'{"error": "a stream whose chunks are not JSON"}'
        if chunk.get("error"):
            return json.dumps(chunk).encode()
        whole |= {key: value for key, value in chunk.items() if key != "choices" and value is not None}
        for part in _list(chunk.get("choices"))[:1]:
            fields = _fields(part)
            _add(message, _fields(fields.get("delta") or fields.get("message")))
            if isinstance(text := fields.get("text"), str):
                choice["text"] = str(choice.get("text") or "") + text
            if fields.get("finish_reason"):
                choice["finish_reason"] = fields["finish_reason"]
                ended = True
    if not ended:
        return b'{"error": "the stream broke off before the answer was whole"}'
    if "text" not in choice:
        calls = _fields(message.get("tool_calls"))
        if calls:
            message["tool_calls"] = list(calls.values())
        choice["message"] = message
    return json.dumps({**whole, "choices": [choice]}).encode()


def _add(message: Fields, delta: Fields) -> None:
    for key, value in delta.items():
        if key == "tool_calls":
            for place, call in enumerate(_list(value)):
                _add_call(message, _fields(call), place)
        elif isinstance(value, str) and key != "role":
            message[key] = str(message.get(key) or "") + value
        elif isinstance(value, list):
            message[key] = [*_list(message.get(key)), *value]
        elif value is not None:
            message[key] = value


def _add_call(message: Fields, delta: Fields, place: int) -> None:
    """Add a piece of a call. Pieces of one call share an index; servers without indices send whole calls."""
    calls = cast(Fields, message.setdefault("tool_calls", {}))
    index = str(delta.get("index", f"whole {place} {len(calls)}" if delta.get("id") else place))
    call = cast(Fields, calls.setdefault(index, {}))
    for key, value in delta.items():
        if key == "function":
            function = cast(Fields, call.setdefault("function", {}))
            for name, part in _fields(value).items():
                old = function.get(name)
                function[name] = old + part if isinstance(old, str) and isinstance(part, str) else part
        elif value is not None and key != "index":
            call[key] = value


def _fields(tree: object) -> Fields:
    return cast(Fields, tree) if isinstance(tree, dict) else {}


def _list(tree: object) -> list[JsonValue]:
    return cast(list[JsonValue], tree) if isinstance(tree, list) else []
