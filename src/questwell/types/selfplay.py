"""The data types of search self-play (SSP, arXiv 2510.18821), in order: answer, question, problem, episode."""

from dataclasses import dataclass
from enum import StrEnum

from questwell.types.corpus import Passage
from questwell.types.game import Attempt, Label
from questwell.types.gates import GateResult
from questwell.types.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class AnswerSeed:
    """The starting point of one SSP proposal: a known answer."""

    index: int
    """Position in the run, from 0."""
    answer: str
    hops: int
    """Number of searches that the question should need (n in the paper)."""
    aliases: tuple[str, ...] = ()
    """Other spellings that count as the answer."""
    passage: Passage | None = None
    """Passage that contains the answer; None if the answer comes from a list that names none."""
    random_seed: int = 0
    """Seed of all random choices in this play."""

    @property
    def id(self) -> str:
        """Name within the run, sortable: `a000042`."""
        return f"a{self.index:06d}"

    @property
    def references(self) -> tuple[str, ...]:
        """The answer, then its other spellings."""
        return (self.answer, *self.aliases)


class Invalid(StrEnum):
    """Why a proposal does not become a problem for the solver. Each invalid proposal has exactly one reason."""

    NO_QUESTION = "no_question"
    """The proposer ended without a readable question."""
    LENGTH = "length"
    """The question is too short or too long, in characters or words."""
    NO_SEARCH = "no_search"
    """The proposer executed fewer searches than the rules require."""
    REPEATED_QUERY = "repeated_query"
    LEAK = "leak"
    """The question contains the answer."""
    UNSUPPORTED = "unsupported"
    """RAG verification: the answer cannot be given from the passages that the proposer found."""
    UNSCORED = "unscored"
    """The verifier or the judge gave no usable answer, so nothing is known about the question."""
    ERRORED = "errored"
    """A provider or the retriever failed, so nothing is known about the question."""


SILENT = frozenset({Invalid.UNSCORED, Invalid.ERRORED})
"""Reasons that say nothing about the proposer's work: it gets no reward, not a reward of 0."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A question that passed the checks; solvers attempt it, and a pool may keep it."""

    id: str
    """Id of the seed from which it was made."""
    question: str
    references: tuple[str, ...]
    """The answer, then its other spellings."""
    hops: int
    step: int
    """Step of the run in which it was made, from 1."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposer's rollout with the results of its checks."""

    seed: AnswerSeed
    question: str | None
    """The question; None if none can be read."""
    trajectory: Trajectory
    invalid: Invalid | None
    """Why the proposal is invalid; None if it is valid."""
    detail: str = ""
    """The broken rule, or the failure."""
    verification: GateResult | None = None
    """Result of the verification; None if it was not requested."""

    @property
    def valid(self) -> bool:
        """Whether solvers may attempt it."""
        return self.invalid is None


@dataclass(frozen=True, slots=True)
class Episode:
    """One slot of a batch: a proposal, the problem that was attempted, and the rewards of both roles."""

    proposed: Proposed
    problem: Problem | None
    """The proposal itself if it is valid, else a problem from the pool; None if the slot stayed empty."""
    attempts: tuple[Attempt, ...]
    proposer_reward: float | None
    """Reward of the proposer; None: not trained on, because something else failed."""
    solver_rewards: tuple[float | None, ...]
    """One per attempt; None where the attempt errored or could not be scored."""
    discarded: int = 0
    """Number of invalid proposals of this slot that were discarded before this one (dynamic resampling)."""

    @property
    def made(self) -> Problem | None:
        """The problem made from the slot's own proposal; None if that was invalid."""
        return self.problem if self.proposed.valid else None

    @property
    def filled(self) -> bool:
        """Whether the problem came from the pool."""
        return self.problem is not None and not self.proposed.valid

    @property
    def scored(self) -> int:
        """Number of attempts judged right or wrong."""
        return sum(reward is not None for reward in self.solver_rewards)

    @property
    def right(self) -> int:
        """Number of attempts judged right."""
        return sum(attempt.judgement.label is Label.RIGHT for attempt in self.attempts)

    @property
    def accuracy(self) -> float | None:
        """Share of right attempts among the scored ones, a fraction in [0, 1]; None if none was scored."""
        return self.right / self.scored if self.scored else None
