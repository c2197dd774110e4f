"""Rewards of the two roles of search self-play (SSP, arXiv 2510.18821, section 3.2, and options of other papers)."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from questwell.types.game import Attempt, Label


class Payment(StrEnum):
    """How the reward of a valid question depends on the solver's accuracy, the fraction of right attempts."""

    DIFFICULTY = "difficulty"
    """1 - accuracy, as in the paper."""
    LEARNABILITY = "learnability"
    """1 - accuracy, but 0 if no attempt is right (Absolute Zero, arXiv 2505.03335)."""
    BAND = "band"
    """1 if the accuracy lies within a band, otherwise 0."""


@dataclass(frozen=True, slots=True)
class Payments:
    """How the proposer is rewarded."""

    payment: Payment = Payment.DIFFICULTY
    band: tuple[float, float] = (0.2, 0.8)
    """Minimum and maximum accuracy of a band, in [0, 1], bounds included."""
    invalid: float = 0.0
    """Reward of a proposal that breaks a rule or fails verification; -0.1 made the paper's proposer collapse."""
    repetition: float = 0.0
    """Weight of the penalty for questions that resemble others of the batch; 0 as in the paper, which has none."""

    def of(self, accuracy: float) -> float:
        """Reward of a valid question, given the fraction of scored attempts that solved it, in [0, 1]."""
        match self.payment:
            case Payment.DIFFICULTY:
                return 1.0 - accuracy
            case Payment.LEARNABILITY:
                return 1.0 - accuracy if accuracy > 0 else 0.0
            case Payment.BAND:
                low, high = self.band
                return 1.0 if low <= accuracy <= high else 0.0


def solver_reward(attempt: Attempt) -> float | None:
    """1 if right, 0 if wrong or without an answer; None if errored or unscored, which says nothing."""
    match attempt.judgement.label:
        case Label.RIGHT:
            return 1.0
        case Label.WRONG:
            return 0.0
        case Label.UNSCORED | Label.ERRORED:
            return None


def repetition(questions: Sequence[str], alike: float = 0.5) -> list[float]:
    """For each question, the fraction of the batch that is similar to it, without itself, in [0, 1).

    Two questions are similar if the Jaccard index of their character trigrams is at least `alike`, or if a chain of
    such pairs links them. It needs no words, so it works for any script. R-Zero (arXiv 2508.05004) has the same penalty
    with BLEU as the similarity.
    """
    grams = [_trigrams(question) for question in questions]
    cluster = list(range(len(questions)))

    def root(at: int) -> int:
        while cluster[at] != at:
            at = cluster[at]
        return at

    for one in range(len(grams)):
        for other in range(one):
            if root(one) != root(other) and _jaccard(grams[one], grams[other]) >= alike:
                cluster[root(one)] = root(other)
    roots = [root(at) for at in range(len(questions))]
    return [(roots.count(own) - 1) / len(roots) for own in roots]


def _trigrams(text: str) -> frozenset[str]:
    padded = f"  {' '.join(unicodedata.normalize('NFKC', text).casefold().split())} "
    return frozenset(padded[at : at + 3] for at in range(len(padded) - 2))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)
