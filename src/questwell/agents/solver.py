"""The solver: sees only the question, searches, and answers."""

from dataclasses import dataclass
from typing import Protocol

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Dialect, Sampling
from questwell.agents.rollout import RolloutLimits, rollout
from questwell.agents.session import Session
from questwell.agents.tools import Shelf, neutralise
from questwell.types.trajectory import Role, Style, Trajectory


class Solver(Protocol):
    """An agent that answers questions by searching."""

    async def solve(self, question: str, session: Session, random_seed: int) -> Trajectory:
        """One independent rollout. Failures of a provider are in the trajectory (ERRORED), not raised."""
        ...


@dataclass(frozen=True, slots=True)
class FreeSolver:
    """The paper's solver: the model decides each move."""

    prompts: Prompts
    dialect: Dialect
    limits: RolloutLimits
    sampling: Sampling

    async def solve(self, question: str, session: Session, random_seed: int) -> Trajectory:
        """One rollout of the loop."""
        opening = self.prompts.messages(
            "solver", rules=self.dialect.rules, question=neutralise(question), turns=self.limits.turns
        )
        played = await rollout(opening, self.dialect, session, self.limits, self.sampling, random_seed, Shelf())
        return Trajectory(
            role=Role.SOLVER,
            style=Style.FREE,
            turns=played.turns,
            stop=played.stop,
            answer=played.finish.answer if played.finish else None,
            error=played.error,
            model=session.model,
            prompts=self.prompts.hash,
            tokens=played.tokens,
        )
