"""Multiple-choice questions: reads choices in the formats of published files, and finds the one an answer names."""

import re
from collections.abc import Mapping
from string import ascii_uppercase
from typing import Any, cast

from questwell.errors import BenchmarkError

_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")
_PREFIX = re.compile(r"\(?([A-Z])[).:]\s+(.*\S)", re.DOTALL)
_LABELS = ("key", "label", "letter", "id")
_TEXTS = ("value", "text", "content", "option", "choice")


class LeftOutError(BenchmarkError):
    """A question that cannot be scored, although its file is not at fault."""


def choices_of(value: object) -> list[tuple[str, str]]:
    """Return (label, text) of each choice; empty if `value` contains none.

    `value` may be a list of texts or objects, an object by letter (MedQA), or an object of labels and texts (ARC).
    """
    if isinstance(value, Mapping):
        held = cast(Mapping[str, Any], value)
        texts, labels = held.get("text"), held.get("label")
        if isinstance(texts, list) and isinstance(labels, list):
            return list(zip(map(str, cast(list[object], labels)), map(str, cast(list[object], texts)), strict=False))
        return [(str(key), str(one)) for key, one in held.items() if isinstance(one, str | int | float)]
    listed = cast(list[object], value) if isinstance(value, list) else []
    if listed and all(isinstance(one, Mapping) for one in listed):
        objects = cast(list[Mapping[str, Any]], listed)
        return [
            (_first(one, _LABELS) or ascii_uppercase[at % 26], _first(one, _TEXTS)) for at, one in enumerate(objects)
        ]
    found = [(ascii_uppercase[at % 26], str(one)) for at, one in enumerate(listed)]
    prefixed = [_PREFIX.fullmatch(text) for _, text in found]
    if found and all(one is not None and one[1] == label for one, (label, _) in zip(prefixed, found, strict=True)):
        return [(label, one[2]) for one, (label, _) in zip(prefixed, found, strict=True) if one is not None]
    return found


def chosen(choices: list[tuple[str, str]], answer: object) -> object:
    """Return the text of the choice that `answer` names by label or index from 0; else `answer` itself.

    Raises:
        LeftOutError: no answer is published, or several choices are right.
        ValueError: there is no such choice.
    """
    if isinstance(answer, list):
        several = cast(list[object], answer)
        named = [chosen(choices, one) for one in several]
        if len(several) > 1 and named != several:
            raise LeftOutError("several choices are right")
        return named
    if isinstance(answer, bool) or not isinstance(answer, str | int):
        return answer
    texts = [text for _, text in choices]
    written = str(answer).strip()
    if written in texts:
        return written
    letter = _LETTER.fullmatch(written)
    label = letter[1].upper() if letter else written
    by_label = {name.upper(): text for name, text in choices}
    if label in by_label:
        return by_label[label]
    if written.isdecimal() and int(written) < len(texts):
        return texts[int(written)]
    if written == "-1":
        raise LeftOutError("no answer published")
    if letter or written.isdecimal():
        raise ValueError(f"the answer {written!r} names none of the {len(choices)} choices")
    return answer


def _first(value: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((str(value[name]) for name in names if value.get(name) is not None), "")
