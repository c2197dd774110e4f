"""The staged proposer: code picks a chain of passages and an answer, the model words it step by step."""

import random
import re
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

from questwell.agents import form
from questwell.agents.prompts import Prompts
from questwell.agents.proposer import Draft
from questwell.agents.rollout import Budget
from questwell.agents.session import Session
from questwell.agents.staged.chain import Chain, Link, chains, depths
from questwell.agents.staged.moves import Moves
from questwell.agents.staged.spans import Span, fact, names, spans
from questwell.agents.tools import neutralise, show
from questwell.errors import ContextOverflow, LLMError, RetrievalError
from questwell.retrieval.corpus import subject
from questwell.scoring.answers import contains, exact_match
from questwell.types.corpus import Passage
from questwell.types.game import Proposal, Seed, Step
from questwell.types.trajectory import Role, StopReason, Style, Trajectory


@dataclass(slots=True)
class Pool:
    """Passages at hand, and what was already found out about them."""

    passages: dict[str, Passage] = field(default_factory=dict[str, Passage])
    questions: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """(passage id, answer) to the checked question, or to what was wrong with it."""
    phrases: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """(source id, name) to the checked phrase for it; empty if none could be had."""

    def add(self, passages: Sequence[Passage]) -> None:
        """Put new passages at the end."""
        for passage in passages:
            self.passages.setdefault(passage.id, passage)


