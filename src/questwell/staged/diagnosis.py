"""What a failed round showed about its chain: where it was too easy, or where the attempts lost it."""

import itertools
from dataclasses import dataclass

from questwell.scoring.answers import normalise
from questwell.staged.chain import Chain
from questwell.types.game import ExecutionFeedback, FeedbackKind, Round


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
        """Whether `chain` contains the part that failed."""
        ids = [passage.id for passage in chain.passages]
        if tuple(ids) == self.shortcut or any(pair == self.broken_link for pair in itertools.pairwise(ids)):
            return True
        return self.broken_end == (ids[-1], normalise(chain.answer.text))


def diagnose(last: Round, feedback: ExecutionFeedback) -> Diagnosis:
    """Why a proposal was too easy, or where its attempts lost the chain: read off what they retrieved."""
    proposal = last.proposal
    ids = [passage.id for passage in proposal.evidence]
    titles = [passage.title for passage in proposal.evidence]
    if feedback.kind is FeedbackKind.DIFFICULTY and feedback.shown is not None:
        searched = [turn for turn in feedback.shown.trajectory.turns if turn.query is not None]
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
    given = f"; one answered {feedback.shown.trajectory.answer!r}" if feedback.shown else ""
    if lost is None:
        text = f"attempts found {titles[-1]!r} and still did not answer {proposal.answer!r}{given}"
        return Diagnosis(text, broken_end=(ids[-1], normalise(proposal.answer)))
    text = f"no attempt found {titles[lost]!r}, step {lost + 1} of {len(ids)}{given}"
    return Diagnosis(text, broken_link=(ids[lost - 1], ids[lost]) if lost else (ids[0], ids[1]) if ids[1:] else None)
