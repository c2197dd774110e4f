"""Words for a chain, one small checked piece at a time: a question for each step, nested into one by code."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from questwell.agents import form
from questwell.agents.tools import neutralise, show
from questwell.retrieval.corpora.corpus import subject
from questwell.scoring.answers import contains, matches
from questwell.staged.chain import Chain, Link
from questwell.staged.phrases import as_phrase, can_be_replaced
from questwell.staged.session import StagedSession
from questwell.staged.spans import Span, fact
from questwell.types.corpus import Passage
from questwell.types.game import Seed, SolutionStep

MOST_QUESTION_WORDS = 22
MOST_PHRASE_WORDS = 14


@dataclass(frozen=True, slots=True)
class Worded:
    """A chain in words."""

    chain: Chain
    question: str
    steps: tuple[SolutionStep, ...]


@dataclass(slots=True)
class Writer:
    """Words chains, and remembers each piece so that none is written twice."""

    staged: StagedSession
    top_k: int | None
    """Passages a search, to check that each step's own words find its passage; None where no search is allowed."""
    _questions: dict[tuple[str, str, str], str] = field(default_factory=dict[tuple[str, str, str], str])
    _steps: dict[tuple[str, str], tuple[str, str] | str] = field(
        default_factory=dict[tuple[str, str], tuple[str, str] | str]
    )

    def fails(self, chain: Chain) -> bool:
        """Whether a piece of the chain is known not to come out."""
        steps = (self._steps.get(_step_key(link)) for link in chain.links)
        end = self._questions.get(_end_key(chain))
        return any(isinstance(step, str) for step in steps) or not (end is None or end.endswith("?"))

    def unknown(self, chain: Chain) -> int:
        """Number of pieces of the chain not yet tried."""
        return sum(_step_key(link) not in self._steps for link in chain.links) + (
            _end_key(chain) not in self._questions
        )

    async def word(self, chain: Chain, seed: Seed) -> Worded | str:
        """The chain in words; or why it cannot be had.

        The links are asked first, since they fail most and each holds for every answer at the chain's end; the question
        is then put together from its end outward.
        """
        for link in chain.links:
            step = await self._step(link)
            if isinstance(step, str):
                return step
        last = chain.passages[-1]
        question = await self._question(last, _end_key(chain)[1], chain.answer)
        if not question.endswith("?"):
            return question
        worded = Worded(Chain(last, (), chain.answer), question, (SolutionStep(question, chain.answer.text, last.id),))
        for link in reversed(chain.links):
            extended = await self.extend(worded, link)
            if isinstance(extended, str):
                return extended
            worded = extended
        problem = form.problem(worded.question, chain.answer.text, seed, chain.passages)
        return f"{problem} {worded.question!r}" if problem else worded

    async def extend(self, worded: Worded, link: Link) -> Worded | str:
        """One hop more in front: the name that the question gives becomes a phrase about `link.source`."""
        step = await self._step(link)
        if isinstance(step, str):
            return step
        asked, phrase = step
        if not can_be_replaced(link.name, worded.question):
            return f"no phrase can take the place of {link.name!r} in {worded.question!r}"
        question = re.sub(rf"(?i)\b(?:the )?{re.escape(link.name)}(?!\w)", lambda _: phrase, worded.question, count=1)
        if contains(question, link.name):
            return f"{link.name!r} is still named: {question!r}"
        chain = Chain(link.source, (link, *worded.chain.links), worded.chain.answer)
        return Worded(chain, question, (SolutionStep(asked, link.name, link.source.id), *worded.steps))

    async def has_shortcut(self, worded: Worded) -> bool:
        """Whether searching the whole question finds the passage with the answer; unknown, so no, without searching."""
        if self.top_k is None:
            return False
        last = worded.chain.passages[-1]
        return any(hit.passage.id == last.id for hit in await self.staged.search(worded.question, self.top_k))

    async def _step(self, link: Link) -> tuple[str, str] | str:
        """The question that leads over a link, and the phrase made of it; or why there is none."""
        key = _step_key(link)
        if key not in self._steps:
            about = subject(link.source)
            asked = await self._new_question(link.source, about, Span(link.name), nested=True)
            phrase = as_phrase(asked, about)
            self._steps[key] = (asked, phrase) if asked.endswith("?") and phrase else asked
        return self._steps[key]

    async def _question(self, passage: Passage, about: str, answer: Span) -> str:
        key = (passage.id, about, answer.text)
        if key not in self._questions:
            self._questions[key] = await self._new_question(passage, about, answer, nested=False)
        return self._questions[key]

    async def _new_question(self, passage: Passage, about: str, answer: Span, *, nested: bool) -> str:
        """A question about `about` that the passage answers with `answer`; else a text without a question mark.

        `nested`: its answer must be expressible as a short phrase.
        """
        said = neutralise(fact(passage, answer.text))
        question = await self.staged.write(
            "staged_question", "question", passage=f"{passage.title}: {said}", subject=about, answer=answer.text
        )
        if problem := _question_problem(question, about, answer.text):
            return f"{problem}: {question!r}"
        if nested:
            phrase = as_phrase(question, about)
            if phrase is None or len(phrase.split()) > MOST_PHRASE_WORDS:
                return f"{question!r} makes no phrase for {answer.text!r}"
        if not await self._finds(question, passage, answer):
            return f"searching {question!r} does not find its passage"
        found = await self._read(question, passage, answer)
        return question if agrees(found, answer) else f"{question!r} reads as {found!r}, not {answer.text!r}"

    async def _finds(self, question: str, passage: Passage, answer: Span) -> bool:
        """Whether searching the question finds its passage, or another that holds the answer."""
        if self.top_k is None:
            return True
        hits = await self.staged.search(question, self.top_k)
        return any(hit.passage.id == passage.id or contains(hit.passage.text, answer.text) for hit in hits)

    async def _read(self, question: str, passage: Passage, answer: Span) -> str:
        """The round trip: what the model answers from the sentences that the question was written from."""
        said = replace(passage, text=fact(passage, answer.text))
        return await self.staged.write("staged_read", "answer", 90, passages=show(said, 1), question=question)


def _step_key(link: Link) -> tuple[str, str]:
    return (link.source.id, link.name)


def _end_key(chain: Chain) -> tuple[str, str, str]:
    last = chain.passages[-1]
    about = chain.links[-1].name if chain.links else subject(last)
    return (last.id, about, chain.answer.text)


def agrees(found: str, wanted: Span) -> bool:
    """Whether a short answer is the wanted one, at most with a few words around it."""
    references: Sequence[str] = (wanted.text, *wanted.aliases)
    return matches(found, references) or (contains(found, wanted.text) and len(found) < 2 * len(wanted.text) + 8)


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
    if re.fullmatch(rf"(?:Who|What) (?:is|was|are|were) (?:an? |the )?{re.escape(about)}\?", question, re.IGNORECASE):
        return "it asks what the subject is"
    return None
