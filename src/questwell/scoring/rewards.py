"""Rewards of a solver's answer: exact match, F1, an LLM judge, or exact match and then the judge.

All of them fail closed: an answer that could not be judged gets no reward and is not trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from questwell.scoring.exact import judge_exactly
from questwell.scoring.judge import Complete, Judge
from questwell.scoring.squad import f1
from questwell.types.game import Judgement, Label


class RewardKind(StrEnum):
    """How answers are rewarded."""

    EM = "em"
    """1 for an answer with the words of a reference (ignoring case, punctuation and a leading article), otherwise 0."""
    F1 = "f1"
    """Token overlap with the nearest reference after normalisation, in [0, 1]."""
    JUDGE = "judge"
    """1 if a model judges the answer right, otherwise 0."""
    CHAIN = "chain"
    """Exact match first; the model is asked only if it fails."""


@dataclass(frozen=True, slots=True)
class Rewarded:
    """The reward of an answer."""

    reward: float | None
    """Reward in [0, 1]; None if the answer was unscored or errored, in which case the trajectory is not trained on."""
    judgement: Judgement


class Reward(Protocol):
    """Rewards answers."""

    async def reward(self, question: str, references: Sequence[str], answer: str | None) -> Rewarded:
        """The reward of `answer`; no answer (None) gets 0."""
        ...


@dataclass(frozen=True, slots=True)
class MatchReward:
    """Rewards answers without a model, by exact match or F1."""

    soft: bool = False
    """Whether the reward is F1; exact match still decides whether the answer is right."""

    async def reward(self, question: str, references: Sequence[str], answer: str | None) -> Rewarded:
        """The reward of `answer`."""
        if answer is None or not answer.strip():
            return Rewarded(0.0, Judgement(Label.WRONG, "no_answer"))
        judgement = judge_exactly(tuple(references), answer)
        earned = float(judgement.label is Label.RIGHT)
        if self.soft:
            earned = max((f1(answer, reference) for reference in references), default=0.0)
        return Rewarded(earned, judgement)


@dataclass(frozen=True, slots=True)
class JudgeReward:
    """Rewards answers with a strict LLM judge. An unusable reply or a failed call gives no reward, neither 1 nor 0."""

    judge: Judge
    complete: Complete
    """The call to the judge model."""

    async def reward(self, question: str, references: Sequence[str], answer: str | None) -> Rewarded:
        """The reward of `answer`."""
        judgement = await self.judge.judge(question, tuple(references), answer, self.complete)
        match judgement.label:
            case Label.RIGHT:
                return Rewarded(1.0, judgement)
            case Label.WRONG:
                return Rewarded(0.0, judgement)
            case Label.UNSCORED | Label.ERRORED:
                return Rewarded(None, judgement)
