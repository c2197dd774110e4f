"""Thought and speech: the one place that tells what a model said from what it only thought.

Every protocol, judge and reader asks `hear`. A draft inside a thought is no answer, no search and no verdict.
"""

import re
from dataclasses import dataclass

_NAMES = r"(?:seed:)?(?:think|thinking|thought|reasoning)"
# Qwen, DeepSeek and most others: <think>; Magistral: [THINK]; Kimi-VL: ◁think▷; Cohere: <|START_THINKING|>; gpt-oss:
# Harmony's analysis channel; Gemma 4: <|channel>thought.
_OPEN = (
    rf"<{_NAMES}>|\[THINK\]|◁think▷|<\|START_THINKING\|>|<\|channel>thought\b"
    r"|(?:<\|start\|>assistant)?<\|channel\|>analysis\s*<\|message\|>"
)
_CLOSE = rf"</{_NAMES}>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>|<channel\|>"
# What an engine should have taken out: the frame of a message, not a word of it.
_FRAME = (
    r"(?:<\|start\|>assistant)?<\|channel\|>final(?:\s*<\|constrain\|>\s*\w+)?\s*<\|message\|>"
    r"|<\|(?:end|return|im_end|eot_id|endoftext|START_RESPONSE|END_RESPONSE|START_TEXT|END_TEXT)\|>"
)
_CALL = r"(?:<\|start\|>assistant)?<\|channel\|>commentary"
_MARK = re.compile(rf"(?P<open>{_OPEN})|(?P<close>{_CLOSE})|(?P<frame>{_FRAME})|(?P<call>{_CALL})", re.IGNORECASE)
# gpt-oss through a server that drops special tokens but not the names of channels.
_LEAKED = re.compile(r"\Aanalysis(?P<thought>(?=[A-Z\W]).*?)assistant(?:final|(?=commentary to=))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Heard:
    """A model's message, split into its parts."""

    masked: str
    """The message, as long as it was, with a space for each character that was not said: places stay what they are."""
    thought: str
    """All thoughts, one after another, without their marks."""
    unclosed: bool
    """The message ends inside a thought."""

    @property
    def spoken(self) -> str:
        """What was said."""
        return self.masked.strip()


def hear(text: str) -> Heard:
    """`text` split into thought and speech.

    A mark that closes a thought which nothing opened makes a thought of all before it: the chat template had opened it.
    A thought that is never closed goes on to the end.
    """
    masked = list(text)
    thoughts: list[str] = []
    start = 0  # of what is neither blanked nor kept yet
    inside = False
    if leaked := _LEAKED.match(text):
        thoughts.append(leaked["thought"])
        _blank(masked, 0, leaked.end())
        start = leaked.end()
    for mark in _MARK.finditer(text, start):
        if inside:
            if mark["open"]:
                continue
            thoughts.append(text[start : mark.start()])
            _blank(masked, start, mark.start())
            inside = False
        elif mark["close"]:
            if thoughts and not text[mark.end() :].strip():  # a second closing mark, and nothing after it
                _blank(masked, *mark.span())
                continue
            thoughts.append("".join(masked[: mark.start()]).strip())
            _blank(masked, 0, mark.start())
        if mark["call"]:  # the rest of the frame says which function is called
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
    """What `text` says, its thoughts left out."""
    return hear(text).spoken


def thoughts(reasoning: str, text: str) -> str:
    """All that was thought with a message: what the endpoint gave apart as `reasoning`, and what its `text` holds."""
    return "\n".join(part for part in (reasoning.strip(), hear(text).thought) if part)


def _blank(masked: list[str], start: int, end: int) -> None:
    masked[start:end] = " " * (end - start)
