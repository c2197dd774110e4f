"""The functions that an agent may call, and a call read as a move."""

import json
from typing import cast

from pydantic import BaseModel

from questwell.agents.moves import Finish, Malformed, Move, Search
from questwell.agents.textcalls import clean_name
from questwell.llm.client import Tool, ToolCall
from questwell.llm.json_replies import scalar_text


class _Search(BaseModel):
    """Search the corpus."""

    query: str


class _Answer(BaseModel):
    """End with the short answer."""

    answer: str


class _Step(BaseModel):
    query: str
    answer: str
    passage: int | None = None


class _Propose(BaseModel):
    """End with the question, its short answer and the answering steps."""

    question: str
    answer: str
    steps: list[_Step] = []


_CALLS: dict[str, type[_Search] | type[_Answer] | type[_Propose]] = {
    "search": _Search,
    "answer": _Answer,
    "propose": _Propose,
}


def ending(*, proposing: bool) -> str:
    """The function that ends a dialogue."""
    return "propose" if proposing else "answer"


def tools(*, proposing: bool) -> tuple[Tool, ...]:
    """The functions of a role."""
    return tuple(
        Tool(name, _CALLS[name].__doc__ or "", json.dumps(_CALLS[name].model_json_schema()))
        for name in ("search", ending(proposing=proposing))
    )


def read_call(call: ToolCall, *, proposing: bool) -> Move:
    """A function call as a move. Numbers pass for text where text is wanted; nothing else is guessed."""
    name, end = clean_name(call.name), ending(proposing=proposing)

    def malformed(problem: str) -> Malformed:
        return Malformed(problem, name, call.arguments)

    if name not in ("search", end):
        return malformed(f"There is no function {name!r}. Call search or {end}.")
    try:
        tree: object = json.loads(call.arguments, strict=False)
    except (json.JSONDecodeError, RecursionError) as error:
        return malformed(f"The arguments of {name} are no JSON ({error}). Call it again with one JSON object.")
    if not isinstance(tree, dict):
        return malformed(f"The arguments of {name} must be one JSON object. Call it again.")
    fields = cast(dict[str, object], tree)
    if name == "search":
        query, *others = _texts(fields.get("query", fields.get("queries"))) or ("",)
        return Search(query, tuple(others)) if query else malformed(_empty("search", "query"))
    answer = scalar_text(fields.get("answer"))
    if not answer:
        return malformed(_empty(name, "answer"))
    if not proposing:
        return Finish(answer)
    question = fields.get("question")
    if not isinstance(question, str) or not question.strip():
        return malformed(_empty(name, "question"))
    steps = fields.get("steps")
    return Finish(answer, question.strip(), _steps(cast(list[object], steps) if isinstance(steps, list) else []))


def _empty(name: str, argument: str) -> str:
    return f"The argument {argument!r} of {name} is missing, empty or no text. Call {name} again."


def _texts(value: object) -> list[str]:
    """A text, or those of a list: some models send several queries in one call."""
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
