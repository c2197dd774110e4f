"""The staged proposer: code picks a chain of passages and an answer, the model words it step by step."""

import random
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass, replace

from questwell.agents import form
from questwell.agents.prompts import Prompts
from questwell.agents.proposer import Draft
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import Session
from questwell.errors import ContextOverflow, LLMError, LLMFiltered, RetrievalError
from questwell.retrieval.corpora.corpus import subject
from questwell.scoring.answers import normalise
from questwell.staged.chain import Chain, Link, chains, depths, links, skips_a_step
from questwell.staged.diagnosis import Diagnosis, diagnose
from questwell.staged.session import StagedSession
from questwell.staged.spans import Span, names, spans
from questwell.staged.writer import Worded, Writer
from questwell.types.corpus import Passage
from questwell.types.game import ExecutionFeedback, Proposal, Repair, Round, Seed
from questwell.types.trajectory import Role, StopReason, Style, Trajectory

RELATIONS = ("based on", "developed by", "written in", "version of", "used by")
"""Words that stand before a name in passages about something else."""
_NO_CHAIN = "the passages form no chain that ends in an answer of the wanted type"


@dataclass(frozen=True, slots=True)
class StagedProposer:
    """Plays the proposer for a small model."""

    prompts: Prompts
    limits: RolloutLimits
    thinking: int = 0
    """Tokens of a thought before each reply."""
    calls: int = 40
    """Model calls, each a question or a short answer, before the proposer gives up; a repair has half of them."""
    enough: int = 8
    """New chains at hand after which it stops searching and starts to word them."""
    reach: int = 10
    """Passages per search for material. The checks of what was written search as a solver does, `limits.top_k`."""
    stretch: int = 20
    """Searches at a time, before it words what chains it has."""

    async def propose(self, seed: Seed, session: Session, random_seed: int) -> Draft:
        """Search around the seed for chains, then word one of them."""
        staged = StagedSession(session, self.prompts, random_seed, thinking=self.thinking)
        return await self._draft(self._propose(seed, staged, random.Random(random_seed)), staged)

    async def repair(
        self,
        seed: Seed,
        rounds: tuple[Round, ...],
        feedback: ExecutionFeedback,
        session: Session,
        random_seed: int,
    ) -> tuple[Draft, Repair | None]:
        """Too easy: one hop more in front, or a longer chain. Unsolved: a chain without the step that failed.

        Stopped by a gate that doubts the question: another chain.

        No search: only passages that either agent has retrieved.
        """
        staged = StagedSession(session, self.prompts, random_seed, thinking=self.thinking)
        diagnosis = diagnose(rounds[-1], feedback)
        brief = replace(self, calls=self.calls // 2)
        work = brief._repair(seed, rounds, feedback, diagnosis, staged, random.Random(random_seed))
        draft = await self._draft(work, staged)
        if draft.proposal is None:
            return draft, None
        change = f"{rounds[-1].proposal.question} -> {draft.proposal.question}"
        return draft, Repair(
            feedback.kind,
            feedback.shown.index if feedback.shown else -1,
            diagnosis.explanation,
            change,
        )

    async def _propose(self, seed: Seed, staged: StagedSession, rng: random.Random) -> Worded | str:
        """Search a while, word what chains there are, and search on if none could be worded."""
        pool = {seed.passage.id: seed.passage}
        asked: set[str] = set()
        writer = Writer(staged, self.limits.top_k)
        problem = _NO_CHAIN
        while True:
            exhausted = not await self._explore(seed, pool, asked, staged, rng)
            candidates = list(self._candidates(seed, tuple(pool.values()), rng))
            result = await self._first_worded(candidates, seed, writer)
            if not isinstance(result, str):
                await self._look_outward(result, pool, staged)
                return await self._lengthen(result, tuple(pool.values()), seed, seed.target or 2, writer) or result
            problem = result if candidates else problem
            if exhausted or staged.calls >= self.calls:
                return problem

    async def _repair(
        self,
        seed: Seed,
        rounds: tuple[Round, ...],
        feedback: ExecutionFeedback,
        diagnosis: Diagnosis,
        staged: StagedSession,
        rng: random.Random,
    ) -> Worded | str:
        pool = tuple(_everything_retrieved(seed, rounds).values())
        last = rounds[-1].proposal
        writer = Writer(staged, top_k=None)
        used = {_key(_bare_chain(played.proposal)) for played in rounds}
        shortest = 0
        if feedback.harder:
            wanted = seed.target or len(last.evidence) + 1
            worded = Worded(_bare_chain(last), last.question, last.steps)
            longer = await self._lengthen(worded, pool, seed, max(wanted, len(last.evidence) + 1), writer)
            if longer is not None and _key(longer.chain) not in used:
                return longer
            shortest = max(wanted, (rounds[-1].verdict.difficulty or 0) + 1)
        others = (
            chain
            for chain in self._candidates(seed, pool, rng)
            if len(chain.passages) >= shortest and _key(chain) not in used and not diagnosis.faulty(chain)
        )
        return await self._first_worded(others, seed, writer)

    async def _lengthen(
        self, worded: Worded, pool: tuple[Passage, ...], seed: Seed, wanted: int, writer: Writer
    ) -> Worded | None:
        """The question with hops in front until it has `wanted`, or as many as could be had; None without any."""
        longest = None
        while len(worded.chain.passages) < wanted:
            extended = await self._one_hop_more(worded, pool, seed, writer)
            if extended is None:
                break
            worded = longest = extended
        return longest

    async def _one_hop_more(
        self, worded: Worded, pool: tuple[Passage, ...], seed: Seed, writer: Writer
    ) -> Worded | None:
        for link in into(worded.chain.passages, pool):
            if writer.staged.calls >= self.calls:
                break
            extended = await writer.extend(worded, link)
            if isinstance(extended, str) or _form_problem(extended, seed) or await writer.has_shortcut(extended):
                continue
            return extended
        return None

    async def _look_outward(self, worded: Worded, pool: dict[str, Passage], staged: StagedSession) -> None:
        """Search, within the budget, for who names the chain's start: a repair, which cannot, may need a hop more."""
        about = subject(worded.chain.first)

        async def search(query: str) -> tuple[Passage, ...]:
            if staged.searches >= self.limits.searches:
                return ()
            found = tuple(hit.passage for hit in await staged.search(query, self.reach))
            pool.update((passage.id, passage) for passage in found)
            return found

        for passage in await search(about):
            if normalise(subject(passage)) != normalise(about):
                await search(f"{subject(passage)} {about}")
        for relation in RELATIONS:
            await search(f"{relation} {about}")

    async def _first_worded(self, candidates: Iterable[Chain], seed: Seed, writer: Writer) -> Worded | str:
        """The first chain that can be worded within the calls, one without a shortcut if there is any.

        Longest first, then what has the fewest pieces still to be tried: a piece that came out once serves every chain
        that holds it. Else what was wrong with the last. A shortcut is a question that, searched as it stands, finds
        the passage with its answer; the other answers at the end of that path are passed over then, for they mostly
        share it.
        """
        problem, second_best = _NO_CHAIN, None
        left = list(candidates)
        while writer.staged.calls < self.calls:
            left = [chain for chain in left if not writer.fails(chain)]
            if not left:
                break
            chain = min(left, key=lambda chain: (-len(chain.passages), writer.unknown(chain)))
            left.remove(chain)
            result = await writer.word(chain, seed)
            if isinstance(result, str):
                problem = result
            elif chain.links and await writer.has_shortcut(result):
                path = [passage.id for passage in chain.passages]
                left = [other for other in left if [passage.id for passage in other.passages] != path]
                second_best = second_best or result
            else:
                return result
        return second_best or problem

    def _candidates(self, seed: Seed, pool: tuple[Passage, ...], rng: random.Random) -> Iterator[Chain]:
        """Chains worth wording, those of the wanted length first; the answers at the end of one path side by side."""
        wanted = seed.target or 2
        for length in range(wanted, min(wanted, 2) - 1, -1):
            for answer_type in (seed.answer_type, *seed.other_types):
                paths: dict[tuple[str, ...], list[Chain]] = {}
                for chain in chains(pool, length, answer_type, rng, seed.passage):
                    paths.setdefault(tuple(passage.id for passage in chain.passages), []).append(chain)
                for answers in paths.values():
                    yield from answers

    async def _explore(
        self, seed: Seed, pool: dict[str, Passage], asked: set[str], staged: StagedSession, rng: random.Random
    ) -> bool:
        """Search in both directions until enough new chains are at hand; whether there is more to search for.

        Forward, for what a passage names, grows the deepest chain; backward, for the subject of a passage that holds an
        answer, finds who names it. `asked` holds the queries so far.
        """
        wanted = seed.target or 2
        goal = self._paths(seed, pool, rng) + self.enough
        pause = len(asked) + self.stretch

        async def search(query: str) -> None:
            asked.add(query)
            pool.update((hit.passage.id, hit.passage) for hit in await staged.search(query, self.reach))

        if not asked:
            await search(subject(seed.passage))
        while len(asked) < self.limits.searches:
            if len(asked) >= pause or self._paths(seed, pool, rng) >= goal:
                return True
            passages = tuple(pool.values())
            depth = depths(passages, wanted)
            forward = {p.id: [name for name in names(p, subject(p)) if name not in asked] for p in passages}
            starts = [p for p in passages if forward[p.id]]
            ends = [p for p in passages if subject(p) not in asked and spans(p, subject(p), seed.answer_type)]
            if starts and (len(asked) % 2 or not ends):
                near = max(
                    starts, key=lambda p: (depth[p.id] < wanted, depth[p.id], p.id == seed.passage.id, rng.random())
                )
                await search(forward[near.id][0])
            elif ends:
                await search(subject(max(ends, key=lambda p: (depth[p.id], rng.random()))))
            elif unknown := [term for p in passages for term in (*p.links, subject(p)) if term not in asked]:
                await search(rng.choice(unknown))
            else:
                return False
        return False

    def _paths(self, seed: Seed, pool: dict[str, Passage], rng: random.Random) -> int:
        """Number of different paths of the wanted length to an answer of the wanted type."""
        found = chains(tuple(pool.values()), seed.target or 2, seed.answer_type, rng, seed.passage)
        return len({tuple(passage.id for passage in chain.passages) for chain in found})

    async def _draft(self, work: Awaitable[Worded | str], staged: StagedSession) -> Draft:
        """The draft that `work` leads to, with the trajectory of its moves; failures end it as data."""
        stop, error = StopReason.GAVE_UP, ""
        try:
            result = await work
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
            model=staged.session.model,
            prompts=self.prompts.hash,
        )
        if isinstance(result, str):
            return Draft(None, trajectory, result)
        answer = result.chain.answer
        evidence = result.chain.passages
        return Draft(
            Proposal(result.question, answer.text, answer.aliases, result.steps, evidence, trajectory), trajectory
        )


