"""The staged solver: looks up the innermost thing that the question describes, inserts its name, and repeats."""

import random
import re
from dataclasses import dataclass, replace

from questwell.agents.prompts import Prompts
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import Session
from questwell.errors import ContextOverflow, LLMError, LLMFiltered, RetrievalError
from questwell.scoring.answers import contains, normalise
from questwell.staged.comparing import Comparison, read_comparison
from questwell.staged.excerpts import shown
from questwell.staged.session import StagedSession
from questwell.staged.wording import asked_name
from questwell.types.trajectory import Role, StopReason, Style, Trajectory

WHOLE_FIRST = 4
"""One in this many attempts first looks up the whole question; by itself the 1.5B model did so in 7 of 8."""
_NONE = "none"
_BARE = re.compile(r"(?:who|what|which(?: \w+)?) (?:is|was|are|were)", re.IGNORECASE)
"""Beginning of a question whose remaining words all describe what is asked for."""
_AT_WHAT_TIME = frozenset({"when", "since"})
"""First words of questions that end in what happened."""
_ARTICLES = frozenset({"the", "a", "an"})
_NO_END = frozenset(
    "a an and as at been by first for from in into is of on or that the to was were when where which who whom "  # noqa: SIM905
    "whose with".split()
)
_PREPOSITIONS = frozenset({"as", "at", "by", "for", "from", "in", "into", "of", "on", "to", "with"})
_IN_NAMES = frozenset("and of the & de del des di do da du la le el al van von der den y e et und".split())  # noqa: SIM905
"""Words without a capital that may stand inside a name."""
_VERBS = frozenset({"is", "was", "are", "were", "has", "had", "did", "does", "can", "will"})


@dataclass(frozen=True, slots=True)
class StagedSolver:
    """Plays the solver with a small model."""

    prompts: Prompts
    limits: RolloutLimits
    temperature: float
    thinking: int = 0
    """Maximum number of thinking tokens before each reply."""

    async def solve(self, question: str, session: Session, random_seed: int) -> Trajectory:
        """Play one rollout and return its trajectory; each look-up is a search step."""
        staged = StagedSession(session, self.prompts, random_seed, self.temperature, self.thinking)
        answer, stop, error = None, StopReason.GAVE_UP, ""
        try:
            answer, stop = await self._play(question, staged)
        except ContextOverflow:
            stop = StopReason.CONTEXT
        except LLMFiltered as failure:
            stop, error = StopReason.FILTERED, str(failure)
        except (LLMError, RetrievalError) as failure:
            stop, error = StopReason.ERRORED, f"{type(failure).__name__}: {failure}"
        return Trajectory(
            role=Role.SOLVER,
            style=Style.STAGED,
            turns=tuple(staged.turns),
            stop=stop,
            answer=answer,
            error=error,
            model=session.model,
            prompts=self.prompts.hash,
        )

    async def _play(self, question: str, staged: StagedSession) -> tuple[str | None, StopReason]:
        """Look up parts until none is left or none can be found, then look up the remaining question."""
        if comparison := read_comparison(question):
            return await self._compare(comparison, staged)
        if random.Random(staged.random_seed).randrange(WHOLE_FIRST) == 0:
            answer = await self._look_up(question, question, staged)
            if answer is not None:
                return answer, StopReason.FINISHED
        question = await self._named(question, staged)
        if staged.searches >= self._most:
            return None, StopReason.SEARCHES
        answer = await self._look_up(question, question, staged)
        return answer, StopReason.GAVE_UP if answer is None else StopReason.FINISHED

    async def _compare(self, comparison: Comparison, staged: StagedSession) -> tuple[str | None, StopReason]:
        """Look up the amount of each side, and return the side that is asked for."""
        subjects: list[str] = []
        values: list[str] = []
        for side in comparison.sides:
            subject = await self._named(side, staged)
            asked = comparison.asked(subject)
            if staged.searches >= self._most:
                return None, StopReason.SEARCHES
            value = await self._look_up(asked, asked, staged)
            if value is None:
                return None, StopReason.GAVE_UP
            subjects.append(subject)
            values.append(value)
        answer = comparison.decide((subjects[0], subjects[1]), (values[0], values[1]))
        return answer, StopReason.GAVE_UP if answer is None else StopReason.FINISHED

    @property
    def _most(self) -> int:
        return min(self.limits.searches, self.limits.turns)

    async def _named(self, question: str, staged: StagedSession) -> str:
        """Return the question with the names of its parts in their place, as far as they can be found."""
        failed: set[str] = set()
        while staged.searches < self._most:
            part = await self._part(question, failed, staged)
            if part is None:
                break
            name = await self._look_up(asked_name(part), part, staged)
            if name is None or contains(part, name):
                failed.add(part)
            else:
                question = question.replace(part, name, 1)
        return question

    async def _part(self, question: str, failed: set[str], staged: StagedSession) -> str | None:
        """Return the part of the question to look up next, word for word; None when everything is named."""
        found = parts(question)
        options = [part for part in found if part not in failed and not _holds_another(part, found)]
        if not options:
            return None
        if len(options) == 1:
            return options[0]  # only one option
        offered = [*options, _NONE] if staged.searches else options
        chosen = await staged.choose("staged_part", "part", offered, question=question)
        return chosen if chosen in options else None

    async def _look_up(self, question: str, query: str, staged: StagedSession) -> str | None:
        """Search and return the answer that the model reads; None unless a retrieved passage contains it."""
        hits = await staged.search(query, self.limits.top_k)
        passages = shown(hits, question)
        staged.turns[-1] = replace(staged.turns[-1], observation=passages)
        if not hits:
            return None
        found = await staged.write("staged_read", "answer", 90, passages=passages, question=question)
        grounded = any(stands_in(f"{hit.passage.title} {hit.passage.text}", found) for hit in hits)
        return found if grounded and normalise(found) not in ("not found", "none") else None


