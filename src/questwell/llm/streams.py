"""Joins server-sent events into one response body; some gateways stream even if nobody asked for it."""

import json
from typing import cast

from pydantic import JsonValue

Fields = dict[str, JsonValue]


def is_stream(body: bytes) -> bool:
    """Whether a body consists of server-sent events."""
    return body.lstrip()[:16].startswith((b"data:", b"event:", b":", b"id:", b"retry:", b"error:"))


def joined(body: bytes) -> bytes:
    """The chunks of a stream as one completion; if the stream ended too early, the result is not a completion."""
    whole: Fields = {}
    choice: Fields = {}
    message: Fields = {}
    ended = False
    event = ""
    for raw in body.splitlines():  # of bytes: a text would be split at U+2028 too, which JSON leaves as it is
        name, _, data = (part.strip() for part in raw.decode("utf-8", "replace").partition(":"))
        failed = name == "error" or event == "error"  # old llama.cpp writes "error:" in place of "data:"
        if name == "event":
            event = data
        if data == "[DONE]":
            ended = True
        if name not in ("data", "error") or not data or data == "[DONE]":
            continue
        try:
            chunk = _fields(json.loads(data))
        except (json.JSONDecodeError, RecursionError):
            return json.dumps({"error": data if failed else "a stream whose chunks are not JSON"}).encode()
        if chunk.get("error"):
            return json.dumps(chunk).encode()
        if failed or chunk.get("object") == "error":
            return json.dumps({"error": chunk}).encode()
        whole |= {key: value for key, value in chunk.items() if key != "choices" and value is not None}
        for part in _list(chunk.get("choices"))[:1]:
            fields = _fields(part)
            _add(message, _fields(fields.get("delta") or fields.get("message")))
            if isinstance(text := fields.get("text"), str):
                choice["text"] = str(choice.get("text") or "") + text
            if fields.get("finish_reason"):
                choice["finish_reason"] = fields["finish_reason"]
                ended = True
            if fields.get("usage"):  # Moonshot reports it here
                whole["usage"] = fields["usage"]
    if not ended:
        return b'{"error": "the stream broke off before the answer was whole"}'
    if "text" not in choice:
        choice["message"] = message
    return json.dumps({**whole, "choices": [choice]}).encode()


def _add(message: Fields, delta: Fields) -> None:
    for key, value in delta.items():
        if key == "tool_calls":
            for place, call in enumerate(_list(value)):
                _add_call(message, _fields(call), place)
        elif isinstance(value, list) or (value is not None and isinstance(message.get(key), list)):
            message[key] = [*_parts(message.get(key)), *_parts(value)]
        elif isinstance(value, str) and key != "role":
            message[key] = str(message.get(key) or "") + value
        elif value is not None:
            message[key] = value


def _parts(content: JsonValue) -> list[JsonValue]:
    """`content` as a list of parts: Magistral streams its thoughts as parts, and then its answer as text."""
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


def _add_call(message: Fields, delta: Fields, place: int) -> None:
    """Add a piece of a call, or a whole call."""
    calls = cast(list[Fields], message.setdefault("tool_calls", []))
    call = _continued(calls, delta, place)
    if call is None:
        call = Fields()
        calls.append(call)
    for key, value in delta.items():
        if key == "function":
            function = cast(Fields, call.setdefault("function", {}))
            for name, part in _fields(value).items():
                _add_field(function, name, part)
        elif value not in (None, "") and (key != "id" or "id" not in call):  # later pieces may have an empty id
            call[key] = value


def _add_field(function: Fields, name: str, part: JsonValue) -> None:
    old = function.get(name)
    if isinstance(old, str) and isinstance(part, str):
        function[name] = old if name == "name" and old == part else old + part  # some repeat the name in each piece
    elif part is not None:
        function[name] = part


def _continued(calls: list[Fields], delta: Fields, place: int) -> Fields | None:
    """The call that a piece belongs to; None if it begins one.

    Pieces of one call share an index. Some servers send whole calls without an index, and Gemini sends several with the
    index 0: a piece with a name begins a call if the call before has another id, or is whole.
    """
    index, name = delta.get("index"), delta.get("id")
    function = _fields(delta.get("function"))
    if index is not None:
        same = [call for call in calls if call.get("index") == index]
    elif name:
        same = [call for call in calls if call.get("id") == name]
    else:
        same = calls[place : place + 1] if function.get("name") else calls[-1:]
    if not same or not function.get("name"):
        return same[-1] if same else None
    last = same[-1]
    if name and last.get("id"):
        return last if last["id"] == name else None
    return None if function.get("arguments") and _is_whole(last) else last


def _is_whole(call: Fields) -> bool:
    try:
        return isinstance(json.loads(str(_fields(call.get("function")).get("arguments") or "")), dict)
    except (json.JSONDecodeError, RecursionError):
        return False


def _fields(tree: object) -> Fields:
    return cast(Fields, tree) if isinstance(tree, dict) else {}


def _list(tree: object) -> list[JsonValue]:
    return cast(list[JsonValue], tree) if isinstance(tree, list) else []
