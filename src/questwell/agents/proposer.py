"""The proposer: writes a question, its answer and its evidence from a seed passage, and repairs them after feedback."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from questwell.agents import form
from questwell.agents.derived import derivation
from questwell.agents.kinds import asked_for, kind_problem
from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Dialect, Finish, Sampling, without_search
from questwell.agents.rollout import Rollout, RolloutLimits, rollout
from questwell.agents.session import Session
from questwell.agents.tools import Shelf, neutralise, show
from questwell.agents.transcript import history, transcript
from questwell.llm.client import Message
from questwell.types.corpus import Passage
from questwell.types.derivation import Derivation
from questwell.types.game import ExecutionFeedback, Proposal, Repair, Round, Seed, SolutionStep
from questwell.types.trajectory import Role, StopReason, Style, Trajectory

_DERIVED = (
    "Or it is worked out from facts that stand in passages. Then add one more line to the steps: the operation, "
    "and each operand as the exact words of its passage with the passage's number, as in: "
    "difference | 1931 [2] | 1936 [4]. The operations: count (each thing that is counted), difference (two numbers "
    "or years), sum (numbers), order (`name = date` for each thing; the answer is the name of the first or the "
    "last). It is worked out again, so it must be right, and the question must not contain all the operands."
)
"""How a derived answer is written, for the prompts."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The result of a proposer: a proposal or the reason why there is none, and its trajectory."""

    proposal: Proposal | None
    trajectory: Trajectory
    problem: str = ""
    """Why there is no proposal; empty if there is one."""


class Proposer(Protocol):
    """An agent that writes questions from seed passages."""

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
        """A new pair that replaces the last round's, without searching: facts come only from what was retrieved."""
        ...


@dataclass(frozen=True, slots=True)
class FreeProposer:
    """The paper's proposer: the model decides each move."""

    prompts: Prompts
    dialect: Dialect
    limits: RolloutLimits
    sampling: Sampling

    async def propose(self, seed: Seed, session: Session, random_seed: int) -> Draft:
        """One rollout of the loop, from the seed passage."""
        shelf = Shelf([seed.passage])
        opening = self.prompts.messages(
            "proposer",
            rules=self.dialect.rules,
            turns=self.limits.turns,
            target=_target(seed),
            wanted=steps_wanted("exactly", seed),
            answer_type=seed.answer_type.value,
            derived=_DERIVED,
            seed=show(seed.passage, 1),
        )
        opening = asked_for(opening, seed.kind, self.prompts)
        return await self._play(seed, shelf, opening, self.limits, session, random_seed)

    async def repair(
        self,
        seed: Seed,
        rounds: tuple[Round, ...],
        feedback: ExecutionFeedback,
        session: Session,
        random_seed: int,
    ) -> tuple[Draft, Repair | None]:
        """One call that explains the verdict and writes a new pair; a second only if the first breaks a rule."""
        last = rounds[-1]
        shelf = retrieved(seed, rounds, feedback)
        dialect = without_search(self.dialect)
        shown, weak = feedback.shown, feedback.weak
        opening = self.prompts.messages(
            f"repair_{feedback.kind.value}",
            rules=dialect.rules,
            target=_target(seed),
            least=steps_wanted("at least", seed),
            answer_type=seed.answer_type.value,
            derived=_DERIVED,
            verdict=feedback.verdict,
            question=neutralise(last.proposal.question),
            answer=neutralise(last.proposal.answer),
            answers=answers_of(last),
            wrong_answer=neutralise((shown.trajectory.answer if shown else None) or "(none)", 200),
            searches=shown.trajectory.searches if shown else 0,
            passages="\n".join(show(passage, shelf.number(passage)) for passage in shelf.passages),
            earlier=history(rounds[:-1]),
            proposer=transcript(last.proposal.trajectory, shelf, known_only=True),
            solver=transcript(shown.trajectory, shelf, known_only=True) if shown else "(there was none)",
            weak=transcript(weak.trajectory, shelf, known_only=True) if weak else "(there was none)",
        )
        opening = asked_for(opening, seed.kind, self.prompts)
        limits = RolloutLimits(turns=2, searches=0)
        draft = await replace(self, dialect=dialect)._play(seed, shelf, opening, limits, session, random_seed)
        if draft.proposal is None:
            return draft, None
        thoughts = draft.trajectory.turns[-1].text.split("<question>")[0]
        change = f"{last.proposal.question} -> {draft.proposal.question}"
        return draft, Repair(feedback.kind, shown.index if shown else -1, explanation=thoughts.strip(), change=change)

    async def _play(
        self,
        seed: Seed,
        shelf: Shelf,
        opening: tuple[Message, ...],
        limits: RolloutLimits,
        session: Session,
        random_seed: int,
    ) -> Draft:
        def objection(finish: Finish) -> str | None:
            pair = proposal_of(finish, shelf, _UNFINISHED)
            broken = form.problem(pair.question, pair.answer, seed, pair.evidence, pair.derivation)
            return broken or kind_problem(seed.kind, pair)

        played = await rollout(opening, self.dialect, session, limits, self.sampling, random_seed, shelf, objection)
        trajectory = self._trajectory(played, session)
        finish = played.finish or played.refused  # a pair that breaks a rule is still one: the game says which rule
        if finish is None:
            return Draft(None, trajectory, f"ended without a pair ({played.stop.value}): {last_words(played)}")
        return Draft(proposal_of(finish, shelf, trajectory), trajectory)

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