def stands_in(text: str, found: str) -> bool:
    """Return whether a text contains an answer; hyphens are ignored ("World-Wide Web" matches "World Wide Web")."""
    return contains(text, found) or contains(text.replace("-", " "), found.replace("-", " "))


def parts(question: str) -> list[str]:
    """Return the pieces of a question that begin with an article and contain a name, at least one word apart."""
    words = question.rstrip("? ").split()
    found: list[str] = []
    for start, first in enumerate(words):
        dated = _is_dated(words[start + 1 :])
        if first.lower() not in _ARTICLES or start + 1 >= len(words) or (_is_named(words[start + 1]) and not dated):
            continue
        for end in range(start + 3, len(words) + 1):
            piece = words[start:end]
            if end == len(words) and _BARE.fullmatch(" ".join(words[:start])):
                continue  # what is asked for is no part of the question
            if end == len(words) and words[0].lower() in _AT_WHAT_TIME and not _is_named(piece[-1]):
                continue  # "When was the director of Hook | born"
            if _ends_inside_a_name(piece, words[end:]):
                continue
            whole = piece[-1].lower() not in _NO_END or _is_stranded(piece, words[end:])
            if whole and any(map(_is_named, piece[1 + dated :])):
                found.append(" ".join(piece).rstrip(","))
    return found


def _holds_another(part: str, found: list[str]) -> bool:
    """Return whether another part begins inside `part`; the inner one must be looked up first."""
    return any(other != part and part.find(other) > 0 for other in found)


def _is_stranded(piece: list[str], after: list[str]) -> bool:
    """Return whether the piece ends with its own preposition: "the language that Tarn is a dialect of"."""
    relative = not {"that", "which", "who"}.isdisjoint(piece)
    return relative and piece[-1] in _PREPOSITIONS and (not after or after[0] in _VERBS or after[0].endswith("ed"))


def _ends_inside_a_name(piece: list[str], after: list[str]) -> bool:
    """Return whether the name at the end goes on: "Blue | Lantern", "Ostia | and Quell", "Republic | of the Tamsel"."""
    before = next((word for word in reversed(piece) if word not in _IN_NAMES), "")
    behind = next((word for word in after if word not in _IN_NAMES), "")
    return _begins_big(before) and _begins_big(behind)


def _begins_big(word: str) -> bool:
    return word[:1].isupper() and not word.endswith(",")


def _is_dated(words: list[str]) -> bool:
    """Return whether words begin with a year and what is of that year: "1969 film", not "1969 Blue Lantern"."""
    return len(words) > 1 and re.fullmatch(r"\d{4}", words[0]) is not None and words[1].islower()


def _is_named(word: str) -> bool:
    """Return whether a word looks like part of a name; in a script without capitals every word does."""
    return bool(re.search(r"[A-Z0-9]", word)) or not word.isascii()
