"""Reads question, answers and id of a record, under the names and in the formats that published files use."""

import ast
import datetime
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from questwell.evaluation.choices import LeftOutError, choices_of, chosen
from questwell.evaluation.records import Record

QUESTIONS = (
    "question",
    "problem",
    "query",
    "prompt",
    "question_text",
    "user_input",
    "input",
    "问题",
    "問題",
    "messages",
)
ANSWERS = (
    *("answers", "golden_answers", "gold_answers", "possible_answers", "answer", "final_answer", "gold_answer"),
    *("correct_answer", "reference_answer", "expected_answer", "ground_truth", "output", "答案"),
    *("expected_output", "reference", "best_answer", "answerkey", "answer_key", "answer_letter", "answer_idx"),
)
"""KILT has `input` and `output`, Ragas `user_input` and `reference`, DeepEval `input` and `expected_output`; 问题
and 答案 are question and answer in Chinese."""
ALIASES = ("answer_aliases", "aliases")
CHOICES = ("choices", "options")
IDS = ("id", "_id", "qid", "question_id", "questionid", "task_id", "query_id", "example_id")
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_NUMPY = re.compile(rf"\[\s*(?:{_QUOTED.pattern})(?:\s+(?:{_QUOTED.pattern}))+\s*\]")
"""Pattern of `['a' 'b']`, as pandas writes an array into a cell."""
_ARRAY = re.compile(r"\barray\((\[[^\[\]]*\])(?:,\s*dtype=[^()]*)?\)")
"""Pattern of an array within an object, as pandas writes it into a cell."""
_EXACT = 2**53
TEXTS = ("text", "value", "target", "answer", "aliases", "answer_aliases")
"""Keys of an answer object: SQuAD's `text`, TriviaQA's `value` and `aliases`, Search-R1's `target`."""


def question_of(record: Record) -> str:
    """Return the question, which may be empty. verl's rows have it in `extra_info` or the user's message.

    Raises:
        KeyError: the record has no question field.
    """
    extra = record.get("extra_info")
    if isinstance(extra, dict) and isinstance(cast(Record, extra).get("question"), str):
        return str(cast(Record, extra)["question"])
    if task := next(_given(record, ("instruction",)), ""):  # Alpaca: instruction and its input
        return "\n".join(str(part) for part in (task, *_given(record, QUESTIONS)) if isinstance(part, str))
    for value in _given(record, QUESTIONS):
        match value:
            case str():
                return value
            case bytes():
                return value.decode()
            case {"text": str(written)} | {"stem": str(written)} | [str(written)]:  # CommonsenseQA has a stem
                return written
            case list():
                return _said(cast(list[Record], value))
            case _:
                pass
    if any(_plain(name) in QUESTIONS for name in record):
        return ""
    raise KeyError("question")


def _said(messages: list[Record]) -> str:
    """Return the user's last message.

    Raises:
        LeftOutError: the message includes an image or other non-text content.
    """
    content = [one for one in messages if one.get("role") == "user"][-1]["content"]
    if isinstance(content, str):
        return content
    parts = cast(list[Record], content)
    if any(part.get("type", "text") != "text" for part in parts):
        raise LeftOutError("needs more than text")
    return "\n".join(str(part["text"]) for part in parts)


def answers_of(record: Record) -> tuple[str, ...]:
    """Return the answers in order, then the aliases; empty if there are none.

    A truth value becomes yes or no. The answer to a multiple-choice question is the text of the choice.

    Raises:
        LeftOutError: the record has no published answer, or several choices are right.
        ValueError: the answer does not match a choice, or consists of several lists.
    """
    if _said_as(record.get("is_impossible"), "true") or _said_as(record.get("answerable"), "false"):
        raise LeftOutError("unanswerable")
    spans = record.get("answers")
    if isinstance(spans, dict) and "answer_start" in spans and is_hollow(cast(Record, spans)):
        raise LeftOutError("unanswerable")  # SQuAD 2.0 on the hub
    reward = record.get("reward_model")
    inside = record.get("question")
    given = (
        *_everywhere(record, CHOICES),
        *(_given(cast(Record, inside), CHOICES) if isinstance(inside, dict) else ()),
    )
    choices = next((found for value in given if (found := choices_of(_parsed(value)))), None)
    found = [
        _cell(value, 2 if name.endswith("answers") else None) if choices is None else chosen(choices, _cell(value, 1))
        for name, value in _named(record, ANSWERS)
    ]
    if not found and isinstance(reward, dict):
        found = [cast(Record, reward).get("ground_truth")]
    if found and isinstance(found[0], list) and _are_lists(cast(list[object], found[0])):
        raise ValueError(
            "the answer is several lists, all of which may be needed or any: write one list of accepted answers"
        )
    return tuple(text for value in (*found[:1], *_given(record, ALIASES)) for text in texts(value))


