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
    """One proposal a seed."""
    RESAMPLE = "resample"
    """A failing item is written anew: same seed, same target, no trace of what failed."""
    FEEDBACK = "feedback"
    """A failing item is repaired from what its attempts showed."""


@dataclass(frozen=True, slots=True)
class WeakRules:
    """What a weak solver must not do, who is tried next to the solver (Autodata, arXiv 2606.25996)."""

    attempts: int = 4
    """Independent rollouts of the weak solver per question that met its target."""
    most: float = 0.0
    """Highest share of right attempts that lets a question through, a fraction in [0, 1]; 1 measures only."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How the game is played."""

    variant: Variant = Variant.FEEDBACK
    attempts: int = 4
    """K, independent solver rollouts per proposal."""
    rounds: int = 2
    """Further rounds after the first proposal; the paper found 2 best for training data."""
    early_stop: bool = True
    """Attempts run one after another and stop at the first decisive one; off: all K, in parallel."""
    acceptance: Acceptance = field(default_factory=StepTarget)
    unscored_is_wrong: bool = False
    """The paper's rule for a judgement that cannot be read; ours fails closed."""
    last_round_takes_correct: bool = False
    """The release's assembly: what is solved in the last round is accepted even if too easy."""
    minimum_difficulty: int = 0
    """With `last_round_takes_correct`: search steps below which it is dropped all the same."""
    gates: tuple[Gate, ...] = ()
    """What a question that met its target must pass too; not in the paper."""
    gate_feedback: bool = True
    """A question that a gate stops is repaired while rounds are left; off: it is rejected at once."""
    weak: WeakRules | None = None
    """Of the weak solver; None: there is none."""

    def criteria(self, seed: Seed) -> Criteria:
        """What the attempts at a proposal from `seed` are measured by."""
        return Criteria(self.attempts, seed.target, self.acceptance, self.unscored_is_wrong)


@dataclass(frozen=True, slots=True)
class Players:
    """Who plays."""

    proposer: Proposer
    solver: Solver
    judge: Judge
    gatekeeper: Gatekeeper | None = None
    """Needed where the rules name gates."""
    rewriter: Rewriter | None = None
    """Of hardening (`games/harden.py`): who rewrites what was given."""
    weak: Solver | None = None
    """Needed where the rules ask for a weak solver."""
