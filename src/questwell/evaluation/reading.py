"""Question, answers and id of a record, under the names and in the shapes that published files have them."""

import ast
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from questwell.evaluation.records import Record

QUESTIONS = ("question", "problem", "query", "prompt", "question_text", "user_input", "input", "问题", "問題")
ANSWERS = (
    *("answers", "golden_answers", "gold_answers", "possible_answers", "answer", "final_answer", "gold_answer"),
    *("correct_answer", "reference_answer", "expected_answer", "ground_truth", "output", "答案"),
    *("expected_output", "reference"),
)
"""KILT has `input` and `output`, Ragas `user_input` and `reference`, DeepEval `input` and `expected_output`; 问题
and 答案 are question and answer in Chinese."""
ALIASES = ("answer_aliases", "aliases")
CHOICES = ("choices", "options")
IDS = ("id", "_id", "qid", "question_id", "questionid", "task_id", "query_id", "example_id")
TEXTS = ("text", "value", "target", "answer", "aliases", "answer_aliases")
"""Keys of an object that is an answer: SQuAD's `text`, TriviaQA's `value` and `aliases`, Search-R1's `target`."""


def question_of(record: Record) -> str:
    """The question, empty if its field is; of verl's rows the one in `extra_info`, else the user's message.

    Raises:
        KeyError: there is none.
    """
    extra = record.get("extra_info")
    if isinstance(extra, dict) and isinstance(cast(Record, extra).get("question"), str):
        return str(cast(Record, extra)["question"])
    for value in _given(record, QUESTIONS):
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            said = [one for one in cast(list[Record], value) if one.get("role") == "user"]
            return str(said[-1]["content"])
    if any(_plain(name) in QUESTIONS for name in record):
        return ""
    raise KeyError("question")


def answers_of(record: Record) -> tuple[str, ...]:
    """The answers, the first given first, aliases after them; none if none is given.

    A truth value is yes or no.
    """
    reward = record.get("reward_model")
    found = [_chosen(record, value) for value in _given(record, ANSWERS)]
    if not found and isinstance(reward, dict):
        found = [cast(Record, reward).get("ground_truth")]
    return tuple(text for value in (*found[:1], *_given(record, ALIASES)) for text in texts(value))


def id_of(record: Record) -> str:
    """The id; empty if there is none."""
    return next((str(value) for value in _given(record, IDS) if isinstance(value, str | int)), "")


def any_of(record: Record, *names: str) -> Any:  # noqa: ANN401  a record is not checked yet
    """The first of these fields that is given, also in the record's `metadata` (FlashRAG); None: none is."""
    metadata = record.get("metadata")
    inside = _given(cast(Record, metadata), names) if isinstance(metadata, dict) else ()
    return next((value for value in (*_given(record, names), *inside)), None)


def texts(value: object) -> Iterator[str]:
    """The texts in an answer, whatever holds them; a list written as a text (PopQA, DPR) too."""
    match value:
        case None:
            return
        case bool():
            yield "yes" if value else "no"
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
    """Values of the fields with these names, however written, that hold anything."""
    plain: dict[str, Any] = {}
    for name, value in record.items():
        plain.setdefault(_plain(name), value)
    for name in names:
        value = record.get(name, plain.get(_plain(name)))
        if value is not None and value != "" and value != []:
            yield value


def _chosen(record: Record, answer: object) -> object:
    """Of a question with choices, the choice that `answer` names by its place or its letter; else `answer` itself."""
    lists = [cast(list[object], value) for value in _given(record, CHOICES) if isinstance(value, list)]
    if not lists or isinstance(answer, bool):
        return answer
    listed = lists[0]
    if isinstance(answer, str) and len(answer) == 1 and answer not in listed:
        at = ord(answer.upper()) - ord("A")
    else:
        at = answer if isinstance(answer, int) and answer not in listed else -1
    return listed[at] if 0 <= at < len(listed) else answer


def _plain(name: object) -> str:
    """A field's name in small letters, without marks of width and outer spaces, `_` between its words."""
    return "_".join(unicodedata.normalize("NFKC", str(name)).lower().replace("-", " ").replace("_", " ").split())


def literal(text: str) -> object:
    """The value that `text` writes as JSON or as Python does; None: it is none."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None


def _listed(text: str) -> list[object] | None:
    """The list of texts that `text` writes as JSON or as Python does; None: it is none."""
    value = literal(text)
    if isinstance(value, list) and all(isinstance(one, str) for one in cast(list[object], value)):
        return cast(list[object], value)
    return None
