"""The staged proposer: code picks a chain of passages and an answer, the model words it step by step."""

import itertools
import random
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass

from questwell.agents.prompts import Prompts
from questwell.agents.proposer import Case, Draft
from questwell.agents.rollout import Budget
from questwell.agents.session import Session
from questwell.agents.staged.chain import Chain, Link, chains, depths, links, skips_a_step
from questwell.agents.staged.moves import Moves
from questwell.agents.staged.spans import Span, names, spans
from questwell.agents.staged.writer import Worded, Writer
from questwell.errors import ContextOverflow, LLMError, RetrievalError
from questwell.retrieval.corpus import subject
from questwell.scoring.answers import normalise
from questwell.types.corpus import Passage
from questwell.types.game import Feedback, FeedbackKind, Proposal, Round, Seed
from questwell.types.trajectory import Role, StopReason, Style, Trajectory

_NO_CHAIN = "the passages form no chain that ends in an answer of the wanted type"


@dataclass(frozen=True, slots=True)
class StagedProposer:
    """Plays the proposer for a small model."""

    prompts: Prompts
    budget: Budget
    calls: int = 30
    """Model calls, each a question or a short answer, before the proposer gives up."""
    enough: int = 8
    """New chains at hand after which it stops searching and starts to word them."""
    stretch: int = 20
    """Searches at a time, before it words what chains it has."""

    async def propose(self, seed: Seed, session: Session, random_seed: int) -> Draft:
        """Search around the seed for chains, then word one of them."""
        moves = Moves(session, self.prompts, random_seed)
        return await self._draft(self._propose(seed, moves, random.Random(random_seed)), moves)

    async def repair(
        self, seed: Seed, rounds: tuple[Round, ...], case: Case, session: Session, random_seed: int
    ) -> tuple[Draft, Feedback | None]:
        """Too easy: one hop more in front, or a longer chain. Unsolved: a chain without the step that failed.

        No search: only passages that either agent has retrieved.
        """
        moves = Moves(session, self.prompts, random_seed)
        diagnosis = diagnose(rounds[-1], case)
        draft = await self._draft(self._repair(seed, rounds, case, diagnosis, moves, random.Random(random_seed)), moves)
        if draft.proposal is None:
            return draft, None
        change = f"{rounds[-1].proposal.question} -> {draft.proposal.question}"
        return draft, Feedback(case.kind, case.shown.index if case.shown else -1, diagnosis.explanation, change)

    async def _propose(self, seed: Seed, moves: Moves, rng: random.Random) -> Worded | str:
        """Search a while, word what chains there are, and search on if none could be worded."""
        pool = {seed.passage.id: seed.passage}
        asked: set[str] = set()
        tried: set[tuple[str, ...]] = set()
        writer = Writer(moves, self.budget.top_k)
        problem = _NO_CHAIN
        while True:
            exhausted = not await self._explore(seed, pool, asked, moves, rng)
            fresh = [chain for chain in self._candidates(seed, tuple(pool.values()), rng) if _key(chain) not in tried]
            tried.update(map(_key, fresh))
            result = await self._first_worded(fresh, seed, writer)
            if not isinstance(result, str):
                await self._look_outward(result, moves)
                return result
            problem = result if fresh else problem
            if exhausted or moves.calls >= self.calls:
                return problem

    async def _repair(
        self,
        seed: Seed,
        rounds: tuple[Round, ...],
        case: Case,
        diagnosis: "Diagnosis",
        moves: Moves,
        rng: random.Random,
    ) -> Worded | str:
        pool = tuple(_everything_retrieved(seed, rounds).values())
        last = rounds[-1].proposal
        writer = Writer(moves, top_k=None)
        used = {_key(_bare_chain(played.proposal)) for played in rounds}
        if case.kind is FeedbackKind.DIFFICULTY:
            worded = Worded(_bare_chain(last), last.question, last.steps)
            for link in _into(last.evidence, pool):
                extended = await writer.extend(worded, link)
                if not isinstance(extended, str) and _key(extended.chain) not in used:
                    return extended
                if moves.calls >= self.calls // 2:
                    break
        shortest = (rounds[-1].verdict.difficulty or 0) + 1 if case.kind is FeedbackKind.DIFFICULTY else 0
        others = (
            chain
            for chain in self._candidates(seed, pool, rng)
            if len(chain.passages) >= shortest and _key(chain) not in used and not diagnosis.faulty(chain)
        )
        return await self._first_worded(others, seed, writer)

    async def _look_outward(self, worded: Worded, moves: Moves) -> None:
        """Search for who names the chain's start: a repair may need one hop more, and cannot search."""
        about = subject(worded.chain.first.title)
        hits = await moves.search(about, self.budget.top_k)
        for hit in hits:
            if normalise(subject(hit.passage.title)) != normalise(about):
                await moves.search(f"{subject(hit.passage.title)} {about}", self.budget.top_k)

    async def _first_worded(self, candidates: Iterable[Chain], seed: Seed, writer: Writer) -> Worded | str:
        """The first chain that can be worded within the calls, one without a shortcut if there is any.

        Else what was wrong with the last. A shortcut is a question that, searched as it stands, finds the passage with
        its answer; the other answers at the end of that path are passed over then, for they mostly share it.
        """
        problem, second_best = _NO_CHAIN, None
        short: set[tuple[str, ...]] = set()
        for chain in candidates:
            if writer.moves.calls >= self.calls:
                break
            path = tuple(passage.id for passage in chain.passages)
            if path in short:
                continue
            result = await writer.word(chain, seed)
            if isinstance(result, str):
                problem = result
            elif chain.links and await writer.has_shortcut(result):
                short.add(path)
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
        self, seed: Seed, pool: dict[str, Passage], asked: set[str], moves: Moves, rng: random.Random
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
            pool.update((hit.passage.id, hit.passage) for hit in await moves.search(query, self.budget.top_k))

        if not asked:
            await search(subject(seed.passage.title))
        while len(asked) < self.budget.searches:
            if len(asked) >= pause or self._paths(seed, pool, rng) >= goal:
                return True
            passages = tuple(pool.values())
            depth = depths(passages, wanted)
            forward = {p.id: [name for name in names(p, subject(p.title)) if name not in asked] for p in passages}
            starts = [p for p in passages if forward[p.id]]
            ends = [
                p for p in passages if subject(p.title) not in asked and spans(p, subject(p.title), seed.answer_type)
            ]
            if starts and (len(asked) % 2 or not ends):
                near = max(
                    starts, key=lambda p: (depth[p.id] < wanted, depth[p.id], p.id == seed.passage.id, rng.random())
                )
                await search(forward[near.id][0])
            elif ends:
                await search(subject(max(ends, key=lambda p: (depth[p.id], rng.random())).title))
            else:
                return False
        return False

    def _paths(self, seed: Seed, pool: dict[str, Passage], rng: random.Random) -> int:
        """Different paths of the wanted length to an answer of the wanted type, a count."""
        found = chains(tuple(pool.values()), seed.target or 2, seed.answer_type, rng, seed.passage)
        return len({tuple(passage.id for passage in chain.passages) for chain in found})

    async def _draft(self, work: Awaitable[Worded | str], moves: Moves) -> Draft:
        """The draft that `work` leads to, with the trajectory of its moves; failures end it as data."""
        stop, error = StopReason.GAVE_UP, ""
        try:
            result = await work
        except ContextOverflow as overflow:
            result, stop = f"context overflow: {overflow}", StopReason.CONTEXT
        except (LLMError, RetrievalError) as failure:
            error = f"{type(failure).__name__}: {failure}"
            result, stop = error, StopReason.ERRORED
        trajectory = Trajectory(
            role=Role.PROPOSER,
            style=Style.STAGED,
            turns=tuple(moves.turns),
            stop=stop if isinstance(result, str) else StopReason.FINISHED,
            error=error,
            model=moves.session.model,
            prompts=self.prompts.hash,
        )
        if isinstance(result, str):
            return Draft(None, trajectory, result)
        answer = result.chain.answer
        evidence = result.chain.passages
        return Draft(
            Proposal(result.question, answer.text, answer.aliases, result.steps, evidence, trajectory), trajectory
        )


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a round showed about its chain."""

    explanation: str
    shortcut: tuple[str, ...] = ()
    """Ids of the chain's passages, when the easiest right attempt found the last of them by its first search."""
    broken_link: tuple[str, str] | None = None
    """Ids of two passages in a row, of which no attempt got from the first to the second."""
    broken_end: tuple[str, str] | None = None
    """Id of the last passage and its answer, when an attempt saw the passage and still answered otherwise."""

    def faulty(self, chain: Chain) -> bool:
        """Whether `chain` holds what failed."""
        ids = [passage.id for passage in chain.passages]
        if tuple(ids) == self.shortcut or any(pair == self.broken_link for pair in itertools.pairwise(ids)):
            return True
        return self.broken_end == (ids[-1], normalise(chain.answer.text))


