"""Separates what a model said from what it only thought. No other file does this.

Every protocol, judge and reader calls `hear`. A draft inside a thought is not an answer, a search or a verdict.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_NAMES = r"(?:seed:)?(?:think|thinking|thought|reasoning)"
# Qwen, DeepSeek and most others: <think>; Magistral: [THINK]; Kimi-VL: ◁think▷; Cohere: <|START_THINKING|>; gpt-oss:
# Harmony's analysis channel; Gemma 4: <|channel>thought.
_OPEN = (
    rf"<{_NAMES}>|\[THINK\]|◁think▷|<\|START_THINKING\|>|<\|channel>thought\b"
    r"|(?:<\|start\|>assistant)?<\|channel\|>analysis\s*<\|message\|>"
)
_CLOSE = rf"</{_NAMES}>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>|<channel\|>"
# Marks around a message that an engine should have removed; they are not part of its text.
_FRAME = (
    r"(?:<\|start\|>assistant)?<\|channel\|>final(?:\s*<\|constrain\|>\s*\w+)?\s*<\|message\|>"
    r"|<\|(?:end|return|eom_id|START_RESPONSE|END_RESPONSE|START_TEXT|END_TEXT|begin_of_box|end_of_box)\|>|</s>|<eos>"
)
# Marks that end the model's turn. An engine that does not know them goes on, with a turn of the user that it invents.
_END = r"<\|(?:im_end|eot_id|endoftext|end_of_text)\|>|<end_of_turn>|<｜end▁of▁sentence｜>"
_CALL = r"(?:<\|start\|>assistant)?<\|channel\|>commentary"
_FIRST = re.compile(r"[<\[◁]")
"""What each mark begins with: to look for it first takes a quarter of the time that `_MARK` takes to search."""
_MARK = re.compile(
    rf"(?P<open>{_OPEN})|(?P<close>{_CLOSE})|(?P<end>{_END})|(?P<frame>{_FRAME})|(?P<call>{_CALL})", re.IGNORECASE
)
# gpt-oss behind a server that drops special tokens but keeps the names of channels.
_LEAKED = re.compile(r"\Aanalysis(?P<thought>(?=[A-Z\W]).*?)assistant(?:final|(?=commentary to=))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Heard:
    """A model's message, split into its parts."""

    masked: str
    """The message with a space for each character that was not said, so that positions do not change."""
    thought: str
    """All thoughts, joined, without their marks."""
    unclosed: bool
    """Whether the message ends inside a thought."""

    @property
    def spoken(self) -> str:
        """The text that was said, without thoughts."""
        return self.masked.strip()


def hear(text: str) -> Heard:
    """`text` split into thought and speech.

    If a closing mark has no opening mark, all text before it is a thought: the chat template had opened it. A thought
    that is never closed continues to the end.
    """
    masked = list(text)
    thoughts: list[str] = []
    start = 0  # start of the text that is neither blanked nor kept yet
    inside = said = False
    if leaked := _LEAKED.match(text):
        thoughts.append(leaked["thought"])
        _blank(masked, 0, leaked.end())
        start = leaked.end()
    marks = list(_marks(text, start))
    ends = _turn_ends(marks)
    for mark in marks:
        said = said or (not inside and bool(text[start : mark.start()].strip()))
        if inside:
            if mark["open"]:
                continue
            thoughts.append(text[start : mark.start()])
            _blank(masked, start, mark.start())
            inside = False
        elif mark["close"]:
            if thoughts and not text[mark.end() :].strip():  # a second closing mark with nothing after it
                _blank(masked, *mark.span())
                continue
            thoughts.append("".join(masked[: mark.start()]).strip())
            _blank(masked, 0, mark.start())
            said = False
        elif said and mark.start() in ends:
            _blank(masked, mark.start(), len(text))
            break
        if mark["call"]:  # the rest of the header names the called function
            start = mark.end()
            continue
        _blank(masked, *mark.span())
        start = mark.end()
        inside = bool(mark["open"])
    if inside:
        thoughts.append(text[start:])
        _blank(masked, start, len(text))
    thought = "\n".join(part.strip() for part in thoughts if part.strip())
    return Heard("".join(masked), thought, inside)


def spoken(text: str) -> str:
    """`text` without its thoughts."""
    return hear(text).spoken


def thoughts(reasoning: str, text: str) -> str:
    """All thoughts of a message: the separate `reasoning` from the endpoint, and the thoughts inside `text`."""
    return "\n".join(part for part in (reasoning.strip(), hear(text).thought) if part)


def _turn_ends(marks: Sequence[re.Match[str]]) -> frozenset[int]:
    """Where marks end the turn: not before the end of a thought that the template had opened."""
    found: list[int] = []
    in_thought = False
    for mark in reversed(marks):
        if mark["open"] or mark["close"]:
            in_thought = bool(mark["close"])
        elif mark["end"] and not in_thought:
            found.append(mark.start())
    return frozenset(found)


def _marks(text: str, start: int) -> Iterator[re.Match[str]]:
    """The marks of `text` from `start` on, as `_MARK.finditer` finds them."""
    while first := _FIRST.search(text, start):
        mark = _MARK.match(text, first.start())
        if mark:
            yield mark
        start = mark.end() if mark else first.end()


def _blank(masked: list[str], start: int, end: int) -> None:
    masked[start:end] = " " * (end - start)