def _are_lists(value: list[object]) -> bool:
    return len(value) > 1 and any(isinstance(one, list) for one in value)


def _said_as(value: object, word: str) -> bool:
    """Return whether a truth value, or its text in a table, is the one that `word` says."""
    return isinstance(value, bool | str) and str(value).strip().lower() == word


def _parsed(value: object) -> object:
    """Return choices that a table cell contains as text."""
    return literal(value) if isinstance(value, str) else value


def id_of(record: Record) -> str:
    """Return the id of a record; empty if it has none."""
    value = next((value for value in _given(record, IDS) if isinstance(value, str | int | float | bytes)), "")
    return value if isinstance(value, str) else next(texts(value))


def any_of(record: Record, *names: str) -> Any:  # noqa: ANN401  a record is not checked yet
    """Return the first of these fields that has a value, also from `metadata` (FlashRAG); None if none has."""
    return next(_everywhere(record, names), None)


def _everywhere(record: Record, names: Iterable[str]) -> Iterator[Any]:
    """Yield as `_given`, then those in `metadata`."""
    yield from _given(record, names)
    if isinstance(metadata := record.get("metadata"), dict):
        yield from _given(cast(Record, metadata), names)


def texts(value: object) -> Iterator[str]:
    """Yield the texts in an answer of any format, including lists written as text (PopQA, DPR)."""
    match value:
        case None:
            return
        case bool():
            yield "yes" if value else "no"
        case float() if value.is_integer() and abs(value) < _EXACT:  # pandas reads integers with gaps as floats
            yield str(int(value))
        case bytes():
            yield value.decode()
        case datetime.datetime() if value.time() == datetime.time():  # pandas writes dates so
            yield value.date().isoformat()
        case str():
            cell = _cell(value)
            yield from [value] if isinstance(cell, str) else texts(cell)
        case list() | tuple():
            for one in cast(Iterable[object], value):
                yield from texts(one)
        case dict():
            held = {str(key).lower(): one for key, one in cast(Mapping[object, object], value).items()}
            for key in TEXTS:
                yield from texts(held.get(key))
        case _:
            yield str(value)


def _given(record: Record, names: Iterable[str]) -> Iterator[Any]:
    """Yield the values of the fields with these names, in any spelling, that hold something."""
    return (value for _, value in _named(record, names))


def _named(record: Record, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield as `_given`, with the name of each."""
    plain: dict[str, Any] = {}
    for name, value in record.items():
        plain.setdefault(_plain(name), value)
    for name in names:
        value = record.get(name, plain.get(_plain(name)))
        if not is_hollow(value):
            yield name, value


def is_hollow(value: object) -> bool:
    """Return whether a value holds nothing: blank, NaN as pandas writes a gap, or a list or object of such values."""
    match value:
        case None:
            return True
        case str():
            return not value.strip()
        case float():
            return math.isnan(value)
        case list():
            return all(map(is_hollow, cast(list[object], value)))
        case dict():
            return all(map(is_hollow, cast(Mapping[object, object], value).values()))
        case _:
            return False


def _plain(name: object) -> str:
    """Return a field's name in lower case, without zero-width characters and outer spaces, words joined by `_`."""
    return "_".join(unicodedata.normalize("NFKC", str(name)).lower().replace("-", " ").replace("_", " ").split())


def literal(text: str) -> object:
    """Return the value of `text` as a JSON or Python literal, with arrays as lists; None if it is neither."""
    text = _ARRAY.sub(r"\1", text)
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None


def _cell(value: object, numbers: int | None = None) -> object:
    """Return the list or object that a table's cell contains in JSON, Python or NumPy syntax; else `value` itself.

    An object that is no answer stays as it is, and so does "[1]", which may be an answer.

    Args:
        value: the cell, or a value of another file.
        numbers: minimum length of a list without any text; None: it stays as it is.

    Raises:
        ValueError: pandas wrote an array in it that cannot be read back.
    """
    text = value.strip() if isinstance(value, str) else ""
    if not text.startswith(("[", "{", "array(")) or not text.endswith(("]", "}", ")")):
        return value
    if _NUMPY.fullmatch(text):  # Python would join its texts into one
        return [literal(one) for one in _QUOTED.findall(text)]
    found = literal(text)
    if found is None and "array(" in text:
        raise ValueError("an answer is an array as pandas writes it, which cannot be read back: use JSON or parquet")
    if isinstance(found, list):
        listed = cast(list[object], found)
        long = numbers is not None and len(listed) >= numbers
        return listed if not listed or long or any(isinstance(one, str | list | dict) for one in listed) else value
    if isinstance(found, dict) and {str(key).lower() for key in cast(Record, found)} & {*TEXTS}:
        return cast(Record, found)
    return value