_UNFINISHED = Trajectory(Role.PROPOSER, Style.FREE, (), StopReason.FINISHED)
"""Trajectory of a pair that is checked before its rollout has ended."""


def proposal_of(finish: Finish, shelf: Shelf, trajectory: Trajectory) -> Proposal:
    """The proposal that a finish writes."""
    steps = tuple(
        SolutionStep(query, answer, passage.id if (passage := shelf.passage(number or 0)) else "")
        for query, answer, number in finish.steps
    )
    evidence, worked_out = evidence_of(finish, shelf), derivation_of(finish, shelf)
    return Proposal(finish.question, finish.answer, (), steps, evidence, trajectory, worked_out)


def derivation_of(finish: Finish, shelf: Shelf) -> Derivation | None:
    """How its answer is worked out; None when it is copied."""
    return derivation(finish.derived, shelf.passage) if finish.derived else None


def evidence_of(finish: Finish, shelf: Shelf) -> tuple[Passage, ...]:
    """The passages that it cites, each once."""
    operands = finish.derived.operands if finish.derived else ()
    numbers = (*(number for _, _, number in finish.steps), *finish.also, *(number for _, number in operands))
    cited = (shelf.passage(number) for number in numbers if number is not None)
    return tuple({passage.id: passage for passage in cited if passage is not None}.values())


def retrieved(seed: Seed, rounds: Sequence[Round], feedback: ExecutionFeedback) -> Shelf:
    """The passages that a repair may use, the most useful first, limited in size: searches can have 67,000 tokens.

    The seed, the last pair's evidence, what the shown attempt found, what the proposer found, then all else.
    """
    last = rounds[-1]
    first = [hit for one in (feedback.shown, feedback.weak) if one for hit in one.trajectory.hits]
    passages = [seed.passage, *last.proposal.evidence, *(hit.passage for hit in first)]
    for played in reversed(rounds):
        for trajectory in (played.proposal.trajectory, *(attempt.trajectory for attempt in played.attempts)):
            passages.extend(hit.passage for hit in trajectory.hits)
    unlike = list({passage.id: passage for passage in passages if passage.text}.values())
    kept: list[Passage] = []
    characters = 0
    for passage in unlike:
        characters += len(show(passage, 1))
        if kept and characters > _REPAIR_CHARACTERS:
            break
        kept.append(passage)
    return Shelf(kept)


_REPAIR_CHARACTERS = 40_000
"""Maximum characters of the passages in a repair's prompt: some 10,000 tokens, 50 passages of 100 words."""


def answers_of(last: Round) -> str:
    """One line per attempt with its answer: if attempts agree on another answer, the reference may be wrong."""
    lines: list[str] = []
    for attempt in last.attempts:
        given, label = attempt.trajectory.answer, attempt.judgement.label.value
        said = f'"{" ".join(neutralise(given, 200).split())}" ({label})' if given else "no answer"
        lines.append(f"- attempt {attempt.index + 1}: {said}, {attempt.trajectory.searches} searches")
    return "\n".join(lines)


def _target(seed: Seed) -> str:
    return "multiple" if seed.target is None else str(seed.target)


def steps_wanted(how: str, seed: Seed) -> str:
    """The requested number of search steps in words; the paper's "multiple" if it is left open."""
    if seed.target is None:
        return "multiple search steps"
    return f"{how} {seed.target} search step{'' if seed.target == 1 else 's'}"


def last_words(played: Rollout) -> str:
    """The last message shown to an agent that ended without a pair, or how it ended."""
    return (played.turns[-1].observation if played.turns else played.error) or played.stop.value
