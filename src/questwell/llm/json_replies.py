"""One tolerant reader of JSON in replies: for judges, gates, labels, baselines and staged moves.

Endpoints ignore schemas, and models wrap their JSON. We accept an object after a thought or a sentence, in a code
fence, with trailing commas, with more keys than requested, and several objects. Nothing is guessed: an object that was
cut off is not read.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import cast

from questwell.llm.client import Completion, FinishReason
from questwell.llm.speech import spoken
from questwell.text.files import mended

_LONGEST = 200_000
"""Maximum number of characters of a reply that are read; the rest is ignored."""
_MOST_TRIED = 64
"""Maximum number of opening braces at which we try to read an object."""
_BRACE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]', re.DOTALL)
_LIKE_JSON = re.compile(r'\{\s*"')
_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)


def json_value(reply: str, key: str) -> object:
    """The value of `key` in a reply; None if no object has the key, or if objects contradict each other.

    A reply that contradicts itself gives no answer: this fails closed.
    """
    found = [tree[name] for tree in json_objects(reply) if (name := _named(tree, key)) is not None]
    return found[-1] if found and all(one == found[0] for one in found) else None


def _named(tree: Mapping[str, object], key: str) -> str | None:
    """The name of `key` in an object, which a model may have written as "Answer"; None if it is not there once."""
    if key in tree:
        return key
    alike = [name for name in tree if name.strip().casefold() == key]
    return alike[0] if len(alike) == 1 else None


def json_text(reply: str, key: str) -> str | None:
    """The value of `key` as text on one line, if it is a string or a number; otherwise None."""
    return scalar_text(json_value(reply, key))


def scalar_text(value: object) -> str | None:
    """A string or number as text on one line; None for any other value."""
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return None


def said(completion: Completion) -> str:
    """The final text of a completion; empty if it was cut off at its length limit."""
    return "" if completion.finish is FinishReason.LENGTH else completion.text


def json_objects(reply: str) -> Iterator[Mapping[str, object]]:
    """The outermost JSON objects in a reply, thoughts left out, in order. Objects inside a list are included."""
    text = spoken(reply)[:_LONGEST]
    at = text.find("{")
    for _ in range(_MOST_TRIED):
        if at < 0:
            return
        tree, end = _object(text, at)
        if tree is not None:
            yield tree
        elif end is None:
            if _LIKE_JSON.match(text, at):  # it was cut off, and objects inside it are not the reply
                return
            end = at + 1
        at = text.find("{", end)


def _object(text: str, at: int) -> tuple[Mapping[str, object] | None, int | None]:
    """(the object that begins at `at`, the index after its closing brace); None for what does not exist."""
    end = _closing(text, at)
    if end is None:
        return None, None
    piece = text[at:end]
    for candidate in (piece, _COMMA.sub(lambda found: found[1] or "", piece)):
        try:
            tree = mended(
                json.loads(candidate, strict=False), candidate
            )  # strict=False accepts a line break in a string
        except (json.JSONDecodeError, RecursionError):
            continue
        return cast(Mapping[str, object], tree), end
    return None, end


def _closing(text: str, at: int) -> int | None:
    """Index after the brace that closes the one at `at`; None if it is never closed."""
    depth = 0
    for found in _BRACE.finditer(text, at):
        if found[0] == "{":
            depth += 1
        elif found[0] == "}":
            depth -= 1
            if depth == 0:
                return found.end()
    return None


def schema_of(key: str, value: Mapping[str, object]) -> str:
    """JSON schema of an object with the one key `key`, whose value has the schema `value`."""
    return json.dumps({"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": False})
