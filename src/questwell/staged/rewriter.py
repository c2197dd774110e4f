"""The staged rewriter: replaces a name in the question by a phrase about another passage, one hop at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from questwell.agents import form
from questwell.agents.prompts import Prompts
from questwell.agents.proposer import Draft
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import Session
from questwell.retrieval.corpora.corpus import subject
from questwell.scoring.answers import contains, matches
from questwell.staged.drafting import Written, draft_of
from questwell.staged.facts import FactReader
from questwell.staged.paths import Hop, leading_to
from questwell.staged.session import StagedSession
from questwell.staged.wording import UNNAMED, described, put_in_place, steps
from questwell.types.corpus import Passage
from questwell.types.game import ExecutionFeedback, Proposal, Repair, Round, Seed
from questwell.types.gates import TOO_EASY, GateOutcome


@dataclass(frozen=True, slots=True)
class StagedRewriter:
    """Rewrites questions with a small model: code picks what to describe, the model words it."""

    prompts: Prompts
    limits: RolloutLimits
    thinking: int = 0
    """Maximum number of thinking tokens before each reply."""
    calls: int = 40
    """Maximum number of model calls per rewrite."""

    async def rewrite(
        self, seed: Seed, rounds: tuple[Round, ...], feedback: ExecutionFeedback, session: Session, random_seed: int
    ) -> tuple[Draft, Repair | None]:
        """Add one hop to the newest question that was solved; questions that became too hard are not extended."""
        staged = StagedSession(session, self.prompts, random_seed, thinking=self.thinking)
        base = next((played for played in reversed(rounds) if _holds(played)), rounds[-1]).proposal
        draft = await draft_of(self._rewrite(base, rounds, staged), staged)
        if draft.proposal is None:
            return draft, None
        shown = feedback.shown.index if feedback.shown else -1
        first = draft.proposal.steps[0]
        why = f"{first.answer!r} is described by what {draft.proposal.evidence[0].title!r} says of it"
        return draft, Repair(feedback.kind, shown, why, f"{base.question} -> {draft.proposal.question}")

    async def _rewrite(self, base: Proposal, rounds: Sequence[Round], staged: StagedSession) -> Written | str:
        """Return the first rewriting whose words do not find the answer, else the first one; or why there is none."""
        references = (base.answer, *base.aliases)
        tried = {played.proposal.question for played in rounds}
        pool = {one.id: one for played in rounds for one in played.proposal.evidence}
        for played in rounds:
            for attempt in played.attempts:
                pool.update((hit.passage.id, hit.passage) for hit in attempt.trajectory.hits)
        await self._search(base.question, pool, staged, self.limits.top_k)
        reader = FactReader(staged, self.limits.top_k)
        second_best, problem = None, "nothing that the question names is the subject of a passage"
        for start in _starts(base, tuple(pool.values()), references):
            if staged.searches >= self.limits.searches:
                break
            pool.update((passage.id, passage) for passage in await reader.look(subject(start)))
            for hop in leading_to(subject(start), tuple(pool.values()), base.question):
                if staged.calls >= self.calls or staged.searches >= self.limits.searches:
                    break
                written = await _extended(base, hop, start, reader)
                if isinstance(written, str):
                    problem = written
                    continue
                if written.question in tried or form.rewrite_problem(written.question, references, written.evidence):
                    continue
                found = await self._search(written.question, pool, staged, self.limits.top_k)
                if not any(contains(f"{one.title} {one.text}", answer) for one in found for answer in references):
                    return written
                second_best = second_best or written
        return second_best or problem

    async def _search(self, query: str, pool: dict[str, Passage], staged: StagedSession, k: int) -> tuple[Passage, ...]:
        """Search within the limit of searches, add the passages to the pool and return them."""
        if staged.searches >= self.limits.searches:
            return ()
        found = tuple(hit.passage for hit in await staged.search(query, k))
        pool.update((passage.id, passage) for passage in found)
        return found


async def _extended(base: Proposal, hop: Hop, start: Passage, reader: FactReader) -> Written | str:
    """Return the question with a description in place of the subject of `start`, or why the description fails."""
    evidence = {one.id: one for one in (hop.passage, start, *base.evidence)}
    if any(contains(f"{hop.passage.title} {hop.passage.text}", answer) for answer in (base.answer, *base.aliases)):
        return f"{hop.passage.title!r} holds the answer"
    facts = await reader.read((hop,))
    if isinstance(facts, str):
        return facts
    if problem := await reader.same(facts[0], start) or await reader.leads_on(facts[0]):
        return problem
    if (phrase := described(facts)).startswith(UNNAMED):
        return f"nothing says what {hop.found!r} is"
    question = put_in_place(phrase, hop.found, base.question)
    if question is None:
        return f"no phrase can take the place of {hop.found!r} in {base.question!r}"
    return Written(question, base.answer, base.aliases, (*steps(facts), *base.steps), tuple(evidence.values()))


def _starts(base: Proposal, pool: Sequence[Passage], references: Sequence[str]) -> list[Passage]:
    """Return passages about the things that the question names, one per thing, evidence first."""
    ordered = {one.id: one for one in (*base.evidence, *pool)}.values()
    by_subject: dict[str, Passage] = {}
    for passage in ordered:
        about = subject(passage)
        if contains(base.question, about) and not matches(about, references):
            by_subject.setdefault(about.casefold(), passage)
    return list(by_subject.values())


def _holds(played: Round) -> bool:
    """Return whether the round's question was solved and passed all gates, so that it may be extended."""
    doubted = any(found.outcome is not GateOutcome.PASSED and found.gate not in TOO_EASY for found in played.gates)
    return played.verdict.right > 0 and not doubted
