"""One tolerant reader of JSON in replies: for judges, gates, labels, baselines and staged moves.

Endpoints ignore schemas, and models wrap what they write. Read are an object after a thought or a sentence, in a code
fence, with trailing commas, with more keys than were asked for, and one of several objects. Nothing is guessed: an
object that was cut off is none.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import cast

from questwell.llm.client import Completion, FinishReason
from questwell.llm.speech import spoken

_LONGEST = 200_000
"""Maximum number of characters of a reply that are read."""
_MOST_TRIED = 64
"""Maximum number of braces of a reply that are tried."""
_BRACE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]', re.DOTALL)
_LIKE_JSON = re.compile(r'\{\s*"')
_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)


def json_value(reply: str, key: str) -> object:
    """What a reply says under `key`; None when it says nothing, or when its objects contradict each other.

    A reply that corrects itself has not settled: fail closed.
    """
    found = [tree[key] for tree in json_objects(reply) if key in tree]
    return found[-1] if found and all(one == found[0] for one in found) else None


def json_text(reply: str, key: str) -> str | None:
    """The text under `key`, on one line: a string, or a number as it is written; None when there is neither."""
    return scalar_text(json_value(reply, key))


def scalar_text(value: object) -> str | None:
    """A string on one line, or a number as text; None for anything else."""
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return None


def said(completion: Completion) -> str:
    """The final text of a completion; empty if it was cut off at its length limit."""
    return "" if completion.finish is FinishReason.LENGTH else completion.text


def json_objects(reply: str) -> Iterator[Mapping[str, object]]:
    """The outermost JSON objects in what a reply says, in order; those inside a list too."""
    text = spoken(reply)[:_LONGEST]
    at = text.find("{")
    for _ in range(_MOST_TRIED):
        if at < 0:
            return
        tree, end = _object(text, at)
        if tree is not None:
            yield tree
        elif end is None:
            if _LIKE_JSON.match(text, at):  # it was cut off: what stands inside it is not the reply
                return
            end = at + 1
        at = text.find("{", end)


def _object(text: str, at: int) -> tuple[Mapping[str, object] | None, int | None]:
    """(the object that begins at `at` or None, where its braces close or None)."""
    end = _closing(text, at)
    if end is None:
        return None, None
    piece = text[at:end]
    for candidate in (piece, _COMMA.sub(lambda found: found[1] or "", piece)):
        try:
            tree: object = json.loads(candidate, strict=False)  # a line break inside a string is read
        except (json.JSONDecodeError, RecursionError):
            continue
        return cast(Mapping[str, object], tree), end
    return None, end


def _closing(text: str, at: int) -> int | None:
    """The place after the brace that closes the one at `at`; None when none does."""
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
    """The JSON schema of a reply that is an object of one `key`, whose value has the schema `value`."""
    return json.dumps({"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": False})