@dataclass(frozen=True, slots=True)
class Plan:
    """A worded chain."""

    chain: Chain
    question: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class StagedProposer:
    """Plays the proposer for a small model."""

    prompts: Prompts
    budget: Budget
    temperature: float
    calls: int = 24
    """Model calls, each a question, a phrase or a short answer, before the proposer gives up."""
    enough: int = 8
    """Chains at hand after which it stops searching for more."""

    async def propose(self, seed: Seed, session: Session, random_seed: int) -> Draft:
        """Search around the seed for chains, then word one of them."""
        moves = Moves(session, self.prompts, random_seed, self.temperature)
        rng = random.Random(random_seed)
        return await self._draft(self._propose(seed, Pool(), moves, rng), moves)

    async def _draft(self, work: Awaitable[Plan | str], moves: Moves) -> Draft:
        """The draft that `work` leads to, with the trajectory of its moves."""
        plan: Plan | str
        stop, error = StopReason.FINISHED, ""
        try:
            plan = await work
        except ContextOverflow as overflow:
            plan, stop = f"context overflow: {overflow}", StopReason.CONTEXT
        except (LLMError, RetrievalError) as failure:
            plan, stop, error = str(failure), StopReason.ERRORED, f"{type(failure).__name__}: {failure}"
        if isinstance(plan, str) and stop is StopReason.FINISHED:
            stop = StopReason.GAVE_UP
        trajectory = Trajectory(
            role=Role.PROPOSER,
            style=Style.STAGED,
            turns=tuple(moves.turns),
            stop=stop,
            error=error,
            model=moves.session.model,
            prompts=self.prompts.hash,
        )
        if isinstance(plan, str):
            return Draft(None, trajectory, plan)
        answer = plan.chain.answer
        return Draft(
            Proposal(plan.question, answer.text, answer.aliases, plan.steps, plan.chain.passages, trajectory),
            trajectory,
        )

    async def _propose(self, seed: Seed, pool: Pool, moves: Moves, rng: random.Random) -> Plan | str:
        pool.add([seed.passage])
        await self._explore(seed, pool, moves, rng)
        problem = "the passages around the seed form no chain that ends in an answer of the wanted type"
        written = len(moves.turns) - moves.searches
        for chain in self._candidates(seed, pool, rng):
            if len(moves.turns) - moves.searches - written >= self.calls:
                break
            result = await self._word(chain, seed, pool, moves)
            if not isinstance(result, str):
                return result
            problem = result
        return problem

    def _candidates(self, seed: Seed, pool: Pool, rng: random.Random) -> list[Chain]:
        """Chains worth wording: the wanted length before the wanted type; at most two that differ only in the answer."""
        passages = list(pool.passages.values())
        wanted = seed.target or 2
        found: list[Chain] = []
        for length in range(wanted, min(wanted, 2) - 1, -1):
            for answer_type in (seed.answer_type, *seed.other_types):
                paths: Counter[tuple[str, ...]] = Counter()
                for chain in chains(passages, length, answer_type, rng, seed.passage):
                    path = tuple(passage.id for passage in chain.passages)
                    paths[path] += 1
                    if paths[path] <= 2:
                        found.append(chain)
        return found

    async def _explore(self, seed: Seed, pool: Pool, moves: Moves, rng: random.Random) -> None:
        """Search in both directions until enough chains are at hand: for what names lead to, and for who names a subject.

        Forward grows the deepest chain; backward puts a passage in front of one that already ends in an answer.
        """
        wanted = seed.target or 2
        tried: set[str] = set()

        async def search(query: str) -> None:
            tried.add(query)
            pool.add([hit.passage for hit in await moves.search(query, self.budget.top_k)])

        await search(subject(seed.passage.title))
        while moves.searches < self.budget.searches and not self._enough(seed, pool, rng):
            passages = list(pool.passages.values())
            depth = depths(passages, wanted)
            forward = {p.id: [name for name in names(p, subject(p.title)) if name not in tried] for p in passages}
            ends = [
                p for p in passages if subject(p.title) not in tried and spans(p, subject(p.title), seed.answer_type)
            ]
            starts = [p for p in passages if forward[p.id]]
            if not ends and not starts:
                return
            if starts and (moves.searches % 2 or not ends):
                near = max(
                    starts, key=lambda p: (depth[p.id] < wanted, depth[p.id], p.id == seed.passage.id, rng.random())
                )
                await search(forward[near.id][0])
            else:
                await search(subject(max(ends, key=lambda p: (depth[p.id], rng.random())).title))

    def _enough(self, seed: Seed, pool: Pool, rng: random.Random) -> bool:
        found = chains(list(pool.passages.values()), seed.target or 2, seed.answer_type, rng, seed.passage)
        return len({tuple(passage.id for passage in chain.passages) for chain in found}) >= self.enough

    async def _word(self, chain: Chain, seed: Seed, pool: Pool, moves: Moves) -> Plan | str:
        """The proposal of a chain, or why it makes none."""
        last = chain.passages[-1]
        question = await self._question(chain, pool, moves)
        if not question.endswith("?"):
            return question
        steps = [Step(question, chain.answer.text, last.id)]
        for link in reversed(chain.links):
            phrase = await self._phrase(link, pool, moves)
            if not phrase:
                return f"no phrase for {link.name!r} from {subject(link.source.title)!r}"
            question = _replace(question, link.name, phrase)
            steps.insert(0, Step(f"What is {phrase}?", link.name, link.source.id))
        if problem := form.problem(question, chain.answer.text, seed, chain.passages):
            return f"{problem} {question!r}"
        return Plan(chain, question, tuple(steps))

    async def _question(self, chain: Chain, pool: Pool, moves: Moves) -> str:
        """The checked question of the chain's last step, or what is wrong with the best that could be had."""
        last = chain.passages[-1]
        key = (last.id, chain.answer.text)
        if key not in pool.questions:
            about = chain.links[-1].name if chain.links else subject(last.title)
            pool.questions[key] = await self._new_question(last, about, chain.answer, moves)
        return pool.questions[key]

    async def _new_question(self, last: Passage, about: str, answer: Span, moves: Moves) -> str:
        question = await moves.write(
            "staged_question",
            "question",
            140,
            passage=f"{last.title}: {neutralise(fact(last, answer.text))}",
            subject=about,
            answer=answer.text,
        )
        if problem := _question_problem(question, about, answer.text):
            return f"{problem}: {question!r}"
        if last.id not in await self._found(question, moves):
            return f"searching {question!r} does not find its passage"
        found = await self._read(question, last, moves)
        if not agrees(found, answer.text, answer.aliases):
            return f"round trip: {question!r} gave {found!r}, not {answer.text!r}"
        return question

    async def _phrase(self, link: Link, pool: Pool, moves: Moves) -> str:
        key = (link.source.id, link.name)
        if key not in pool.phrases:
            pool.phrases[key] = await self._new_phrase(link, moves)
        return pool.phrases[key]

    async def _new_phrase(self, link: Link, moves: Moves) -> str:
        about = subject(link.source.title)
        phrase = await moves.write(
            "staged_phrase",
            "phrase",
            100,
            passage=f"{link.source.title}: {neutralise(fact(link.source, link.name))}",
            subject=about,
            target=link.name,
        )
        phrase = phrase.rstrip(".")
        if (
            len(phrase.split()) > 16
            or not re.match(r"the \w", phrase, re.I)
            or not contains(phrase, about)
            or contains(phrase, link.name)
        ):
            return ""
        if link.source.id not in await self._found(f"What is {phrase}?", moves):
            return ""
        found = await self._read(f"What is the name of {phrase}?", link.source, moves)
        return phrase[0].lower() + phrase[1:] if agrees(found, link.name, ()) else ""

    async def _found(self, question: str, moves: Moves) -> list[str]:
        return [hit.passage.id for hit in await moves.search(question, self.budget.top_k)]

    async def _read(self, question: str, passage: Passage, moves: Moves) -> str:
        return await moves.write("staged_read", "answer", 80, passages=show(passage, 1), question=question)


def agrees(found: str, wanted: str, aliases: Sequence[str]) -> bool:
    return exact_match(found, [wanted, *aliases]) or (contains(found, wanted) and len(found) < 2 * len(wanted) + 8)


def _question_problem(question: str, about: str, answer: str) -> str | None:
    if not contains(question, about):
        return "the subject is missing"
    if contains(question, answer):
        return "the answer is in the question"
    if len(question.split()) > 22:
        return "it is too long"
    if not question.endswith("?") or re.search(rf"{re.escape(about)}'s?\b", question) or "passage" in question.lower():
        return "it cannot be nested"
    return None


def _replace(question: str, name: str, phrase: str) -> str:
    return re.sub(rf"(?i)\b(?:the )?{re.escape(name)}(?!\w)", lambda _: phrase, question, count=1)
