"""The proposer: from a seed passage to a question, its answer and its evidence; and its repair after feedback."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from questwell.agents import form
from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Dialect, Finish, Limits
from questwell.agents.rollout import Budget, Rollout, rollout
from questwell.agents.session import Session
from questwell.agents.tools import Shelf, neutralise, show
from questwell.agents.transcript import history, transcript
from questwell.llm.client import Message
from questwell.types.corpus import Passage
from questwell.types.game import ExecutionFeedback, Proposal, Repair, Round, Seed, Step
from questwell.types.trajectory import Role, Style, Trajectory


@dataclass(frozen=True, slots=True)
class Draft:
    """What a proposer came up with."""

    proposal: Proposal | None
    trajectory: Trajectory
    problem: str = ""
    """Why there is no proposal, when there is none."""


class Proposer(Protocol):
    """Writes questions."""

    async def propose(self, seed: Seed, session: Session, random_seed: int) -> Draft:
        """A new pair from the seed. Failures of a provider are in the trajectory (ERRORED), not raised."""
        ...

    async def repair(
        self,
        seed: Seed,
        rounds: tuple[Round, ...],
        feedback: ExecutionFeedback,
        session: Session,
        random_seed: int,
    ) -> tuple[Draft, Repair | None]:
        """A pair in place of the last round's, without searching: facts only from what was retrieved."""
        ...


@dataclass(frozen=True, slots=True)
class FreeProposer:
    """The paper's proposer: the model decides each move."""

    prompts: Prompts
    dialect: Dialect
    budget: Budget
    limits: Limits

    async def propose(self, seed: Seed, session: Session, random_seed: int) -> Draft:
        """One rollout of the loop, from the seed passage."""
        shelf = Shelf([seed.passage])
        opening = self.prompts.messages(
            "proposer",
            rules=self.dialect.rules,
            turns=self.budget.turns,
            target=_target(seed),
            answer_type=seed.answer_type.value,
            seed=show(seed.passage, 1),
        )
        return await self._play(seed, shelf, opening, self.budget, session, random_seed)

    async def repair(
        self,
        seed: Seed,
        rounds: tuple[Round, ...],
        feedback: ExecutionFeedback,
        session: Session,
        random_seed: int,
    ) -> tuple[Draft, Repair | None]:
        """One call that explains the verdict and writes a new pair; a second only if the first breaks a rule."""
        shelf = _everything_retrieved(seed, rounds)
        last = rounds[-1]
        opening = self.prompts.messages(
            f"repair_{feedback.kind.value}",
            rules=self.dialect.rules,
            target=_target(seed),
            answer_type=seed.answer_type.value,
            question=neutralise(last.proposal.question),
            answer=neutralise(last.proposal.answer),
            wrong_answer=neutralise((feedback.shown.trajectory.answer if feedback.shown else None) or "(none)"),
            searches=feedback.shown.trajectory.searches if feedback.shown else 0,
            passages="\n".join(show(passage, shelf.number(passage)) for passage in shelf.passages),
            earlier=history(rounds[:-1]),
            proposer=transcript(rounds[-1].proposal.trajectory, shelf),
            solver=transcript(feedback.shown.trajectory, shelf) if feedback.shown else "(no attempt gave an answer)",
        )
        budget = Budget(turns=2, searches=0)
        draft = await self._play(seed, shelf, opening, budget, session, random_seed)
        if draft.proposal is None:
            return draft, None
        thoughts = draft.trajectory.turns[-1].text.split("<question>")[0]
        shown = feedback.shown.index if feedback.shown else -1
        change = f"{last.proposal.question} -> {draft.proposal.question}"
        return draft, Repair(feedback.kind, shown, explanation=thoughts.strip(), change=change)

    async def _play(
        self, seed: Seed, shelf: Shelf, opening: tuple[Message, ...], budget: Budget, session: Session, random_seed: int
    ) -> Draft:
        def objection(finish: Finish) -> str | None:
            evidence = _evidence(finish, shelf)
            return form.problem(finish.question, finish.answer, seed, evidence)

        played = await rollout(opening, self.dialect, session, budget, self.limits, random_seed, shelf, objection)
        trajectory = self._trajectory(played, session)
        finish = played.finish or played.refused  # a pair that breaks a rule is still one: the game says which rule
        if finish is None:
            return Draft(None, trajectory, f"ended without a pair ({played.stop.value}): {_last_words(played)}")
        return Draft(_proposal(finish, shelf, trajectory), trajectory)

    def _trajectory(self, played: Rollout, session: Session) -> Trajectory:
        return Trajectory(
            role=Role.PROPOSER,
            style=Style.FREE,
            turns=played.turns,
            stop=played.stop,
            error=played.error,
            model=session.model,
            prompts=self.prompts.hash,
            tokens=played.tokens,
        )


def _proposal(finish: Finish, shelf: Shelf, trajectory: Trajectory) -> Proposal:
    steps = tuple(
        Step(query, answer, passage.id if (passage := shelf.passage(number or 0)) else "")
        for query, answer, number in finish.steps
    )
    return Proposal(finish.question, finish.answer, (), steps, _evidence(finish, shelf), trajectory)


def _evidence(finish: Finish, shelf: Shelf) -> tuple[Passage, ...]:
    numbers = (*(number for _, _, number in finish.steps if number is not None), *finish.also)
    cited = map(shelf.passage, numbers)
    return tuple({passage.id: passage for passage in cited if passage is not None}.values())


def _everything_retrieved(seed: Seed, rounds: Sequence[Round]) -> Shelf:
    shelf = Shelf([seed.passage])
    for played in rounds:
        for trajectory in (played.proposal.trajectory, *(attempt.trajectory for attempt in played.attempts)):
            for hit in trajectory.hits:
                shelf.number(hit.passage)
    return shelf


def _target(seed: Seed) -> str:
    return "multiple" if seed.target is None else str(seed.target)


def _last_words(played: Rollout) -> str:
    return (played.turns[-1].observation if played.turns else played.error) or played.stop.value
