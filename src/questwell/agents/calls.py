"""Defines the functions that an agent may call, and reads a call as a move."""

import json
import re
from dataclasses import replace
from typing import Literal, cast

from pydantic import BaseModel

from questwell.agents.moves import Derived, Find, Finish, Malformed, Move, Open, Reader, Search
from questwell.agents.textcalls import clean_name
from questwell.llm.client import Tool, ToolCall
from questwell.llm.json_replies import scalar_text
from questwell.text.files import mended
from questwell.types.derivation import Operation


class _Search(BaseModel):
    """Search the corpus."""

    query: str


class _Open(BaseModel):
    """Read the whole document of a passage that you were shown, page by page."""

    passage: int
    page: int = 1


class _Find(BaseModel):
    """Search inside the document of a passage that you were shown."""

    passage: int
    query: str


class _Answer(BaseModel):
    """End with the short answer."""

    answer: str


class _Step(BaseModel):
    query: str
    answer: str
    passage: int | None = None


class _Operand(BaseModel):
    words: str
    passage: int


class _Propose(BaseModel):
    """End with the question, its short answer and the answering steps."""

    question: str
    answer: str
    steps: list[_Step] = []
    operation: Literal["count", "difference", "order", "sum"] | None = None
    operands: list[_Operand] = []


_CALLS: dict[str, type[BaseModel]] = {
    "search": _Search,
    "open": _Open,
    "find": _Find,
    "answer": _Answer,
    "propose": _Propose,
}


def ending(*, proposing: bool) -> str:
    """The function that ends a dialogue."""
    return "propose" if proposing else "answer"


def tools(*, proposing: bool, readers: tuple[Reader, ...] = (), searching: bool = True) -> tuple[Tool, ...]:
    """The functions of a role, including the document tools `readers`; without `searching` only the ending one."""
    end = ending(proposing=proposing)
    return tuple(
        Tool(name, _CALLS[name].__doc__ or "", json.dumps(_CALLS[name].model_json_schema()))
        for name in (("search", *readers, end) if searching else (end,))
    )


def read_call(call: ToolCall, *, proposing: bool, readers: tuple[Reader, ...] = ()) -> Move:
    """A function call as a move. A number is accepted where text is expected; nothing else is guessed."""
    name, end = clean_name(call.name), ending(proposing=proposing)

    def malformed(problem: str) -> Malformed:
        return Malformed(problem, name, call.arguments)

    if name not in ("search", *readers, end):
        return malformed(f"There is no function {name!r}. Call {', '.join(('search', *readers))} or {end}.")
    try:
        tree = _decoded(call.arguments)
    except (json.JSONDecodeError, RecursionError) as error:
        return malformed(f"The arguments of {name} are no JSON ({error}). Call it again with one JSON object.")
    if not isinstance(tree, dict):
        return malformed(f"The arguments of {name} must be one JSON object. Call it again.")
    fields = cast(dict[str, object], tree)
    if name == "search":
        query, *others = _texts(fields.get("query", fields.get("queries"))) or ("",)
        return Search(query, tuple(others)) if query else malformed(_empty("search", "query"))
    if name in ("open", "find"):
        return read_reading(name, fields.get("passage"), fields.get("page"), fields.get("query")) or malformed(
            f"{name} wants the number of a passage that you were shown{' and a query' if name == 'find' else ''}."
        )
    answer = scalar_text(fields.get("answer"))
    if not answer:
        return malformed(_empty(name, "answer"))
    if not proposing:
        return Finish(answer)
    question = fields.get("question")
    if not isinstance(question, str) or not question.strip():
        return malformed(_empty(name, "question"))
    read = _steps(_listed(fields.get("steps")))
    return Finish(answer, question.strip(), read, derived=_derived(fields.get("operation"), fields.get("operands")))


