"""Judges answers without a model, and defines the interface of all judges."""

from typing import Protocol

from questwell.scoring.answers import matches
from questwell.scoring.judge import Complete, decide_unasked
from questwell.types.game import Judgement, Label


class AnswerJudge(Protocol):
    """Decides whether an answer means the same as the reference."""

    async def judge(
        self, question: str, references: tuple[str, ...], answer: str | None, complete: Complete
    ) -> Judgement:
        """The judgement of `answer`; `complete` asks the judge's model, if it has one."""
        ...


class ExactJudge:
    """Calls an answer right if its words or its number are the same; for short answers from a closed vocabulary."""

    async def judge(
        self, question: str, references: tuple[str, ...], answer: str | None, complete: Complete
    ) -> Judgement:
        """Right or wrong; never unscored, and no call is made."""
        if answer is None or not answer.strip():
            return Judgement(Label.WRONG, "no_answer")
        return judge_exactly(references, answer)


def judge_exactly(references: tuple[str, ...], answer: str) -> Judgement:
    """Whether an answer is right, decided without a model; a leading article makes no difference."""
    if decided := decide_unasked(references, answer):
        return decided
    return Judgement(Label.RIGHT if matches(answer, references) else Label.WRONG, "exact_match")
