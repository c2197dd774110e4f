"""The rewriter: searches, and makes a given question harder without changing its answer."""

from dataclasses import dataclass, replace
from typing import Protocol

from questwell.agents import form
from questwell.agents.prompts import Prompts
from questwell.agents.proposer import (
    Draft,
    answers_of,
    derivation_of,
    evidence_of,
    last_words,
    proposal_of,
    retrieved,
    steps_wanted,
)
from questwell.agents.protocol import Dialect, Finish, Sampling
from questwell.agents.rollout import RolloutLimits, rollout
from questwell.agents.session import Session
from questwell.agents.tools import neutralise, show
from questwell.agents.transcript import history, transcript
from questwell.scoring.answers import matches
from questwell.types.game import ExecutionFeedback, FeedbackKind, Repair, Round, Seed
from questwell.types.trajectory import Role, Style, Trajectory

PROMPTS = ("harden_correctness", "harden_difficulty")
"""The prompt files of a free rewriter."""


class Rewriter(Protocol):
    """An agent that makes questions harder."""

    async def rewrite(
        self, seed: Seed, rounds: tuple[Round, ...], feedback: ExecutionFeedback, session: Session, random_seed: int
    ) -> tuple[Draft, Repair | None]:
        """A new question with the same answer as the last round's. Failures are in the trajectory, not raised."""
        ...


@dataclass(frozen=True, slots=True)
class FreeRewriter:
    """A rewriter whose model decides each move."""

    prompts: Prompts
    dialect: Dialect
    limits: RolloutLimits
    sampling: Sampling

    async def rewrite(
        self, seed: Seed, rounds: tuple[Round, ...], feedback: ExecutionFeedback, session: Session, random_seed: int
    ) -> tuple[Draft, Repair | None]:
        """One rollout of the loop, from what was retrieved so far."""
        last = rounds[-1].proposal
        references = (last.answer, *last.aliases)
        shelf = retrieved(seed, rounds, feedback)

        def objection(finish: Finish) -> str | None:
            if not matches(finish.answer, references):
                return f"The answer must stay {last.answer!r}; you wrote {neutralise(finish.answer, 100)!r}."
            evidence, derived = evidence_of(finish, shelf), derivation_of(finish, shelf)
            return form.rewrite_problem(finish.question, references, evidence, derived)

        shown = feedback.shown
        kind = FeedbackKind.DIFFICULTY if feedback.harder else FeedbackKind.CORRECTNESS
        opening = self.prompts.messages(
            f"harden_{kind.value}",
            rules=self.dialect.rules,
            turns=self.limits.turns,
            least=steps_wanted("at least", seed),
            verdict=feedback.verdict,
            question=neutralise(last.question),
            answer=neutralise(last.answer),
            answers=answers_of(rounds[-1]),
            searches=shown.trajectory.searches if shown else 0,
            passages="\n".join(show(passage, shelf.number(passage)) for passage in shelf.passages) or "(none)",
            earlier=history(rounds[:-1]),
            solver=transcript(shown.trajectory, shelf, known_only=True) if shown else "(there was none)",
        )
        played = await rollout(
            opening, self.dialect, session, self.limits, self.sampling, random_seed, shelf, objection
        )
        trajectory = Trajectory(
            role=Role.PROPOSER,
            style=Style.FREE,
            turns=played.turns,
            stop=played.stop,
            error=played.error,
            model=session.model,
            prompts=self.prompts.hash,
            tokens=played.tokens,
        )
        if played.finish is None:
            refused = objection(played.refused) if played.refused else None
            return Draft(None, trajectory, refused or f"ended without a question: {last_words(played)}"), None
        written = proposal_of(played.finish, shelf, trajectory)
        proposal = replace(written, answer=last.answer, aliases=last.aliases)
        thoughts = played.turns[-1].text.split("<question>")[0]
        change = f"{last.question} -> {proposal.question}"
        repair = Repair(feedback.kind, shown.index if shown else -1, explanation=thoughts.strip(), change=change)
        return Draft(proposal, trajectory), repair
