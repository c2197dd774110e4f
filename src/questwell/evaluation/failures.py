"""Classifies why a question was too easy or unsolved, from the traces and one search with the question itself.

The paper (arXiv 2601.18202, section 4) used labels; we compute what can be computed, so that it can be checked. A
question may have several classes. They do not affect which questions are accepted.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from questwell.scoring.answers import contains, normalise
from questwell.types.corpus import Hit, Passage
from questwell.types.game import Attempt, Outcome, Proposal, Round


class Easy(StrEnum):
    """Why a question took fewer searches than its target."""

    TOO_SPECIFIC = "too specific"
    """A search for the question's own words finds a passage that contains the answer."""
    CO_LOCATED = "co-located"
    """One passage that the solver found contains the answers of two intended steps."""
    QUERY_COLLAPSE = "query collapse"
    """One search of the solver found the answers of two intended steps, in different passages."""
    OTHER = "other"
    """None of the above: the question only looks complex, or its steps are not real."""


class Unsolved(StrEnum):
    """Why no attempt was right."""

    RETRIEVAL = "retrieval"
    """No attempt found a passage that contains the reference answer."""
    SOLVER = "solver or pair"
    """An attempt found such a passage but did not give the reference answer: the solver or the item is wrong."""


def why_easy(played: Round, own_hits: Iterable[Hit]) -> frozenset[Easy]:
    """Return the reasons why a question was too easy; `own_hits` are the hits of a search with its text.

    Raises:
        ValueError: the question was not too easy.
    """
    if played.verdict.outcome is not Outcome.TOO_EASY:
        raise ValueError(f"round {played.index} was {played.verdict.outcome}, not too easy")
    found: set[Easy] = set()
    if any(_holds(hit.passage, played.proposal.answer) for hit in own_hits):
        found.add(Easy.TOO_SPECIFIC)
    answers = _step_answers(played.proposal)
    searches = [turn.hits for turn in _easiest(played.attempts).trajectory.turns if turn.query is not None]
    together = [_held(hit.passage, answers) for hits in searches for hit in hits]
    if any(len(held) > 1 for held in together):
        found.add(Easy.CO_LOCATED)
    by_search = (set[str]().union(*(_held(hit.passage, answers) for hit in hits)) for hits in searches if hits)
    if any(len(held) > max(map(len, together)) for held in by_search):
        found.add(Easy.QUERY_COLLAPSE)
    return frozenset(found or {Easy.OTHER})


def why_unsolved(played: Round) -> Unsolved:
    """Return the reason why no attempt solved a question.

    Raises:
        ValueError: an attempt solved it.
    """
    if played.verdict.outcome is not Outcome.UNSOLVED:
        raise ValueError(f"round {played.index} was {played.verdict.outcome}, not unsolved")
    return Unsolved.SOLVER if holding(played) else Unsolved.RETRIEVAL


def holding(played: Round) -> tuple[Passage, ...]:
    """Return the passages, found by attempts, that contain the reference answer, without repeats."""
    references = (played.proposal.answer, *played.proposal.aliases)
    found = {hit.passage.id: hit.passage for attempt in played.attempts for hit in attempt.trajectory.hits}
    return tuple(passage for passage in found.values() if any(_holds(passage, one) for one in references))


def _easiest(attempts: Sequence[Attempt]) -> Attempt:
    return min((attempt for attempt in attempts if attempt.right), key=lambda attempt: attempt.trajectory.searches)


def _step_answers(proposal: Proposal) -> frozenset[str]:
    """Return the distinct answers of the intended steps, including the question's own answer."""
    written = (*(step.answer for step in proposal.steps[:-1]), proposal.answer)
    return frozenset({normalise(answer): answer for answer in written if normalise(answer)}.values())


def _held(passage: Passage, answers: frozenset[str]) -> set[str]:
    return {answer for answer in answers if _holds(passage, answer)}


def _holds(passage: Passage, answer: str) -> bool:
    return contains(f"{passage.title} {passage.text}", answer)
