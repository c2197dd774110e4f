"""The staged proposer: code finds paths over passages, the model reads a fact per hop, code words the question."""

import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from dataclasses import dataclass

from questwell.agents import form
from questwell.agents.prompts import Prompts
from questwell.agents.proposer import Draft
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import Session
from questwell.retrieval.corpora.corpus import subject
from questwell.scoring.answers import contains, normalise
from questwell.staged.diagnosis import Diagnosis, diagnose
from questwell.staged.drafting import Written, draft_of, written_of
from questwell.staged.facts import UNDECIDED, FactReader
from questwell.staged.likeness import tells
from questwell.staged.pairing import Pairing
from questwell.staged.paths import Path, apart, is_ambiguous, paths, promise, searches
from questwell.staged.session import StagedSession
from questwell.staged.spans import fact_sentences, year_of
from questwell.staged.values import values
from questwell.staged.wording import UNNAMED, Fact
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType, ExecutionFeedback, Repair, Round, Seed

_NO_PATH = "the passages form no path that ends in an answer of the wanted type"
_AHEAD = 3
"""Searches spent after a question is written to prepare a longer path for a repair, which cannot search."""
_HOPEFUL = 3.0
"""Minimum promise of a path that counts towards `enough`: reading costs more than searching."""
_OPENING = 300
"""Maximum characters of the seed passage's first sentence as a query."""
_UNREAD = 2
"""Penalty on a path's promise for each hop not yet read."""


