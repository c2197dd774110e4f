"""Makes K independent, judged attempts of a solver at one question."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from questwell.agents.session import Sessions
from questwell.agents.solver import Solver
from questwell.games.verdict import Criteria, decide, is_decisive
from questwell.scoring.judge import Judge
from questwell.types.game import Attempt, Place, Proposal, Seed, Verdict, failed_rollout
from questwell.types.trajectory import Role


@dataclass(frozen=True, slots=True)
class Trial:
    """The solver, its judge, and the acceptance rule for its attempts."""

    solver: Solver
    judge: Judge
    criteria: Criteria
    early_stop: bool = True
    """Whether to run attempts one by one and stop at the first decisive one; otherwise all run in parallel."""
    role: Role = Role.SOLVER
    judged_from: int = 0
    """Added to an attempt's number when it is judged, which keeps the judgements of two solvers apart."""

    async def of(
        self,
        proposal: Proposal,
        seed: Seed,
        index: int,
        sessions: Sessions,
        undecided: Callable[[Verdict], bool] = lambda verdict: False,
    ) -> tuple[Attempt, ...]:
        """The attempts at `proposal` in round `index`, in order.

        Args:
            proposal: the proposal; the solver is shown only its question.
            seed: seed of the play.
            index: number of the round.
            sessions: opens the sessions of a place.
            undecided: whether the remaining attempts matter even after a decisive one.
        """

        async def one(number: int) -> Attempt:
            place = Place(seed.id, index, self.role, number)
            chance = place.random_seed(seed.random_seed)
            trajectory = await self.solver.solve(proposal.question, sessions(place), chance)
            if failed := failed_rollout(trajectory):
                return Attempt(number, trajectory, failed)
            judge = sessions(Place(seed.id, index, Role.JUDGE, self.judged_from + number))
            references = (proposal.answer, *proposal.aliases)
            judgement = await self.judge.judge(proposal.question, references, trajectory.answer, judge.complete)
            return Attempt(number, trajectory, judgement)

        if not self.early_stop:
            # Wait for all attempts, even if one ends the run, so that paid calls are recorded.
            results = await asyncio.gather(*map(one, range(self.criteria.planned)), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
            return tuple(result for result in results if isinstance(result, Attempt))
        attempts: list[Attempt] = []
        for number in range(self.criteria.planned):
            attempts.append(await one(number))
            if is_decisive(attempts, self.criteria) and not undecided(decide(attempts, self.criteria)):
                break
        return tuple(attempts)
