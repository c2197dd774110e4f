"""The key of a call: the same bytes as ever, whatever fields come later, so that old runs are replayed."""

import hashlib
import json
import random
from dataclasses import asdict, fields

from questwell.llm.client import Message, Request, Tool, ToolCall


def slowly(request: Request) -> str:
    """The key as the first versions made it."""
    values = asdict(request)
    for message in values["messages"]:
        for late in ("token_ids", "reasoning", "carry"):
            if not message[late]:
                del message[late]
        for call in message["tool_calls"]:
            if not call["carry"]:
                del call["carry"]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def drawn(rng: random.Random) -> Request:
    """Any request."""
    text = lambda: rng.choice(["", "a", "é\u2028", "x" * 9])  # noqa: E731
    calls = lambda: tuple(ToolCall(text(), text(), text(), text()) for _ in range(rng.randrange(3)))  # noqa: E731
    messages = tuple(
        Message("user", text(), calls(), rng.choice([None, "", "7"]), rng.choice([(), (1, 2)]), text(), text())
        for _ in range(rng.randrange(1, 4))
    )
    chat = rng.random() < 0.8
    return Request(
        messages=messages if chat else (),
        prompt=None if chat else text(),
        max_tokens=rng.choice([0, 64]),
        temperature=rng.choice([0.0, 1.0]),
        stop=rng.choice([(), ("a", "b")]),
        seed=rng.choice([None, 0, 5]),
        schema=rng.choice([None, "", "{}"]),
        tools=tuple(Tool(text(), text(), text()) for _ in range(rng.randrange(2))),
    )


def test_the_key_is_that_of_the_first_versions() -> None:
    rng = random.Random(0)
    requests = [drawn(rng) for _ in range(500)]
    assert [request.digest() for request in requests] == [slowly(request) for request in requests]
    assert len({request.digest() for request in requests}) > 450


def test_every_field_is_part_of_the_key() -> None:
    """A field that is added and left out of the key would replay an answer to another request."""
    whole = Request((Message("user", "q", (ToolCall("1", "f", "{}", "c"),), "1", (3,), "r", "c"),), seed=1)
    changed = {"messages": (Message("user", "other"),), "max_tokens": 3, "temperature": 0.5, "stop": ("x",), "seed": 2}
    changed |= {"schema": "{}", "tools": (Tool("a", "b", "{}"),)}
    names = {one.name for one in fields(Request)} - {"prompt"}
    assert names == set(changed)
    keys = {
        Request(**{**{name: getattr(whole, name) for name in names}, name: changed[name]}).digest() for name in names
    }
    assert len(keys | {whole.digest()}) == len(names) + 1
    said = {"role": "tool", "content": "w", "tool_calls": (), "tool_call_id": "2", "token_ids": (4,), "reasoning": "s"}
    said |= {"carry": "d"}
    message = whole.messages[0]
    assert {one.name for one in fields(Message)} == set(said)
    parts = {name: getattr(message, name) for name in said}
    keys = {Request((Message(**{**parts, name: said[name]}),), seed=1).digest() for name in said}
    assert len(keys | {whole.digest()}) == len(said) + 1
