"""Reads facts from passages with the model. Each fact is read several times and dropped unless the readings agree."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from questwell.agents.tools import neutralise, show
from questwell.retrieval.corpora.corpus import subject
from questwell.scoring.answers import contains, normalise
from questwell.staged.claims import (
    agent,
    are_sections,
    claim_problem,
    fits,
    is_of_many,
    label_of,
    leads_nowhere,
    meant_by,
)
from questwell.staged.events import event
from questwell.staged.excerpts import shown
from questwell.staged.likeness import agrees
from questwell.staged.paths import Hop, Path
from questwell.staged.session import StagedSession
from questwell.staged.spans import fact_sentences, is_of_its_year, year_of
from questwell.staged.wording import NOUN, Fact, Kind, asked_name, called, described, of, question, with_article
from questwell.types.corpus import Hit, Passage
from questwell.types.game import AnswerType

_SORT = {"type": "string", "maxLength": 24}
"""What a name is in a passage, which the model says before it compares: 19 of 22 cases right, 17 without."""
_PLAIN = 6
"""From this weight on, a value's sentence is not read separately: nine of ten such facts held."""
UNDECIDED = "the readings do not agree on what the subject is"
"""Reason for leaving a path undecided while the kind of its first subject is unknown; more readings may decide it."""


@dataclass(slots=True)
class FactReader:
    """Reads and checks facts. Results are cached, so the model is never asked the same thing twice."""

    staged: StagedSession
    top_k: int | None
    """Number of passages per search, the same as for the solver; None if searching is not allowed."""
    reach: int = 20
    """Number of passages per search for a name. A value identifies a subject if all containing it have one subject."""
    found: dict[str, tuple[Passage, ...]] = field(default_factory=dict[str, tuple[Passage, ...]])
    """Results of the searches for names, by name."""
    _hits: dict[str, tuple[Hit, ...]] = field(default_factory=dict[str, tuple[Hit, ...]])
    _facts: dict[tuple[str, str], Fact | str] = field(default_factory=dict[tuple[str, str], Fact | str])
    _checks: dict[tuple[str, ...], str | None] = field(default_factory=dict[tuple[str, ...], str | None])
    _dropped: set[tuple[tuple[str, str, bool], ...]] = field(default_factory=set[tuple[tuple[str, str, bool], ...]])

    def fails(self, path: Path) -> bool:
        """Return whether the path was dropped, or one of its hops is known to be false."""
        if tuple(hop.key for hop in path) in self._dropped:
            return True
        return any(isinstance(self._facts.get(_key(hop)), str) for hop in path) or any(
            hop.known in self.found and self._doubled(hop, before) for before, hop in _with_before(path) if hop.inverse
        )

    def drop(self, path: Path) -> None:
        """Mark the path as failed, even if each of its hops holds separately."""
        self._dropped.add(tuple(hop.key for hop in path))

    def unknown(self, path: Path) -> float:
        """Return the number of hops of the path not yet read; a name not yet searched for counts half."""
        unread = sum(_key(hop) not in self._facts for hop in path)
        return unread + sum(hop.inverse and hop.known not in self.found for hop in path) / 2

    async def look(self, name: str) -> tuple[Passage, ...]:
        """Return the passages that a search for `name` finds; only cached ones if searching is not allowed."""
        if name not in self.found and self.top_k is not None:
            self.found[name] = tuple(hit.passage for hit in await self.staged.search(name, self.reach))
        return self.found.get(name, ())

    async def read(self, path: Path) -> tuple[Fact, ...] | str:
        """Return the facts of a path, or why the value of one cannot be the subject of the next."""
        for before, hop in _with_before(path):
            if hop.inverse:
                await self.look(hop.known)
                if problem := self._doubled(hop, before):
                    return problem
        facts: list[Fact] = []
        for hop in path:
            fact = await self._fact(hop)
            if isinstance(fact, str):
                return fact
            leads_on = hop.inverse or hop is not path[-1]
            problem = leads_nowhere(fact) or is_of_many(fact)
            if leads_on and (problem := problem or await self._read_alone(fact)):
                return problem
            facts.append(fact)
        said = tuple(facts)
        for place, fact in enumerate(said):
            if not fact.hop.inverse:
                continue
            noun = self._noun(fact.hop, said)
            if noun is None:
                return UNDECIDED
            facts[place] = replace(fact, noun=noun)
            if place and (problem := await self._told_apart(facts[place - 1], facts[place])):
                return problem
        return called(facts)

    async def reads_back(self, facts: Sequence[Fact]) -> str | None:
        """Return why the facts do not form a chain, or why a solver would not find them; None if they pass.

        Searching each hop's own question must find its passage (no model call); a name that joins two facts must have
        one meaning; and the model must answer each hop's question with its value.
        """
        looked_up = [(fact, *_on_its_way(fact)) for fact in facts[:-1]]
        looked_up.append((facts[-1], question(facts[-1:]), question(facts[-1:])))
        for fact, _, query in looked_up:
            if problem := await self._missed(fact.hop, query):
                return problem
        for before, after in itertools.pairwise(facts):
            problem = await self._misfit(before, after) or await self.same(
                before, after.hop.passage, after.hop.value.text
            )
            if problem:
                return problem
        for fact, asked, query in looked_up:
            if problem := await self._answers(fact, asked, query):
                return problem
        return None

    async def same(self, before: Fact, passage: Passage, needle: str = "") -> str | None:
        """Return why the value of a hop may not be the subject of `passage`; None if it is.

        Passages of one document have one subject, a link leads to what it means, and a name such as "V34" is of one
        thing. Else the model sees the sentence of `passage` that contains `needle`.
        """
        hop = before.hop
        if hop.passage.document_id == passage.document_id or are_sections(hop.passage, passage):
            return None
        if hop.found in hop.passage.links or re.search(r"[A-Z]\w*[-.]?\d", hop.found):
            return None
        key = ("same", hop.passage.id, hop.found, passage.id)
        if key not in self._checks:
            first = fact_sentences(hop.passage, hop.value.text)
            second = fact_sentences(passage, needle)
            said = await self.staged.fill(
                "staged_same",
                {"first": _SORT, "second": _SORT, "same": {"enum": ["yes", "no"]}},
                60,
                first=f"{hop.passage.title}: {neutralise(first)}",
                second=f"{passage.title}: {neutralise(second)}",
                named=hop.found,
                role=(hop.inverse and before.noun) or of(before, hop.known),
            )
            told = f"{hop.found!r} of {hop.passage.title!r} is not that of {passage.title!r}"
            self._checks[key] = None if said.get("same") == "yes" else told
        return self._checks[key]

    async def _misfit(self, before: Fact, after: Fact) -> str | None:
        """Return why the value of a hop cannot be what its relation names, given the kind of the next subject.

        "The flag of Saint Arel is Lumia" reads well where the flag of Lumia is used, but no flag is a country.
        """
        if before.hop.inverse or after.hop.inverse or fits(before, after.noun):
            return None
        key = ("fits", before.relation, after.noun)
        if key not in self._checks:
            relation, sort = with_article(before.relation), with_article(after.noun)
            said = await self.staged.choose("staged_fit", "can", ("yes", "no"), relation=relation, sort=sort)
            self._checks[key] = None if said == "yes" else f"{relation} is not {sort}"
        return self._checks[key]

    async def leads_on(self, fact: Fact) -> str | None:
        """Return why a solver that looks up this intermediate fact would not find its value; None if it would."""
        return await self._answers(fact, *_on_its_way(fact))

    async def _fact(self, hop: Hop) -> Fact | str:
        if _key(hop) not in self._facts:
            self._facts[_key(hop)] = await self._new_fact(hop)
        fact = self._facts[_key(hop)]
        return fact if isinstance(fact, str) else replace(fact, hop=hop)

    async def _new_fact(self, hop: Hop) -> Fact | str:
        about, value = hop.subject, hop.value.text
        text = neutralise(fact_sentences(hop.passage, value))
        said = await self.staged.fill(
            "staged_fact",
            {
                "subject": {"type": "string", "maxLength": 24},
                "relation": {"type": "string", "maxLength": 40},
                "value": {"enum": [kind.value for kind in Kind]},
            },
            60,
            passage=f"{about}: {text}",
            subject=about,
            value=value,
        )
        relation = re.sub(r"^(?:the|a|an) ", "", said.get("relation", "").strip(" ."), flags=re.IGNORECASE)
        relation = agent(relation, text, value)
        try:
            kind = Kind(said.get("value", ""))
        except ValueError:
            return f"nothing readable was said of {value!r} in {hop.passage.title!r}"
        if hop.value.type is AnswerType.DATE and (told := event(text, about, value)):
            relation, kind = told, Kind.DATE
        amount = hop.value.type is not AnswerType.ENTITY
        if problem := claim_problem(relation, text, about, value, kind, self._labels(), amount=amount):
            return problem
        if len(meant := meant_by(relation, self._labels(about), amount=amount)) > 1:
            return f"{relation!r} of {about!r} may be any of {', '.join(map(repr, meant))}"
        noun = said.get("subject", "").strip().lower()
        label = label_of(text, value)
        return Fact(hop, relation, "" if label and contains(label, noun) else noun, kind)

    async def _read_alone(self, fact: Fact) -> str | None:
        """Return why the fact's own sentence does not answer its question with its value; None if it does.

        Intermediate facts are checked before others build on them, unless the value is in a position where it can
        hardly be misread: "the independence of Lumia" is a date, not a country.
        """
        hop, key = fact.hop, ("alone", *_key(fact.hop))
        if hop.value.weight >= _PLAIN:
            return None
        if key not in self._checks:
            asked = asked_name(described((replace(fact, hop=replace(hop, inverse=False)),)))
            alone = show(replace(hop.passage, text=fact_sentences(hop.passage, hop.value.text)), 1)
            found = await self.staged.write("staged_read", "answer", 90, passages=alone, question=asked)
            agreed = agrees(found, (hop.value.text, *hop.value.aliases))
            problem = None if agreed else f"{asked!r} reads as {found!r}, not {hop.value.text!r}"
            self._checks[key] = problem
            if problem:
                self._facts[_key(hop)] = problem
        return self._checks[key]

    def _labels(self, about: str = "") -> set[str]:
        """Return the labels of all fields that a search has found, about one subject or about any."""
        passages = dict.fromkeys(self._seen())
        own = [one for one in passages if not about or normalise(subject(one)) == normalise(about)]
        return {label for passage in own for label in re.findall(r"(?m)^([^:\n.]{1,80}): ", passage.text)}

    def _noun(self, hop: Hop, used: Sequence[Fact]) -> str | None:
        """Return what a hop's subject is (such as "film"), if two readings agree and fewer say anything else.

        The document's first sentence counts as one reading. The `used` facts about the subject must not contradict it:
        a film may have the same name as the people whom the document is about.
        """
        facts = [fact for fact in self._facts.values() if isinstance(fact, Fact)]
        said = Counter(
            fact.noun for fact in facts if fact.noun and normalise(fact.hop.subject) == normalise(hop.subject)
        )
        opening = self._opening(hop.passage)
        first, year = fact_sentences(opening, ""), year_of(opening)
        standing = Counter({noun: most for noun, most in said.items() if contains(first, noun)})
        (noun, most), (_, next_) = (*(standing or said).most_common(2), ("", 0), ("", 0))[:2]
        if not re.fullmatch(NOUN, noun) or most <= (next_ if standing else max(next_, 1)):
            return None
        own = [fact.noun for fact in used if fact.noun and normalise(fact.hop.subject) == normalise(hop.subject)]
        if any(other != noun and not (standing and contains(first, other)) for other in own):
            return None
        if year is None:
            return noun
        told = any(contains(fact.hop.found, year) for fact in used)  # else "the 1969 film whose director is"
        return f"{year} {noun}" if is_of_its_year(opening, noun) and not told else None

    def _opening(self, passage: Passage) -> Passage:
        """Return the first passage of the document if a search has found it; else the passage itself."""
        return next((one for one in self._seen() if one.document_id == passage.document_id and not one.offset), passage)

    def _seen(self) -> list[Passage]:
        seen = [hit.passage for turn in self.staged.turns for hit in turn.hits]
        return [*seen, *(passage for passages in self.found.values() for passage in passages)]

    def _doubled(self, hop: Hop, before: Hop | None) -> str | None:
        """Return why a value belongs to several subjects, judged by a search for it; None if it identifies one.

        The passage that the path comes from may contain the value as well, and so may passages about another year.
        """
        own = {normalise(hop.found), normalise(before.subject) if before else ""}
        hits = self.found.get(hop.known, ())
        holding = [one for one in hits if contains(f"{one.title} {one.text}", hop.known)]
        others = [one for one in holding if normalise(subject(one)) not in own]
        if year := year_of(hop.passage):
            others = [one for one in others if contains(f"{one.title} {one.text}", year)]
        sure = holding and not others and (len(hits) < self.reach or len(holding) < len(hits))
        return None if sure else f"{hop.known!r} does not tell {hop.found!r} apart"

    async def _told_apart(self, before: Fact, fact: Fact) -> str | None:
        """Return why the previous subject may be meant instead, since it may have the same relation to the value."""
        year = fact.noun.split()[0]
        text = f"{before.hop.passage.title} {before.hop.passage.text}"
        if before.hop.inverse or (year.isdigit() and not contains(text, year)):
            return None
        one, other = normalise(before.relation), normalise(fact.relation)
        if contains(one, other) or contains(other, one):
            return f"{fact.relation!r} is {fact.hop.known!r} of {before.hop.subject!r} as well"
        key = ("apart", before.hop.passage.id, fact.relation, fact.hop.known)
        if key not in self._checks:
            asked = asked_name(f"the {of(fact, before.hop.subject)}")
            found = await self.staged.write(
                "staged_read", "answer", 90, passages=show(before.hop.passage, 1), question=asked
            )
            said = contains(found, fact.hop.known) or agrees(found, (fact.hop.known,))
            self._checks[key] = f"{asked!r} is answered with {found!r} too" if said else None
        return self._checks[key]

    async def _answers(self, fact: Fact, asked: str, query: str) -> str | None:
        """Return why the model, asked as a solver would ask, does not give the fact's value; None if it does."""
        hop = fact.hop
        key = ("answers", asked, *hop.key[:2])
        if key not in self._checks:
            self._checks[key] = await self._read_back(hop, asked, query)
        return self._checks[key]

    async def _missed(self, hop: Hop, query: str) -> str | None:
        """Return why searching a hop's question misses its passage; None if it finds it or searching is not allowed."""
        if self.top_k is None:
            return None
        if query not in self._hits:
            self._hits[query] = await self.staged.search(query, self.top_k)
        if any(hit.passage.id == hop.passage.id for hit in self._hits[query]):
            return None
        return f"searching {query!r} does not find its passage"

    async def _read_back(self, hop: Hop, asked: str, query: str) -> str | None:
        if problem := await self._missed(hop, query):
            return problem
        hits = (Hit(hop.passage, 0.0, 1),) if self.top_k is None else self._hits[query]
        found = await self.staged.write("staged_read", "answer", 90, passages=shown(hits, asked), question=asked)
        references = (hop.found,) if hop.inverse else (hop.found, *hop.value.aliases)
        return None if agrees(found, references) else f"{asked!r} reads as {found!r}, not {hop.found!r}"


def _on_its_way(fact: Fact) -> tuple[str, str]:
    """Return the question and the query by which a solver looks up an intermediate fact."""
    phrase = described((fact,))
    return asked_name(phrase), phrase


def _key(hop: Hop) -> tuple[str, str]:
    return (hop.passage.id, hop.value.text)


def _with_before(path: Path) -> list[tuple[Hop | None, Hop]]:
    """Return each hop with the hop before it."""
    return list(zip((None, *path[:-1]), path, strict=True))
