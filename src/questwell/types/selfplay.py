"""What search self-play makes (SSP, arXiv 2510.18821), in the order of the flow: answer, question, problem, episode."""

from dataclasses import dataclass
from enum import StrEnum

from questwell.types.corpus import Passage
from questwell.types.game import Attempt, Label
from questwell.types.gates import GateResult
from questwell.types.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class AnswerSeed:
    """What one SSP proposal starts from: a known answer."""

    index: int
    """Position in the run, from 0."""
    answer: str
    hops: int
    """n, the number of searches that the question should need."""
    aliases: tuple[str, ...] = ()
    """Other spellings that count as the answer."""
    passage: Passage | None = None
    """The passage that contains the answer, when it was drawn from a corpus; None when it comes from a list."""
    random_seed: int = 0
    """Start of every random choice of this play."""

    @property
    def id(self) -> str:
        """Name within the run, sortable: `a000042`."""
        return f"a{self.index:06d}"

    @property
    def references(self) -> tuple[str, ...]:
        """The answer and its other spellings."""
        return (self.answer, *self.aliases)


class Invalid(StrEnum):
    """Why a proposal is no problem for the solver: exactly one each."""

    NO_QUESTION = "no_question"
    """The proposer ended without a question that can be read."""
    LENGTH = "length"
    """Too short or too long, in characters or in words."""
    NO_SEARCH = "no_search"
    """Fewer executed searches than the rules ask for."""
    REPEATED_QUERY = "repeated_query"
    LEAK = "leak"
    """The question contains the answer."""
    UNSUPPORTED = "unsupported"
    """RAG verification: the passages that the proposer found do not give the answer."""
    UNSCORED = "unscored"
    """The verifier or the judge said nothing usable: nothing is known of the question."""
    ERRORED = "errored"
    """A provider or the retriever failed: nothing is known of the question."""


SILENT = frozenset({Invalid.UNSCORED, Invalid.ERRORED})
"""Reasons that say nothing of the proposer's work: it gets no reward, not a reward of 0."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A question that passed: what solvers attempt, and what a pool keeps."""

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
    """A proposer's rollout and what the checks made of it."""

    seed: AnswerSeed
    question: str | None
    """None when none can be read."""
    trajectory: Trajectory
    invalid: Invalid | None
    """None: it is valid."""
    detail: str = ""
    """Which rule it breaks, or what failed."""
    verification: GateResult | None = None
    """None when it was not asked for."""

    @property
    def valid(self) -> bool:
        """Whether solvers may attempt it."""
        return self.invalid is None


@dataclass(frozen=True, slots=True)
class Episode:
    """One slot of a batch: a proposal, the problem that was attempted in it, and the rewards of both roles."""

    proposed: Proposed
    problem: Problem | None
    """The proposal itself if it is valid, else one from the pool; None when the slot stayed empty."""
    attempts: tuple[Attempt, ...]
    proposer_reward: float | None
    """None: it is not trained on, since a failure of others says nothing of it."""
    solver_rewards: tuple[float | None, ...]
    """One per attempt; None where the attempt errored or could not be scored."""
    discarded: int = 0
    """Number of invalid proposals of this slot that were thrown away before this one (dynamic resampling)."""

    @property
    def made(self) -> Problem | None:
        """The problem that its own proposal became; None when that was invalid."""
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
        """Right among the scored attempts, a fraction in [0, 1]; None when none was scored."""
        return self.right / self.scored if self.scored else None
