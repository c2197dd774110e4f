"""What the judge is asked, in every game and recipe: one answer, and its references, one a line.

The answer comes from a model that may want to be called right, so its lines are joined and it cannot spell a label of
the prompt.
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
"""Characters of an answer that the judge sees: some agents end with a page, and what counts may be its last line."""


def judge_opening(prompts: Prompts) -> Opening:
    """Question, references and answer to the messages of the prompt `judge`."""

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
    """`text` as data on one line, in which no label of the prompt stands: "Reference answer:" loses its colon."""
    return _LABEL.sub(r"\1\2 -", " ".join(neutralise(text, limit).split()))
