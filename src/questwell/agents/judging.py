"""Writes the judge's messages for every game and recipe: one answer and its references, one per line.

The answer comes from a model that may try to be judged right, so its lines are joined and labels of the prompt are
made harmless in it.
"""

import re

from questwell.agents.prompts import Prompts
from questwell.agents.tools import neutralise
from questwell.llm.client import Message
from questwell.scoring.judge import Opening

_LABEL = re.compile(
    r"\b(question|(?:reference|given|correct|right|gold|ground[\s-]*truth|true)\s+answers?|references?|verdict)"
    r"([*_`\"'\s]*)[:：=]",
    re.IGNORECASE,
)
_ANSWER = 4000
"""Maximum number of characters of an answer that the judge sees; some agents end with a page of text."""


def judge_opening(prompts: Prompts) -> Opening:
    """The messages of the prompt `judge` for a question, its references and an answer."""

    def messages(question: str, references: tuple[str, ...], answer: str) -> tuple[Message, ...]:
        lines = [_one_line(reference, 500) for reference in references]
        return prompts.messages(
            "judge",
            question=_one_line(question, 2000),
            references="\n".join(f"- {line}" for line in lines),
            reference=" / ".join(lines),  # for prompt files that have one line for all
            answer=_one_line(answer, _ANSWER),
        )

    return messages


def _one_line(text: str, limit: int) -> str:
    """`text` on one line without labels of the prompt: "Reference answer:" loses its colon."""
    return _LABEL.sub(r"\1\2 -", " ".join(neutralise(text, limit).split()))
