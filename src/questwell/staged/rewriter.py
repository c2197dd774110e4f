"""The staged rewriter: a thing that the question names becomes a phrase about another passage, one hop at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from questwell.agents import form
from questwell.agents.prompts import Prompts
from questwell.agents.proposer import Draft
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import Session
from questwell.errors import ContextOverflow, LLMError, LLMFiltered, RetrievalError
from questwell.retrieval.corpora.corpus import subject
from questwell.scoring.answers import contains, matches
from questwell.staged.chain import Chain
from questwell.staged.proposer import RELATIONS, into
from questwell.staged.session import StagedSession
from questwell.staged.spans import Span
from questwell.staged.writer import Worded, Writer
from questwell.types.corpus import Passage
from questwell.types.game import ExecutionFeedback, Proposal, Repair, Round, Seed
from questwell.types.gates import TOO_EASY, GateOutcome
from questwell.types.trajectory import Role, StopReason, Style, Trajectory


@dataclass(frozen=True, slots=True)
class StagedRewriter:
    """Rewrites for a small model: code picks what to describe, the model words it."""

    prompts: Prompts
    limits: RolloutLimits
    thinking: int = 0
    """Tokens of a thought before each reply."""
    calls: int = 40
    """Model calls before it gives up."""
    reach: int = 10
    """Passages per search for material."""

    async def rewrite(
        self, seed: Seed, rounds: tuple[Round, ...], feedback: ExecutionFeedback, session: Session, random_seed: int
    ) -> tuple[Draft, Repair | None]:
        """One hop more in front of the newest question that was solved: what went too far is not built upon."""
        staged = StagedSession(session, self.prompts, random_seed, thinking=self.thinking)
        base = next((played for played in reversed(rounds) if _holds(played)), rounds[-1]).proposal
        stop, error = StopReason.GAVE_UP, ""
        try:
            result = await self._rewrite(base, rounds, staged)
        except ContextOverflow as overflow:
            result, stop = f"context overflow: {overflow}", StopReason.CONTEXT
        except LLMFiltered as failure:
            result, error, stop = str(failure), str(failure), StopReason.FILTERED
        except (LLMError, RetrievalError) as failure:
            error = f"{type(failure).__name__}: {failure}"
            result, stop = error, StopReason.ERRORED
        trajectory = Trajectory(
            role=Role.PROPOSER,
            style=Style.STAGED,
            turns=tuple(staged.turns),
            stop=stop if isinstance(result, str) else StopReason.FINISHED,
            error=error,
            model=session.model,
            prompts=self.prompts.hash,
        )
        if isinstance(result, str):
            return Draft(None, trajectory, result), None
        evidence = {one.id: one for one in (*result.chain.passages, *base.evidence)}
        proposal = Proposal(
            result.question, base.answer, base.aliases, result.steps, tuple(evidence.values()), trajectory
        )
        shown = feedback.shown.index if feedback.shown else -1
        link = result.chain.links[0]
        why = f"{link.name!r} is described by what {subject(link.source)!r} says of it"
        return Draft(proposal, trajectory), Repair(feedback.kind, shown, why, f"{base.question} -> {proposal.question}")

    async def _rewrite(self, base: Proposal, rounds: Sequence[Round], staged: StagedSession) -> Worded | str:
        """The first rewriting whose own words do not find the answer, else the first of all; or why there is none."""
        references = (base.answer, *base.aliases)
        tried = {played.proposal.question for played in rounds}
        pool = {one.id: one for played in rounds for one in played.proposal.evidence}
        for played in rounds:
            for attempt in played.attempts:
                pool.update((hit.passage.id, hit.passage) for hit in attempt.trajectory.hits)
        await self._search(base.question, pool, staged)
        writer = Writer(staged, self.limits.top_k)
        second_best, problem = None, "nothing that the question names is the subject of a passage"
        for start in _starts(base, tuple(pool.values()), references):
            await self._look_outward(start, pool, staged)
            chain = Chain(start, (), Span(base.answer, base.aliases))
            for link in into((start, *base.evidence), tuple(pool.values())):
                if writer.staged.calls >= self.calls:
                    break
                extended = await writer.extend(Worded(chain, base.question, base.steps), link)
                if isinstance(extended, str):
                    problem = extended
                    continue
                evidence = (*extended.chain.passages, *base.evidence)
                if extended.question in tried or form.rewrite_problem(extended.question, references, evidence):
                    continue
                found = await self._search(extended.question, pool, staged, self.limits.top_k)
                if not any(contains(f"{one.title} {one.text}", answer) for one in found for answer in references):
                    return extended
                second_best = second_best or extended
        return second_best or problem

    async def _look_outward(self, start: Passage, pool: dict[str, Passage], staged: StagedSession) -> None:
        """Search for passages about other things that name the subject of `start`."""
        about = subject(start)
        for query in (about, *(f"{relation} {about}" for relation in RELATIONS)):
            await self._search(query, pool, staged)

    async def _search(
        self, query: str, pool: dict[str, Passage], staged: StagedSession, k: int | None = None
    ) -> tuple[Passage, ...]:
        """What a search finds, as far as the limit of searches goes; it is put into the pool."""
        if staged.searches >= self.limits.searches:
            return ()
        found = tuple(hit.passage for hit in await staged.search(query, k or self.reach))
        pool.update((passage.id, passage) for passage in found)
        return found


def _starts(base: Proposal, pool: Sequence[Passage], references: Sequence[str]) -> list[Passage]:
    """Passages about something that the question names, those of the evidence first, one for each thing."""
    ordered = {one.id: one for one in (*base.evidence, *pool)}.values()
    by_subject: dict[str, Passage] = {}
    for passage in ordered:
        about = subject(passage)
        if contains(base.question, about) and not matches(about, references):
            by_subject.setdefault(about.casefold(), passage)
    return list(by_subject.values())


def _holds(played: Round) -> bool:
    """Whether its question was solved, and no gate doubts it: then it may be built upon."""
    doubted = any(found.outcome is not GateOutcome.PASSED and found.gate not in TOO_EASY for found in played.gates)
    return played.verdict.right > 0 and not doubted
