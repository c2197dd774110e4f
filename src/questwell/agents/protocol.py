"""Writes and reads the messages of a dialogue, as tags in plain text or as function calls. Both give the same moves.

Only the model's own message is parsed, never the prompt or an observation.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from questwell.agents.calls import ending, read_call, read_reading, sendable, tools
from questwell.agents.derived import read_derived
from questwell.agents.moves import Finish, Malformed, Move, Reader, Search
from questwell.agents.textcalls import text_calls
from questwell.agents.tools import TAGS
from questwell.llm.client import Completion, FinishReason, Message, Request
from questwell.llm.speech import Heard, hear


@dataclass(frozen=True, slots=True)
class Sampling:
    """Settings for sampling one model message."""

    max_tokens: int = 8192
    """Maximum number of tokens of a message, thoughts included."""
    temperature: float = 1.0


class Dialect(Protocol):
    """A way to write moves in messages."""

    @property
    def rules(self) -> str:
        """Instructions for the prompt on how to write a move."""
        ...

    def request(self, dialogue: Sequence[Message], sampling: Sampling, seed: int) -> Request:
        """The request for the next message."""
        ...

    def read(self, completion: Completion) -> tuple[str, Move]:
        """(the message as it is recorded, its move)."""
        ...

    def reply(self, text: str, completion: Completion, observation: str) -> tuple[Message, ...]:
        """The model's message and what it is shown, to append to the dialogue."""
        ...


_CLOSERS = ("</search>", "</answer>", "</steps>")


@dataclass(frozen=True, slots=True)
class Tags:
    """`<think> <search> <information> <answer>` of Search-R1, and `<question> <answer> <steps>` for proposals.

    With `readers` also `<open>3 page 2</open>` and `<find>3 | words</find>`, where 3 is a passage's number.
    """

    proposing: bool = False
    readers: tuple[Reader, ...] = ()
    searching: bool = True
    """Whether the prompt offers the search; a repair's does not."""

    @property
    def rules(self) -> str:
        """How to write a move."""
        finish = (
            "<question>...</question><answer>...</answer><steps>one line per step: query | sub-answer | [number]"
            "</steps>"
            if self.proposing
            else "<answer>the short answer only</answer>"
        )
        if not self.searching:
            return f"Think inside <think>...</think>. Then end with {finish}."
        return (
            "Think inside <think>...</think>. Then write exactly one move: <search>your query</search>, whose results "
            f"you will be shown inside <information>, {''.join(_READING_RULES[one] for one in self.readers)}"
            f"or, to end, {finish}."
        )

    def request(self, dialogue: Sequence[Message], sampling: Sampling, seed: int) -> Request:
        """A chat request that stops at the end of a move."""
        stop = (
            ("</search>", "</steps>", "<information>")
            if self.proposing
            else ("</search>", "</answer>", "<information>")
        )
        stop = (*stop, *(f"</{name}>" for name in self.readers))
        return Request(
            tuple(dialogue), max_tokens=sampling.max_tokens, temperature=sampling.temperature, stop=stop, seed=seed
        )

    def read(self, completion: Completion) -> tuple[str, Move]:
        """Close the tag at which the engine stopped, then read the first move after the thoughts.

        Text after that move is removed, because an endpoint that ignores `stop` lets the model invent what comes next.
        If a message was cut off at its limit, an open tag stays open, so it is not a move. An answer in the middle of
        such a message is not a move either unless a thought was told apart from it: some servers put a thought that
        was cut off into the text, without its marks.
        """
        text = completion.text if completion.finish is FinishReason.LENGTH else _close(completion.text, self.readers)
        move, end = first_move(text, proposing=self.proposing, readers=self.readers)
        if isinstance(move, Finish) and self._is_in_cut_thought(text, end, completion):
            return text, too_long(_no_move(hear(text), proposing=False), completion)
        if text[end:].strip():
            text = text[:end]
        return text, too_long(move, completion)

    def _is_in_cut_thought(self, text: str, end: int, completion: Completion) -> bool:
        """Whether an answer that ends at `end` may be a draft in a thought that was cut off and is not marked."""
        goes_on = completion.finish is FinishReason.LENGTH and _TAG.sub("", text[end:]).strip()
        return bool(goes_on) and not (self.proposing or completion.reasoning or hear(text).thought)

    def reply(self, text: str, completion: Completion, observation: str) -> tuple[Message, ...]:
        """The observation goes inside `<information>`."""
        return (
            replace(carried(completion), content=text),
            Message("user", f"<information>\n{observation}\n</information>"),
        )