def sendable(call: ToolCall) -> ToolCall:
    """`call` as servers accept it in the history, which they check: a name of letters, and an object as arguments.

    What can be read is kept; a name loses its stray characters, and other arguments become an empty object.
    """
    name = call.name
    if not _NAME.fullmatch(name):
        name = re.sub(r"[^a-zA-Z0-9_-]", "_", clean_name(name))[:_LONGEST_NAME] or "_"
    try:
        tree = _decoded(call.arguments)
    except (json.JSONDecodeError, RecursionError):
        tree = None
    if not isinstance(tree, dict):
        return replace(call, name=name, arguments="{}")
    if _is_strict(call.arguments):
        return replace(call, name=name)
    return replace(call, name=name, arguments=json.dumps(tree, ensure_ascii=False))


_LONGEST_NAME = 64
_NAME = re.compile(rf"[a-zA-Z0-9_-]{{1,{_LONGEST_NAME}}}")


def _is_strict(arguments: str) -> bool:
    """Whether `arguments` are an object for any reader: no NaN, raw line break or half character, not encoded twice."""
    try:
        tree: object = json.loads(arguments, parse_constant=_refuse)
        return isinstance(tree, dict) and mended(cast(object, tree), arguments) == tree
    except (ValueError, RecursionError):
        return False


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _decoded(arguments: str) -> object:
    """The value of JSON text; some parsers of calls encode an object twice, so a text inside is read again."""
    tree: object = json.loads(arguments, strict=False, parse_constant=_unknown)
    if isinstance(tree, str) and tree.lstrip().startswith("{"):
        return _decoded(tree)
    return mended(tree, arguments)


def _unknown(constant: str) -> None:
    """Nothing, in place of NaN and Infinity."""


def _listed(value: object) -> list[object]:
    """A list, also one that the server's parser left as JSON text (vLLM, if the schema has references)."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value, strict=False)
        except (json.JSONDecodeError, RecursionError):
            return []
    return cast(list[object], value) if isinstance(value, list) else []


def _derived(operation: object, operands: object) -> Derived | None:
    """The derivation in the arguments; None if they name no operation."""
    if not isinstance(operation, str) or operation not in set(Operation):
        return None
    found: list[tuple[str, int | None]] = []
    for operand in _listed(operands):
        fields = cast(dict[str, object], operand) if isinstance(operand, dict) else {}
        said, number = (scalar_text(fields.get(key)) or "" for key in ("words", "passage"))
        digits = number.strip("[] ")
        found.append((said, int(digits) if digits.isdecimal() else None))
    return Derived(operation, tuple(found))


def read_reading(name: str, passage: object, page: object, query: object) -> Open | Find | None:
    """The move of a document tool; None if its arguments cannot be read."""
    numbers = [re.search(r"\d{1,6}", scalar_text(value) or "") for value in (passage, page)]
    if numbers[0] is None:
        return None
    if name == "open":
        return Open(int(numbers[0][0]), int(numbers[1][0]) if numbers[1] else 1)
    asked = scalar_text(query)
    return Find(int(numbers[0][0]), asked) if asked else None


def _empty(name: str, argument: str) -> str:
    return f"The argument {argument!r} of {name} is missing, empty or no text. Call {name} again."


def _texts(value: object) -> list[str]:
    """A text as a list, or the texts of a list: some models send several queries in one call."""
    values = cast(list[object], value) if isinstance(value, list) else [value]
    return [one.strip() for one in values if isinstance(one, str) and one.strip()]


def _steps(steps: list[object]) -> tuple[tuple[str, str, int | None], ...]:
    found: list[tuple[str, str, int | None]] = []
    for step in steps:
        fields = cast(dict[str, object], step) if isinstance(step, dict) else {}
        said = [scalar_text(fields.get(key)) or "" for key in ("query", "answer", "passage")]
        digits = said[2].strip("[] ")
        if said[0] or said[1]:
            found.append((said[0], said[1], int(digits) if digits.isdecimal() else None))
    return tuple(found)