def _form_problem(worded: Worded, seed: Seed) -> str | None:
    return form.problem(worded.question, worded.chain.answer.text, seed, worded.chain.passages)


def _key(chain: Chain) -> tuple[str, ...]:
    """What makes it this chain and no other."""
    return (*(passage.id for passage in chain.passages), normalise(chain.answer.text))


def _everything_retrieved(seed: Seed, rounds: Iterable[Round]) -> dict[str, Passage]:
    pool = {seed.passage.id: seed.passage}
    for played in rounds:
        for trajectory in (played.proposal.trajectory, *(attempt.trajectory for attempt in played.attempts)):
            pool.update((hit.passage.id, hit.passage) for hit in trajectory.hits)
    return pool


def _bare_chain(proposal: Proposal) -> Chain:
    """The chain of a proposal, as far as its evidence and steps tell it."""
    evidence = proposal.evidence
    hops = tuple(
        Link(source, step.answer, target)
        for source, target, step in zip(evidence, evidence[1:], proposal.steps, strict=False)
    )
    return Chain(evidence[0], hops, Span(proposal.answer, proposal.aliases))


def into(evidence: tuple[Passage, ...], pool: tuple[Passage, ...]) -> list[Link]:
    """Links from other documents to the first passage of a chain that would not give a later step away."""
    documents = {passage.document_id for passage in evidence}
    found = [
        link
        for source in pool
        if source.document_id not in documents
        for link in links(source, [evidence[0]])
        if not skips_a_step(source, evidence)
    ]
    return sorted(found, key=lambda link: (-link.weight, link.source.id))