def read_tags(text: str, *, proposing: bool) -> Move:
    """The first move in a model's message, thoughts left out."""
    return first_move(text, proposing=proposing)[0]


_READING_RULES: dict[Reader, str] = {
    "open": "<open>3</open>, which shows the document of passage [3] (<open>3 page 2</open> its second page), ",
    "find": "<find>3 | words</find>, which searches inside the document of passage [3], ",
}


def first_move(text: str, *, proposing: bool, readers: tuple[Reader, ...] = ()) -> tuple[Move, int]:
    """(the first move in a model's message, the index where it ends); without a move, the end of the message.

    A search may also end a thought that was never closed, because models forget to close it. An answer may not,
    because it is likely to be a draft. A function call that was written as text counts if there is no tag.
    """
    heard = hear(text)
    found = {tag: _inside(heard.masked, tag) for tag in ("search", "answer", "question", "steps")}
    search, answer, question, steps = found.values()
    tags = [part.start for part in (search, answer, question) if part]
    if reading := _reading(heard.masked, readers, min(tags, default=len(text))):
        return reading
    written = text_calls(heard.masked)
    if written and written[0].start < min(tags, default=len(text)):
        return read_call(written[0].call, proposing=proposing, readers=readers), written[0].end
    if search is not None and not any(0 <= heard.masked.find(f"<{tag}>") < search.start for tag in _ENDING):
        if search.said:
            return Search(search.said), search.end
        return Malformed("The search was empty. Write <search>your query</search>."), search.end
    if answer is not None and answer.said and not proposing:
        return Finish(answer.said), answer.end
    if proposing and question is not None and question.said and answer is not None and answer.said:
        written_steps = [_fields(line) for line in (steps.said if steps else "").splitlines() if line.strip()]
        derived = next((found for line in written_steps if (found := read_derived(line))), None)
        lines = [_step(line) for line in written_steps if read_derived(line) is None]
        end = max(part.end for part in (question, answer, steps) if part)
        also = tuple(number for _, _, numbers in lines for number in numbers[1:])
        steps_read = tuple((query, said, numbers[0] if numbers else None) for query, said, numbers in lines)
        return Finish(answer.said, question.said, steps_read, also, derived), end
    if heard.unclosed and (last := _LAST_SEARCH.search(text)) and last[1].strip():
        return Search(last[1].strip()), len(text)
    return _no_move(heard, proposing=proposing), len(text)


def _reading(masked: str, readers: tuple[Reader, ...], before: int) -> tuple[Move, int] | None:
    """The first move for a document, if one is written before any other move."""
    first: tuple[_Tagged, Reader] | None = None
    for name in readers:
        part = _inside(masked, name)
        if part is not None and part.start < (first[0].start if first else before):
            first = part, name
    if first is None:
        return None
    part, name = first
    number, _, words = part.said.partition("|")
    numbers = re.findall(r"\d{1,6}", number)
    passage, page = (*numbers[:2], None, None)[:2]
    problem = f"It was not readable. Write {_READING_RULES[name].split(',')[0]} with a number that you were shown."
    return read_reading(name, passage, page, words.strip()) or Malformed(problem), part.end


def too_long(move: Move, completion: Completion) -> Move:
    """`move`; if there is no move because the message was cut off, the problem says so."""
    if isinstance(move, Malformed) and completion.finish is FinishReason.LENGTH:
        return replace(move, problem=f"Your message was cut off at its length before it held a move. {move.problem}")
    return move


_ENDING = ("answer", "question")
_TAG = re.compile(r"</?\w+>")
_LAST_SEARCH = re.compile(r"<search>((?:(?!<search>).)*)</search>\s*\Z", re.DOTALL)


def _no_move(heard: Heard, *, proposing: bool) -> Malformed:
    thinking = "Your thought was never closed. " if heard.unclosed else ""
    if proposing:
        return Malformed(
            f"{thinking}No move was found. Write <search>...</search>, or <question>, <answer> and <steps>."
        )
    return Malformed(f"{thinking}No move was found. Write <search>your query</search> or <answer>...</answer>.")


def write_tags(move: Search | Finish) -> str:
    """`move` as a model would write it: the inverse of `read_tags`."""
    if isinstance(move, Search):
        return f"<search>{move.query}</search>"
    if not move.question:
        return f"<answer>{move.answer}</answer>"
    lines = [f"{query} | {answer} | [{number or ''}]" for query, answer, number in move.steps]
    if move.derived:
        operands = (f"{span} [{number}]" if number is not None else span for span, number in move.derived.operands)
        lines.append(" | ".join((move.derived.operation, *operands)))
    steps = "\n".join(lines)
    return f"<question>{move.question}</question><answer>{move.answer}</answer><steps>\n{steps}\n</steps>"


