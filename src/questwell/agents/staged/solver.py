"""The staged solver: ask the next single question, search for it, read; until nothing is left to ask."""

from dataclasses import dataclass, replace

from questwell.agents.prompts import Prompts
from questwell.agents.rollout import Budget
from questwell.agents.session import Session
from questwell.agents.staged.moves import Moves
from questwell.agents.tools import Shelf, neutralise
from questwell.errors import ContextOverflow, LLMError, RetrievalError
from questwell.scoring.answers import contains, normalise
from questwell.types.trajectory import Role, StopReason, Style, Trajectory

NOT_FOUND = "not found"


@dataclass(frozen=True, slots=True)
class StagedSolver:
    """Plays the solver for a small model."""

    prompts: Prompts
    budget: Budget
    temperature: float

    async def solve(self, question: str, session: Session, random_seed: int) -> Trajectory:
        """One rollout; each single question is a search step."""
        moves = Moves(session, self.prompts, random_seed, self.temperature)
        answer, stop, error = None, StopReason.GAVE_UP, ""
        try:
            answer, stop = await self._play(question, moves)
        except ContextOverflow:
            stop = StopReason.CONTEXT
        except (LLMError, RetrievalError) as failure:
            stop, error = StopReason.ERRORED, f"{type(failure).__name__}: {failure}"
        return Trajectory(
            role=Role.SOLVER,
            style=Style.STAGED,
            turns=tuple(moves.turns),
            stop=stop,
            answer=answer,
            error=error,
            model=session.model,
            prompts=self.prompts.hash,
        )

    async def _play(self, question: str, moves: Moves) -> tuple[str | None, StopReason]:
        known: list[tuple[str, str]] = []
        while moves.searches < min(self.budget.searches, self.budget.turns):
            shown = "".join(f"\n- {neutralise(asked)} {neutralise(found)}" for asked, found in known) or " nothing"
            step = await moves.write("staged_next", "next", question=question, known=shown)
            repeated = any(normalise(step) == normalise(asked) for asked, _ in known)
            if normalise(step) in ("done", "") or repeated:
                break
            known.append((step, await self._look_up(step, moves)))
        answers = [found for _, found in known if normalise(found) != NOT_FOUND]
        if not answers or normalise(known[-1][1]) == NOT_FOUND:
            return None, StopReason.GAVE_UP
        return answers[-1], StopReason.FINISHED

    async def _look_up(self, step: str, moves: Moves) -> str:
        """What a search says on one single question, or NOT_FOUND: words that stand in no hit are no answer."""
        shelf = Shelf()
        hits = await moves.search(step, self.budget.top_k)
        passages = shelf.show(hits)
        moves.turns[-1] = replace(moves.turns[-1], observation=passages)
        if not hits:
            return NOT_FOUND
        found = await moves.write("staged_read", "answer", 90, passages=passages, question=step)
        grounded = any(contains(f"{hit.passage.title} {hit.passage.text}", found) for hit in hits)
        return found if grounded else NOT_FOUND
