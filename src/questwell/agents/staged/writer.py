"""Words for a chain, one small checked piece at a time: a question for its end, a phrase for each name on the way."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from questwell.agents import form
from questwell.agents.staged.chain import Chain, Link
from questwell.agents.staged.moves import Moves
from questwell.agents.staged.spans import Span, fact
from questwell.agents.tools import neutralise, show
from questwell.retrieval.corpus import subject
from questwell.scoring.answers import contains, exact_match
from questwell.types.corpus import Passage
from questwell.types.game import Seed, Step

MOST_QUESTION_WORDS = 22
MOST_PHRASE_WORDS = 14


@dataclass(frozen=True, slots=True)
class Worded:
    """A chain in words."""

    chain: Chain
    question: str
    steps: tuple[Step, ...]


@dataclass(slots=True)
class Writer:
    """Words chains, and remembers each piece so that none is written twice."""

    moves: Moves
    top_k: int | None
    """Passages a search, to check that each step's own words find its passage; None where no search is allowed."""
    _questions: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    _phrases: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    async def word(self, chain: Chain, seed: Seed) -> Worded | str:
        """The chain in words, from its end outward; or why it cannot be had."""
        last = chain.passages[-1]
        about = chain.links[-1].name if chain.links else subject(last.title)
        question = await self._question(last, about, chain.answer)
        if not question.endswith("?"):
            return question
        worded = Worded(Chain(last, (), chain.answer), question, (Step(question, chain.answer.text, last.id),))
        for link in reversed(chain.links):
            extended = await self.extend(worded, link, seed)
            if isinstance(extended, str):
                return extended
            worded = extended
        problem = form.problem(worded.question, chain.answer.text, seed, chain.passages)
        return f"{problem} {worded.question!r}" if problem else worded

    async def extend(self, worded: Worded, link: Link, seed: Seed) -> Worded | str:
        """One hop more in front: the name that the question gives becomes a phrase about `link.source`."""
        phrase = await self._phrase(link)
        if not phrase:
            return f"no phrase for {link.name!r} from {subject(link.source.title)!r}"
        question = re.sub(rf"(?i)\b(?:the )?{re.escape(link.name)}(?!\w)", lambda _: phrase, worded.question, count=1)
        if contains(question, link.name):
            return f"{link.name!r} is still named: {question!r}"
        chain = Chain(link.source, (link, *worded.chain.links), worded.chain.answer)
        step = Step(f"What is {phrase}?", link.name, link.source.id)
        return Worded(chain, question, (step, *worded.steps))

    async def _question(self, passage: Passage, about: str, answer: Span) -> str:
        key = (passage.id, answer.text)
        if key not in self._questions:
            self._questions[key] = await self._new_question(passage, about, answer)
        return self._questions[key]

    async def _new_question(self, passage: Passage, about: str, answer: Span) -> str:
        """A question about `about` that the passage answers with `answer`; else a text without a question mark."""
        question = await self.moves.write(
            "staged_question",
            "question",
            passage=f"{passage.title}: {neutralise(fact(passage, answer.text))}",
            subject=about,
            answer=answer.text,
        )
        if problem := _question_problem(question, about, answer.text):
            return f"{problem}: {question!r}"
        if not await self._finds(question, passage):
            return f"searching {question!r} does not find its passage"
        found = await self._read(question, passage)
        return question if agrees(found, answer) else f"{question!r} reads as {found!r}, not {answer.text!r}"

    async def _phrase(self, link: Link) -> str:
        key = (link.source.id, link.name)
        if key not in self._phrases:
            self._phrases[key] = await self._new_phrase(link)
        return self._phrases[key]

    async def _new_phrase(self, link: Link) -> str:
        """A phrase for `link.name` by which the source passage tells it; empty if none came."""
        about = subject(link.source.title)
        written = await self.moves.write(
            "staged_phrase",
            "phrase",
            120,
            passage=f"{link.source.title}: {neutralise(fact(link.source, link.name))}",
            subject=about,
            target=link.name,
        )
        phrase = written[:1].lower() + written[1:].rstrip(". ")
        if not phrase.startswith("the ") or not contains(phrase, about) or contains(phrase, link.name):
            return ""
        if len(phrase.split()) > MOST_PHRASE_WORDS or not await self._finds(f"What is {phrase}?", link.source):
            return ""
        found = await self._read(f"What is the name of {phrase}?", link.source)
        return phrase if agrees(found, Span(link.name)) else ""

    async def _finds(self, query: str, passage: Passage) -> bool:
        if self.top_k is None:
            return True
        return any(hit.passage.id == passage.id for hit in await self.moves.search(query, self.top_k))

    async def _read(self, question: str, passage: Passage) -> str:
        """The round trip: what the model answers from this passage alone."""
        return await self.moves.write("staged_read", "answer", 90, passages=show(passage, 1), question=question)


def agrees(found: str, wanted: Span) -> bool:
    """Whether a short answer is the wanted one, at most with a few words around it."""
    references: Sequence[str] = (wanted.text, *wanted.aliases)
    return exact_match(found, references) or (contains(found, wanted.text) and len(found) < 2 * len(wanted.text) + 8)


def _question_problem(question: str, about: str, answer: str) -> str | None:
    if not contains(question, about):
        return "the subject is missing"
    if contains(question, answer):
        return "the answer is in the question"
    if len(question.split()) > MOST_QUESTION_WORDS:
        return "it is too long"
    if question.count("?") != 1 or not question.endswith("?"):
        return "it is no question"
    if re.search(rf"{re.escape(about)}'s?\b", question, re.IGNORECASE) or "passage" in question.lower():
        return "it cannot be nested"
    return None