@dataclass(frozen=True, slots=True)
class _Tagged:
    said: str
    start: int
    end: int


def _inside(masked: str, tag: str) -> _Tagged | None:
    found = re.search(rf"<{tag}>(.*?)</{tag}>", masked, re.DOTALL | re.IGNORECASE)
    return _Tagged(found[1].strip(), *found.span()) if found else None


def _close(text: str, readers: tuple[Reader, ...] = ()) -> str:
    """`text` with the last tag closed, if the engine stopped at the closing tag and left it out, or a part of it."""
    heard = hear(text)
    opened = re.findall(rf"<(/?)({'|'.join((*TAGS, *readers))})>", text if heard.unclosed else heard.masked)
    closers = _CLOSERS[:1] if heard.unclosed else (*_CLOSERS, *(f"</{name}>" for name in readers))
    if not opened or opened[-1][0] or (closer := f"</{opened[-1][1]}>") not in closers:
        return text
    left = next((size for size in range(len(closer) - 1, 1, -1) if text.endswith(closer[:size])), 0)
    return f"{text[: len(text) - left]}{closer}"


_BULLET = re.compile(r"^\s*(?:[-*•–]\s+|\d+\s*[.):]\s*|\(\d+\)\s*|\**step\s*\d+\**\s*[:.)–-]\**\s*)+", re.IGNORECASE)


def _fields(line: str) -> list[str]:
    return [field.strip() for field in _BULLET.sub("", line).strip("|").split("|")]


def _step(fields: Sequence[str]) -> tuple[str, str, tuple[int, ...]]:
    """(query, sub-answer, numbers of the passages) of a line of steps."""
    query, answer, source = (*fields, "", "")[:3]
    return query, answer, tuple(dict.fromkeys(int(number) for number in re.findall(r"\d+", source)))


@dataclass(frozen=True, slots=True)
class Functions:
    """OpenAI function calling: `search`, and `answer` or `propose`. Only the first call of a message counts."""

    proposing: bool = False
    readers: tuple[Reader, ...] = ()
    searching: bool = True
    """Whether the search function is offered; a repair has none."""

    @property
    def rules(self) -> str:
        """How to write a move."""
        if not self.searching:
            return f"Call the function {ending(proposing=self.proposing)}."
        named = ", ".join(("search", *self.readers))
        return f"In each message call exactly one function: {named}, or, to end, {ending(proposing=self.proposing)}."

    def request(self, dialogue: Sequence[Message], sampling: Sampling, seed: int) -> Request:
        """A chat request with the tools."""
        return Request(
            tuple(dialogue),
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            tools=tools(proposing=self.proposing, readers=self.readers, searching=self.searching),
            seed=seed,
        )

    def read(self, completion: Completion) -> tuple[str, Move]:
        """The first tool call as a move. A call that the model wrote as text or as tags counts too.

        A call in a message that was cut off does not count: the server may have completed its JSON.
        """
        if not completion.tool_calls:
            return Tags(self.proposing, self.readers).read(completion)
        call = completion.tool_calls[0]
        text = f"{completion.text}\n{call.name}({call.arguments})".strip()
        if completion.finish is FinishReason.LENGTH:
            return text, too_long(Malformed("Call one function.", call.name, call.arguments), completion)
        return text, read_call(call, proposing=self.proposing, readers=self.readers)

    def reply(self, text: str, completion: Completion, observation: str) -> tuple[Message, ...]:
        """Messages with the call and its answers. Calls after the first get the answer that they were not executed.

        Calls are sent back as `sendable`, because servers parse the history and would refuse it from then on.
        """
        said = carried(completion)
        if not completion.tool_calls:
            return replace(said, content=text), Message("user", observation)
        first, *others = (sendable(call) for call in completion.tool_calls)
        return (
            replace(said, tool_calls=(first, *others)),
            Message("tool", observation, tool_call_id=first.id),
            *(Message("tool", "Not executed: one call a message.", tool_call_id=other.id) for other in others),
        )


def without_search(dialect: Dialect) -> Dialect:
    """The dialect for an agent that may not search: neither its prompt nor its tools offer the search."""
    match dialect:
        case Tags() | Functions():
            return replace(dialect, searching=False)
        case _:
            return dialect


def carried(completion: Completion) -> Message:
    """The model's message for the history, with the fields that its endpoint may want back."""
    return Message(
        "assistant",
        completion.text,
        token_ids=completion.token_ids,
        reasoning=completion.reasoning,
        carry=completion.carry,
    )
