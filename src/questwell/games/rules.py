"""How a game is played, and who plays."""

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
    """The systems that the paper's intrinsic table compares."""

    INITIAL = "initial"
    """One proposal per seed."""
    RESAMPLE = "resample"
    """A failing item is written again from the same seed and target, without a trace of what failed."""
    FEEDBACK = "feedback"
    """A failing item is repaired with feedback from its attempts."""


@dataclass(frozen=True, slots=True)
class WeakRules:
    """A weak solver that is tried next to the solver and must not solve the question (Autodata, arXiv 2606.25996)."""

    attempts: int = 4
    """Independent rollouts of the weak solver per question that met its target."""
    most: float = 0.0
    """Highest share of right attempts that is accepted, a fraction in [0, 1]; 1 only measures."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How the game is played."""

    variant: Variant = Variant.FEEDBACK
    attempts: int = 4
    """K, independent solver rollouts per proposal."""
    rounds: int = 2
    """Further rounds after the first proposal; the paper found 2 best for training data."""
    early_stop: bool = True
    """Run attempts one by one and stop at the first decisive one; off: run all K in parallel."""
    acceptance: Acceptance = field(default_factory=StepTarget)
    unscored_is_wrong: bool = False
    """The paper's rule for a judgement that cannot be read; ours fails closed."""
    last_round_takes_correct: bool = False
    """As in the release: a question that is solved in the last round is accepted even if it is too easy."""
    minimum_difficulty: int = 0
    """With `last_round_takes_correct`: minimum number of search steps, or the question is dropped anyway."""
    gates: tuple[Gate, ...] = ()
    """Gates that a question must pass after it met its target; not in the paper."""
    gate_feedback: bool = True
    """A question that a gate stops is repaired while rounds are left; off: it is rejected at once."""
    weak: WeakRules | None = None
    """Rules for the weak solver; None for no weak solver."""

    def criteria(self, seed: Seed) -> Criteria:
        """The standard that the attempts at a proposal from `seed` are measured by."""
        return Criteria(self.attempts, seed.target, self.acceptance, self.unscored_is_wrong)


@dataclass(frozen=True, slots=True)
class Players:
    """The agents and the judge of a game."""

    proposer: Proposer
    solver: Solver
    judge: Judge
    gatekeeper: Gatekeeper | None = None
    """Needed if the rules name gates."""
    rewriter: Rewriter | None = None
    """Rewrites given questions (`games/harden.py`)."""
    weak: Solver | None = None
    """Needed if the rules ask for a weak solver."""
