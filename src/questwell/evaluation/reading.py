"""Reads question, answers and id of a record, under the names and in the formats that published files use."""

import ast
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
            case {"text": str(written)}:
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
    if record.get("is_impossible") is True or record.get("answerable") is False:
        raise LeftOutError("unanswerable")
    reward = record.get("reward_model")
    choices = next((found for value in _given(record, CHOICES) if (found := choices_of(_parsed(value)))), None)
    found = [value if choices is None else chosen(choices, value) for value in _given(record, ANSWERS)]
    if not found and isinstance(reward, dict):
        found = [cast(Record, reward).get("ground_truth")]
    if found and isinstance(found[0], list) and _are_lists(cast(list[object], found[0])):
        raise ValueError(
            "the answer is several lists, all of which may be needed or any: write one list of accepted answers"
        )
    return tuple(text for value in (*found[:1], *_given(record, ALIASES)) for text in texts(value))


def _are_lists(value: list[object]) -> bool:
    return len(value) > 1 and any(isinstance(one, list) for one in value)


def _parsed(value: object) -> object:
    """Return choices that a table cell contains as text."""
    return literal(value) if isinstance(value, str) else value


def id_of(record: Record) -> str:
    """Return the id of a record; empty if it has none."""
    return next((str(value) for value in _given(record, IDS) if isinstance(value, str | int)), "")


def any_of(record: Record, *names: str) -> Any:  # noqa: ANN401  a record is not checked yet
    """Return the first of these fields that has a value, also from `metadata` (FlashRAG); None if none has."""
    metadata = record.get("metadata")
    inside = _given(cast(Record, metadata), names) if isinstance(metadata, dict) else ()
    return next((value for value in (*_given(record, names), *inside)), None)


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
        case str() if value.startswith("[") and value.endswith("]"):
            listed = _listed(value)
            yield from [value] if listed is None else texts(listed)
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
    """Yield the non-empty values of the fields with these names, in any spelling."""
    plain: dict[str, Any] = {}
    for name, value in record.items():
        plain.setdefault(_plain(name), value)
    for name in names:
        value = record.get(name, plain.get(_plain(name)))
        gap = isinstance(value, float) and math.isnan(value)  # pandas writes NaN for a missing value
        if value is not None and value != "" and value != [] and not gap:
            yield value


def _plain(name: object) -> str:
    """Return a field's name in lower case, without zero-width characters and outer spaces, words joined by `_`."""
    return "_".join(unicodedata.normalize("NFKC", str(name)).lower().replace("-", " ").replace("_", " ").split())


def literal(text: str) -> object:
    """Return the value of `text` as a JSON or Python literal; None if it is neither."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None


def _listed(text: str) -> list[object] | None:
    """Return the list of texts that `text` contains in JSON, Python or NumPy syntax; None if it is not a list."""
    if _NUMPY.fullmatch(text):  # Python would join its texts into one
        return [literal(one) for one in _QUOTED.findall(text)]
    value = literal(text)
    if isinstance(value, list) and all(isinstance(one, str) for one in cast(list[object], value)):
        return cast(list[object], value)
    return None