@dataclass(frozen=True, slots=True)
class StagedProposer:
    """Plays the proposer for a small model."""

    prompts: Prompts
    limits: RolloutLimits
    thinking: int = 0
    """Maximum number of thinking tokens before each reply."""
    calls: int = 18
    """Maximum number of (short) model calls for a two-step question; more steps get proportionally more, a repair
    gets half."""
    searches: int = 10
    """Maximum number of searches per step, never more than `limits.searches`. At least one per step is kept for
    checks."""
    enough: int = 3
    """Number of promising paths without a common hop at which the proposer stops searching and starts to read."""
    reach: int = 20
    """Passages per search for material. The checks of what was written search as a solver does, `limits.top_k`."""
    stretch: int = 4
    """Number of searches between two rounds of reading paths."""

    async def propose(self, seed: Seed, session: Session, random_seed: int) -> Draft:
        """Search around the seed for paths, then put one of them into words."""
        staged = StagedSession(session, self.prompts, random_seed, thinking=self.thinking)
        return await draft_of(self._propose(seed, staged, random.Random(random_seed)), staged)

    async def repair(
        self,
        seed: Seed,
        rounds: tuple[Round, ...],
        feedback: ExecutionFeedback,
        session: Session,
        random_seed: int,
    ) -> tuple[Draft, Repair | None]:
        """Propose a longer path if the question was too easy, or one without the failed hop if it was unsolved.

        If a gate rejected the question, propose another path. A repair does not search: it uses only passages that
        either agent has retrieved.
        """
        staged = StagedSession(session, self.prompts, random_seed, thinking=self.thinking)
        diagnosis = diagnose(rounds[-1], feedback)
        work = self._repair(seed, rounds, feedback, diagnosis, staged, random.Random(random_seed))
        draft = await draft_of(work, staged)
        if draft.proposal is None:
            return draft, None
        change = f"{rounds[-1].proposal.question} -> {draft.proposal.question}"
        shown = feedback.shown.index if feedback.shown else -1
        return draft, Repair(feedback.kind, shown, diagnosis.explanation, change)

    async def _propose(self, seed: Seed, staged: StagedSession, rng: random.Random) -> Written | str:
        """Alternate between searching and reading the paths found, until one holds or the limits are reached."""
        pool = {seed.passage.id: seed.passage}
        reader = FactReader(staged, self.limits.top_k, self.reach)
        wanted = seed.target or 2
        calls, most = self.calls * wanted // 2, self._most(seed)
        problem = _NO_PATH
        if wanted in (3, 4):  # two chains of two searches, or one and a name, hold more often than a longer chain
            compared = await self._compared(seed, pool, reader, rng, calls * 2 // 3)
            if isinstance(compared, Written):
                return compared
            problem = compared
        while True:
            before = (staged.calls, staged.searches)
            exhausted = not await self._explore(seed, pool, reader, wanted, self.stretch, rng)
            candidates = paths(tuple(pool.values()), wanted, _types(seed), seed.passage, rng)
            result = await self._first_sound(candidates, seed, pool, reader, calls)
            if isinstance(result, Written):
                await self._explore(seed, pool, reader, wanted + 1, _AHEAD, rng)
                return result
            problem = problem if result == _NO_PATH else result
            spent = staged.calls >= calls or staged.searches >= most
            if exhausted or spent or before == (staged.calls, staged.searches):
                return problem

    async def _compared(
        self, seed: Seed, pool: dict[str, Passage], reader: FactReader, rng: random.Random, calls: int
    ) -> Written | str:
        """Return a comparison, searching for what can be compared and reading it in turn; or why none holds."""
        wanted, staged = seed.target or 2, reader.staged
        pairing = Pairing(seed, pool, reader, rng, self._sound, calls, self._most(seed))
        more, result = True, _NO_PATH
        while more and staged.calls < calls:  # what was read and failed may leave others to be found
            before = (staged.calls, staged.searches)
            more = await self._explore(pairing.sides_of, pool, reader, 2, 2 * self.stretch, rng)
            if wanted == 3 and any(map(year_of, pool.values())):
                await self._explore(pairing.subjects_of, pool, reader, 2, 2 * self.stretch, rng)
                dated = pairing.of_a_year()
                result = await self._first_sound(dated, pairing.subjects_of, pool, reader, calls, pairing.by_year)
                if isinstance(result, Written):
                    return result
            result = await pairing.written(wanted)
            if isinstance(result, Written):
                return result
            more = more and before != (staged.calls, staged.searches)
        return result

    async def _repair(
        self,
        seed: Seed,
        rounds: tuple[Round, ...],
        feedback: ExecutionFeedback,
        diagnosis: Diagnosis,
        staged: StagedSession,
        rng: random.Random,
    ) -> Written | str:
        pool = {seed.passage.id: seed.passage}
        reader = FactReader(staged, top_k=None)
        for played in rounds:
            for trajectory in (played.proposal.trajectory, *(attempt.trajectory for attempt in played.attempts)):
                for turn in trajectory.turns:
                    pool.update((hit.passage.id, hit.passage) for hit in turn.hits)
                    if turn.query is not None and len(turn.hits) > self.limits.top_k:
                        reader.found.setdefault(turn.query, tuple(hit.passage for hit in turn.hits))
        last = rounds[-1]
        lengths = [seed.target or 2]
        if feedback.harder:
            longer = max(lengths[0], len(last.proposal.evidence) + 1)
            lengths = [longer, longer + 1] if diagnosis.shortcut is None else [longer, lengths[0]]
        used = {_told(played.proposal.evidence, played.proposal.answer) for played in rounds}
        problem = _NO_PATH
        for length in dict.fromkeys(lengths):
            candidates = [
                path
                for path in paths(tuple(pool.values()), length, _types(seed), seed.passage, rng)
                if not diagnosis.faulty(path) and _told([hop.passage for hop in path], path[-1].found) not in used
            ]
            result = await self._first_sound(candidates, seed, pool, reader, self.calls * lengths[0] // 4)
            if isinstance(result, Written):
                return result
            problem = problem if result == _NO_PATH else result
        return problem

    async def _first_sound(
        self,
        candidates: Iterable[Path],
        seed: Seed,
        pool: dict[str, Passage],
        reader: FactReader,
        calls: int,
        write: Callable[[Path], Awaitable[Written | str]] | None = None,
    ) -> Written | str:
        """Return the first path whose facts hold, within `calls` model calls; else why the last path failed.

        The most promising path is tried first. A hop that was already read raises the promise of every path with it.
        `write` puts a path into words if it holds, or says why not; by default as a question for the path's end.
        """
        problem = _NO_PATH

        def promising(path: Path) -> float:
            return promise(path, _types(seed), seed.passage) - _UNREAD * reader.unknown(path)

        left, undecided, progress = list(candidates), list[Path](), -1
        while reader.staged.calls < calls and reader.staged.searches < self._most(seed):
            left = [path for path in left if not reader.fails(path)]
            if not left:
                left, undecided = undecided, []
                if not left or progress == reader.staged.calls:
                    break
                progress = reader.staged.calls
            path = max(left, key=promising)
            left.remove(path)
            result = await (self._written(path, seed, pool, reader) if write is None else write(path))
            if isinstance(result, Written):
                return result
            if result == UNDECIDED:
                undecided.append(path)
            else:
                reader.drop(path)
            problem = result
        return problem

    async def _written(self, path: Path, seed: Seed, pool: dict[str, Passage], reader: FactReader) -> Written | str:
        """Write a path as a question if its facts are sound."""
        facts = await self._sound(path, seed, pool, reader)
        if isinstance(facts, str):
            return facts
        written = written_of(facts)
        return f"nothing says what is meant by {UNNAMED!r}" if UNNAMED in written.question else written

    async def _sound(
        self, path: Path, seed: Seed, pool: dict[str, Passage], reader: FactReader
    ) -> tuple[Fact, ...] | str:
        """Return the facts of a path if they hold, no single search finds the answer, and each hop reads back."""
        if name := next(
            (hop.known for hop in path if not hop.inverse and is_ambiguous(hop.known, [*pool.values()])), ""
        ):
            return f"several things are called {name!r}"
        facts = await reader.read(path)
        if isinstance(facts, str):
            return facts
        written = written_of(facts)
        for relation, hop in itertools.product((fact.relation for fact in facts), path):
            if tells(relation, hop.found):
                return f"{relation!r} tells {hop.found!r}"
        if problem := form.problem(written.question, written.answer, seed, written.evidence):
            return f"{problem} {written.question!r}"
        if searches(path) > 1 and await self._has_shortcut(written, reader):
            return f"searching {written.question!r} finds its answer at once"
        return await reader.reads_back(facts) or facts

    async def _has_shortcut(self, written: Written, reader: FactReader) -> bool:
        """Return whether searching the whole question finds the answer; False if searching is not allowed."""
        if reader.top_k is None:
            return False
        hits = await reader.staged.search(written.question, reader.top_k)
        return any(contains(f"{hit.passage.title} {hit.passage.text}", written.answer) for hit in hits)

    def _most(self, seed: Seed) -> int:
        """Return the maximum number of searches for a seed."""
        return min(self.limits.searches, self.searches * (seed.target or 2))

    async def _explore(
        self,
        seed: Seed,
        pool: dict[str, Passage],
        reader: FactReader,
        wanted: int,
        most: int,
        rng: random.Random,
    ) -> bool:
        """Search at most `most` times, until enough paths are found; return whether there is more to search for.

        Some searches are left for the checks of what is read: two per step and one for the whole question, but no more
        than half of all unless a single one per step needs them.
        The first queries are the seed's subject and section, then the ends of the longest paths, then `_next_query`.
        """
        for looked_up in reader.found.values():  # to check what a name tells apart
            pool.update((passage.id, passage) for passage in looked_up)
        about = normalise(subject(seed.passage))
        steps = max(wanted, seed.target or 2)
        kept = max(steps, min(2 * steps + 1, self._most(seed) // 2))

        async def search(name: str) -> None:
            pool.update((passage.id, passage) for passage in await reader.look(name))

        await search(subject(seed.passage))
        if any(one.title != seed.passage.title and normalise(subject(one)) == about for one in pool.values()):
            await search(seed.passage.title)  # a section: a search for the subject finds those that name it most
        for _ in range(most):
            passages = tuple(pool.values())
            found = paths(passages, wanted, _types(seed), seed.passage, rng)
            hopeful = [path for path in found if promise(path, _types(seed), seed.passage) >= _HOPEFUL]
            if len(apart([path for path in hopeful if not reader.fails(path)])) >= self.enough:
                return True
            query = self._ahead(seed, passages, reader, wanted, rng) or _next_query(seed, passages, reader.found, rng)
            if query is None or reader.staged.searches >= self._most(seed) - kept:
                return False
            await search(query)
        return True

    def _ahead(
        self, seed: Seed, passages: tuple[Passage, ...], reader: FactReader, wanted: int, rng: random.Random
    ) -> str | None:
        """Return the end of the longest path that is still too short, if that name was not searched for yet."""
        for length in range(wanted - 1, 1, -1):
            for path in paths(passages, length, (AnswerType.ENTITY,), seed.passage, rng):
                if path[-1].found not in reader.found and not reader.fails(path):
                    return path[-1].found
        return None


def _next_query(seed: Seed, passages: Sequence[Passage], searched: Container[str], rng: random.Random) -> str | None:
    """Return what to search for to find more paths; None if everything was searched for.

    In this order: other sections about the seed's subject (those with most names first), names in the subject's
    passages, other names (clearest first), the seed's first sentence, subjects of the passages found. Equals come in
    random order: in order of the alphabet, the entries of a dictionary all led to the same few names.
    """
    about = normalise(subject(seed.passage))
    named = [
        (normalise(subject(passage)) != about, passage, value)
        for passage in passages
        for value in values(passage)
        if value.type is AnswerType.ENTITY
    ]
    sections = Counter(passage.title for elsewhere, passage, _ in named if not elsewhere)
    names = sorted(
        (elsewhere, -value.weight - 2 * (value.text in passage.links), rng.random(), value.text)
        for elsewhere, passage, value in named
    )
    subjects = sorted({subject(passage) for passage in passages})
    queries = [
        *(title for title, _ in sections.most_common()),
        *(text for *_, text in names),
        fact_sentences(seed.passage, "")[:_OPENING],
        *rng.sample(subjects, len(subjects)),
    ]
    return next((query for query in queries if query not in searched), None)


def _types(seed: Seed) -> tuple[AnswerType, ...]:
    return (seed.answer_type, *seed.other_types)


def _told(evidence: Iterable[Passage], answer: str) -> tuple[str, ...]:
    """Return a key that identifies the question: its evidence and its answer."""
    return (*dict.fromkeys(passage.id for passage in evidence), normalise(answer))
