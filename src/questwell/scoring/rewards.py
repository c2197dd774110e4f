"""The reward of a solver's answer: exact match, F1, an LLM judge, or exact match and then the judge.

All fail closed. A game or a recipe assigns rewards; an answer that was not judged earns none and is not trained on.
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
    """1 for an answer that has a reference's words (case, punctuation and a leading article aside), else 0."""
    F1 = "f1"
    """Token overlap with the nearest reference after normalisation, in [0, 1]."""
    JUDGE = "judge"
    """1 if a model calls the answer right, else 0."""
    CHAIN = "chain"
    """Exact match; the model is asked only when it fails."""


@dataclass(frozen=True, slots=True)
class Rewarded:
    """The reward of an answer."""

    reward: float | None
    """In [0, 1]; None when it could not be judged (unscored or errored): such a trajectory is not trained on."""
    judgement: Judgement


class Reward(Protocol):
    """Rewards answers."""

    async def reward(self, question: str, references: Sequence[str], answer: str | None) -> Rewarded:
        """The reward of `answer`; None means no answer and earns 0."""
        ...


@dataclass(frozen=True, slots=True)
class MatchReward:
    """Without a model: exact match, or F1."""

    soft: bool = False
    """F1 in place of exact match, which still says whether the answer is right."""

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
    """A model decides, strictly (`Judge`): an unusable reply or a failed call earns nothing, neither 1 nor 0."""

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
