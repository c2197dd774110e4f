"""The rules of a game and its players."""

from dataclasses import dataclass, field
from enum import StrEnum

from questwell.agents.proposer import Proposer
from questwell.agents.rewriter import Rewriter
from questwell.agents.solver import Solver
from questwell.games.gates import Gatekeeper
from questwell.games.verdict import Acceptance, Criteria, StepTarget
from questwell.scoring.judge import Judge
from questwell.types.game import Seed
from questwell.types.gates import Gate


class Variant(StrEnum):
    """The systems that the paper compares in its table of intrinsic results."""

    INITIAL = "initial"
    """One proposal per seed, without repair."""
    RESAMPLE = "resample"
    """A failing item is written again from the same seed and target, without a trace of what failed."""
    FEEDBACK = "feedback"
    """A failing item is repaired with feedback from its attempts."""


@dataclass(frozen=True, slots=True)
class WeakRules:
    """Rules for a weak solver, which must not solve the question (Autodata, arXiv 2606.25996)."""

    attempts: int = 4
    """Number of independent rollouts of the weak solver per question that met its target."""
    most: float = 0.0
    """Maximum fraction of right attempts to accept a question, in [0, 1]; 1 only measures."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a game."""

    variant: Variant = Variant.FEEDBACK
    attempts: int = 4
    """K, the number of independent solver rollouts per proposal."""
    rounds: int = 2
    """Maximum number of further rounds after the first proposal; the paper found 2 best for training data."""
    early_stop: bool = True
    """Whether to run attempts one by one and stop at the first decisive one; otherwise all K run in parallel."""
    acceptance: Acceptance = field(default_factory=StepTarget)
    unscored_is_wrong: bool = False
    """Whether a judgement that cannot be read counts as wrong, as in the paper; otherwise it fails closed."""
    last_round_takes_correct: bool = False
    """Whether to accept a question that is solved in the last round even if it is too easy, as in the release."""
    minimum_difficulty: int = 0
    """With `last_round_takes_correct`: minimum number of search steps, or the question is dropped anyway."""
    gates: tuple[Gate, ...] = ()
    """Gates that a question must pass after it met its target; not in the paper."""
    gate_feedback: bool = True
    """Whether a question that a gate rejects is repaired while rounds are left; otherwise it is rejected at once."""
    weak: WeakRules | None = None
    """Rules for the weak solver; None for no weak solver."""

    def criteria(self, seed: Seed) -> Criteria:
        """The acceptance rule for attempts at a proposal from `seed`."""
        return Criteria(self.attempts, seed.target, self.acceptance, self.unscored_is_wrong)


@dataclass(frozen=True, slots=True)
class Players:
    """The agents and the judge of a game."""

    proposer: Proposer
    solver: Solver
    judge: Judge
    gatekeeper: Gatekeeper | None = None
    """Runs the gates; needed if the rules name any."""
    rewriter: Rewriter | None = None
    """Rewrites given questions (`games/harden.py`)."""
    weak: Solver | None = None
    """The weak solver; needed if the rules ask for one."""
