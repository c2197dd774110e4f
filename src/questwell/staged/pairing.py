"""`Pairing`: finds two subjects whose amounts can be compared, and writes the question.

A comparison needs as many searches as its two sides together, so three or four searches do not hang on a long chain.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from questwell.agents import form
from questwell.scoring.answers import contains
from questwell.staged.claims import is_said_near
from questwell.staged.comparing import AMOUNTS, compared, is_side, label_above, partners, ways_to
from questwell.staged.drafting import Written, written_of
from questwell.staged.facts import FactReader
from questwell.staged.paths import Hop, Path, is_ambiguous, paths
from questwell.staged.spans import fact_sentences, is_of_its_year, year_of
from questwell.staged.values import Value
from questwell.staged.wording import OF_A_YEAR, Fact, Kind
from questwell.types.corpus import Passage
from questwell.types.game import AnswerType, Seed

_PARTNERS, _CLUES = 4, 2
"""Maximum number of subjects that one amount is compared with, and of clues tried for each."""
_YEARS = 2
"""Minimum number of years between two things: a premiere may be a year before the release."""
_NOTHING = "no two amounts can be compared"

Sound = Callable[[Path, Seed, dict[str, Passage], FactReader], Awaitable[tuple[Fact, ...] | str]]
"""Returns the facts of a path if they hold, else why not."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Looks for a comparison from a seed."""

    seed: Seed
    pool: dict[str, Passage]
    """Passages by id; what is found on the way is added."""
    reader: FactReader
    rng: random.Random
    sound: Sound
    calls: int
    """Maximum number of model calls of the seed when this ends."""
    searches: int
    """Maximum number of its searches."""
    _tried: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Subjects with an amount that nothing can be compared with."""

    @property
    def sides_of(self) -> Seed:
        """Return the seed with the amount of a side as its answer."""
        first, *others = AMOUNTS
        return replace(self.seed, answer_type=first, other_types=tuple(others))

    @property
    def subjects_of(self) -> Seed:
        """Return the seed with the name of something as its answer."""
        return replace(self.seed, answer_type=AnswerType.ENTITY, other_types=())

    def of_a_year(self) -> list[Path]:
        """Return paths of two searches to something that its passage calls "a 1969 film"."""
        if not self._may_be_named:
            return []
        found = paths(tuple(self.pool.values()), 2, (AnswerType.ENTITY,), self.seed.passage, self.rng)
        return [path for path in found if path[-1].inverse and year_of(path[-1].passage)]

    async def by_year(self, path: Path) -> Written | str:
        """Return a comparison of what a path of `of_a_year` finds with another thing of its kind, by their years."""
        facts = await self.sound(path, self.subjects_of, self.pool, self.reader)
        if isinstance(facts, str):
            return facts
        mine = _year(path[-1].passage, facts[-1].noun.partition(" ")[2])
        if mine is None:
            return f"the question does not name the year of {path[-1].found!r}"
        if problem := await self.reader.reads_back((*facts, mine)):
            return problem
        result: Written | str = f"nothing can be compared with the year of {path[-1].found!r}"
        for other in self._of_other_years(mine, path)[:_PARTNERS]:
            result = await self.reader.reads_back((other,)) or self._well_formed(compared((*facts, mine), (other,)))
            if isinstance(result, Written):
                return result
        return result

    def _of_other_years(self, mine: Fact, path: Path) -> list[Fact]:
        """Return the years of other things of a kind, the closest first, from passages that name nothing of a path."""
        pool = tuple(self.pool.values())
        said = {name for hop in path for name in (hop.known, hop.found)}
        found = [
            year
            for passage in pool
            if (year := _year(passage, mine.noun))
            and not any(contains(f"{passage.title} {passage.text}", name) for name in said)
            and not is_ambiguous(year.hop.subject, pool)
        ]
        away = {year: abs(int(year.hop.found) - int(mine.hop.found)) for year in found}
        return sorted((year for year in found if away[year] >= _YEARS), key=away.__getitem__)

    async def written(self, wanted: int) -> Written | str:
        """Return a comparison that needs `wanted` searches, or why there is none. Its answer is a name."""
        if not self._may_be_named:
            return _NOTHING
        problem = _NOTHING
        sides = filter(is_side, paths(tuple(self.pool.values()), 2, AMOUNTS, self.seed.passage, self.rng))
        for first in sorted(sides, key=lambda path: not path[0].inverse):  # a clue identifies its subject by itself
            if self._spent():
                break
            label = label_above(first[-1])
            measure = (first[-1].subject, label or first[-1].found)
            if measure in self._tried or self.reader.fails(first):
                continue
            if label and not await self._others(first[-1], label):
                self._tried.add(measure)
                continue
            one = await self._side(first)
            if isinstance(one, str):
                problem = one
                continue
            self._tried.add(measure)
            problem = await self._with_partner(one, wanted)
            if isinstance(problem, Written):
                return problem
        return problem

    async def _others(self, hop: Hop, query: str) -> list[Hop]:
        """Return amounts of other subjects that may be compared with that of a hop; a search costs no model call."""
        if query:
            await self._search(query)
        return list(partners(hop, paths(tuple(self.pool.values()), 1, AMOUNTS, self.seed.passage, self.rng)))

    async def _with_partner(self, one: tuple[Fact, ...], wanted: int) -> Written | str:
        """Compare `one` with the amount of another subject, which is named, or given by a clue for four searches."""
        last = one[-1]
        found = await self._others(last.hop, "" if label_above(last.hop) else f"{last.relation} {one[-1].noun}")
        self.rng.shuffle(found)  # else the clearest is compared with everything
        found.sort(key=lambda hop: not is_said_near(last.relation, fact_sentences(hop.passage, hop.found), hop.found))
        problem: Written | str = f"nothing can be compared with {last.relation!r} of {last.hop.subject!r}"
        for hop in found[:_PARTNERS]:
            ways: list[Path] = [(hop,)]
            if wanted > 3:
                await self._search(hop.subject)
                ways = ways_to(hop, tuple(self.pool.values()), written_of(one).question)[:_CLUES]
            for second in ways:
                if self._spent() or self.reader.fails(second):
                    continue
                other = await self._side(second)
                problem = other if isinstance(other, str) else self._well_formed(compared(one, other))
                if isinstance(problem, Written):
                    return problem
        return problem

    async def _side(self, path: Path) -> tuple[Fact, ...] | str:
        """Return the facts of one side; its amount is of any type, unlike the answer."""
        found = await self.sound(path, self.sides_of, self.pool, self.reader)
        if isinstance(found, str):
            self.reader.drop(path)
        return found

    @property
    def _may_be_named(self) -> bool:
        return AnswerType.ENTITY in (self.seed.answer_type, *self.seed.other_types)

    def _well_formed(self, pair: Written | str) -> Written | str:
        if isinstance(pair, str):
            return pair
        return form.problem(pair.question, pair.answer, self.seed, pair.evidence, pair.derivation) or pair

    def _spent(self) -> bool:
        return self.reader.staged.calls >= self.calls or self.reader.staged.searches >= self.searches

    async def _search(self, query: str) -> None:
        self.pool.update((passage.id, passage) for passage in await self.reader.look(query))


def _year(passage: Passage, noun: str) -> Fact | None:
    """Return the fact that a passage's subject, which it calls `noun`, is of the year that it opens with."""
    year = year_of(passage)
    if not noun or year is None or not is_of_its_year(passage, noun):
        return None
    return Fact(Hop(passage, Value(year, AnswerType.DATE)), OF_A_YEAR, noun, Kind.DATE)
