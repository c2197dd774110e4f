"""Diagnosis of a failed round: where its path was too easy, or where the solver's attempts failed to follow it."""

from dataclasses import dataclass

from questwell.scoring.answers import normalise
from questwell.staged.paths import Path
from questwell.types.game import ExecutionFeedback, Round


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Where the path of a failed question was too easy or too hard."""

    explanation: str
    shortcut: tuple[str, str] | None = None
    """Ids of the first and the last passage, when the easiest right attempt found the last by its first search."""
    lost: tuple[str, str] | None = None
    """Id of the passage that no attempt found, and the value that it was needed for."""
    misread: tuple[str, str] | None = None
    """Id of the last passage and its answer, when an attempt retrieved the passage and still gave another answer."""

    def faulty(self, path: Path) -> bool:
        """Return whether `path` contains the part that failed."""
        ends = (path[0].passage.id, path[-1].passage.id)
        gives = {(hop.passage.id, normalise(hop.found)) for hop in path}
        return ends == self.shortcut or self.lost in gives or self.misread in gives


def diagnose(last: Round, feedback: ExecutionFeedback) -> Diagnosis:
    """Explain why a proposal was too easy, or where its attempts left the path, from the passages they retrieved."""
    proposal = last.proposal
    ids = [passage.id for passage in proposal.evidence]
    titles = [passage.title for passage in proposal.evidence]
    if feedback.harder and feedback.shown is not None:
        searched = [turn for turn in feedback.shown.trajectory.turns if turn.query is not None]
        found = [[hit.passage.id for hit in turn.hits] for turn in searched]
        first = next((number for number, hits in enumerate(found, 1) if ids[-1] in hits), None)
        where = (
            f"search {first} ({searched[first - 1].query!r}) already found {titles[-1]!r}, which holds the answer"
            if first
            else "the answer came from another passage than the intended one"
        )
        explanation = f"{len(searched)} searches were enough: {where}"
        return Diagnosis(explanation, shortcut=(ids[0], ids[-1]) if first == 1 else None)
    seen = {hit.passage.id for attempt in last.attempts for hit in attempt.trajectory.hits}
    lost = next((n for n, passage_id in enumerate(ids) if passage_id not in seen), None)
    answered = feedback.shown.trajectory.answer if feedback.shown else None
    given = f"; one answered {answered!r}" if answered is not None else ""
    if lost is None:
        text = f"attempts found {titles[-1]!r} and still did not answer {proposal.answer!r}{given}"
        return Diagnosis(text, misread=(ids[-1], normalise(proposal.answer)))
    text = f"no attempt found {titles[lost]!r}, step {lost + 1} of {len(ids)}{given}"
    gave = [step.answer for step in proposal.steps if step.passage_id == ids[lost]]
    return Diagnosis(text, lost=(ids[lost], normalise(gave[0]))) if gave else Diagnosis(text)