def diagnose(last: Round, case: Case) -> Diagnosis:
    """Why a proposal was too easy, or where its attempts lost the chain: read off what they retrieved."""
    proposal = last.proposal
    ids = [passage.id for passage in proposal.evidence]
    titles = [passage.title for passage in proposal.evidence]
    if case.kind is FeedbackKind.DIFFICULTY and case.shown is not None:
        searched = [turn for turn in case.shown.trajectory.turns if turn.query is not None]
        found = [[hit.passage.id for hit in turn.hits] for turn in searched]
        first = next((number for number, hits in enumerate(found, 1) if ids[-1] in hits), None)
        where = (
            f"search {first} ({searched[first - 1].query!r}) already found {titles[-1]!r}, which holds the answer"
            if first
            else "the answer came from another passage than the intended one"
        )
        return Diagnosis(f"{len(searched)} searches were enough: {where}", shortcut=tuple(ids) if first == 1 else ())
    seen = {hit.passage.id for attempt in last.attempts for hit in attempt.trajectory.hits}
    lost = next((n for n, passage_id in enumerate(ids) if passage_id not in seen), None)
    given = f"; one answered {case.shown.trajectory.answer!r}" if case.shown else ""
    if lost is None:
        text = f"attempts found {titles[-1]!r} and still did not answer {proposal.answer!r}{given}"
        return Diagnosis(text, broken_end=(ids[-1], normalise(proposal.answer)))
    text = f"no attempt found {titles[lost]!r}, step {lost + 1} of {len(ids)}{given}"
    return Diagnosis(text, broken_link=(ids[lost - 1], ids[lost]) if lost else (ids[0], ids[1]) if ids[1:] else None)


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


def _into(evidence: tuple[Passage, ...], pool: tuple[Passage, ...]) -> list[Link]:
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
