"""The changes that can be made to a request after an endpoint refused it, each by its name.

A change is a line such as `omit stop`: a verb and its arguments. `adapting.py` picks the change for a refusal.
"""

import hashlib
from collections.abc import Callable
from typing import cast

from pydantic import JsonValue

Body = dict[str, JsonValue]

CAPS = ("max_tokens", "max_completion_tokens")
BOUNDS = frozenset({"maxLength", "minLength", "maxItems", "minItems", "minimum", "maximum", "pattern", "format"})
NO_TEXT = "(no text)"
"""Text sent in place of an empty message to endpoints that accept none."""


def is_change(line: str) -> bool:
    """Whether `line` is a change that this version knows."""
    return line.split()[0] in _APPLY


def change(body: Body, line: str) -> None:
    """Apply the change `line` to `body`."""
    verb, *names = line.split()
    _APPLY[verb](body, names)


def _omit(body: Body, names: list[str]) -> None:
    body.pop(names[0], None)


def _rename(body: Body, names: list[str]) -> None:
    if names[0] in body:
        body[names[1]] = body.pop(names[0])


def _cap(body: Body, names: list[str]) -> None:
    for name in CAPS:
        if isinstance(asked := body.get(name), int):
            body[name] = min(asked, int(names[0]))


def _schema(body: Body, names: list[str]) -> None:
    form = body.get("response_format")
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        return
    if names[0] == "without":
        body["response_format"] = without_bounds(form)
    else:
        body["response_format"] = {"type": "json_object"}


def _merge(body: Body, names: list[str]) -> None:
    messages = [dict(message) for message in messages_of(body)]
    if names[0] == "system":
        system = "\n\n".join(str(m["content"]) for m in messages if m["role"] in ("system", "developer"))
        messages = [m for m in messages if m["role"] not in ("system", "developer")]
        if system and messages and messages[0]["role"] == "user":
            messages[0]["content"] = f"{system}\n\n{messages[0]['content']}"
        elif system:
            messages.insert(0, {"role": "user", "content": system})
    else:
        merged: list[Body] = []
        for message in messages:
            if merged and message["role"] == "user" and merged[-1]["role"] in ("user", "tool"):
                merged[-1]["content"] = f"{merged[-1]['content']}\n\n{message['content']}"
            else:
                merged.append(message)
        messages = merged
    body["messages"] = cast(JsonValue, messages)


def _stream(body: Body, names: list[str]) -> None:
    body["stream"] = True
    body.setdefault("stream_options", {"include_usage": True})


def _choose(body: Body, names: list[str]) -> None:
    if "tools" in body:
        body["tool_choice"] = names[0]


def _fill(body: Body, names: list[str]) -> None:
    messages = [dict(message) for message in messages_of(body)]
    if names[0] == "empty":
        _fill_empty(messages)
    elif names[0] == "names":
        _fill_names(messages)
    for message in messages if names[0] == "content" else ():
        if message.get("content") is None:
            message["content"] = ""
    body["messages"] = cast(JsonValue, messages)


def _fill_empty(messages: list[Body]) -> None:
    for message in messages:
        if message.get("content") == "" or ("content" in message and message["content"] is None):
            message["content"] = None if message.get("tool_calls") else NO_TEXT


def _fill_names(messages: list[Body]) -> None:
    """Put the name of the called function into each result."""
    called: dict[JsonValue, JsonValue] = {}
    for message in messages:
        for call in cast(list[Body], message.get("tool_calls") or []):
            called[call["id"]] = cast(Body, call["function"])["name"]
        if (name := called.get(message.get("tool_call_id"))) is not None:
            message["name"] = name


def _shorten(body: Body, names: list[str]) -> None:
    """Replace each call id by nine letters and digits; equal ids stay equal."""
    messages = [dict(message) for message in messages_of(body)]
    for message in messages:
        if isinstance(message.get("tool_call_id"), str):
            message["tool_call_id"] = short_id(str(message["tool_call_id"]))
        if calls := cast(list[Body], message.get("tool_calls") or []):
            message["tool_calls"] = [{**call, "id": short_id(str(call["id"]))} for call in calls]
    body["messages"] = cast(JsonValue, messages)


def short_id(name: str) -> str:
    """`name` if it has nine letters and digits, otherwise nine that are the same for each `name`."""
    if len(name) == 9 and name.isascii() and name.isalnum():
        return name
    return hashlib.sha256(name.encode()).hexdigest()[:9]


def _nothing(body: Body, names: list[str]) -> None:
    """Change nothing here: `openai.py` puts thoughts into the messages when it writes them."""


_APPLY: dict[str, Callable[[Body, list[str]], None]] = {
    "omit": _omit,
    "rename": _rename,
    "cap": _cap,
    "schema": _schema,
    "merge": _merge,
    "stream": _stream,
    "choose": _choose,
    "fill": _fill,
    "shorten": _shorten,
    "send": _nothing,
}


def without_bounds(tree: JsonValue) -> JsonValue:
    """A JSON schema without the bounds that some endpoints refuse in strict schemas."""
    if isinstance(tree, dict):
        return {key: without_bounds(value) for key, value in tree.items() if key not in BOUNDS}
    return [without_bounds(one) for one in tree] if isinstance(tree, list) else tree


def messages_of(body: Body) -> list[Body]:
    """The messages of a chat request; an empty list for a plain completion."""
    return cast(list[Body], body.get("messages") or [])
