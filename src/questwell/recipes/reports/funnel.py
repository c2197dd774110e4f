"""From seeds to items: each played seed is accepted or has exactly one reason, so the counts add up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from questwell.store.records import Play, PlayStatus
from questwell.types.game import Reason


@dataclass(frozen=True, slots=True)
class Funnel:
    """What became of the seeds. `candidates == accepted + sum(rejected.values())`."""

    drawn: int
    """Seeds kept for playing, a count; `candidates` of them are played."""
    candidates: int
    accepted: int
    rejected: dict[Reason, int]
    """Each reason that occurred, most frequent first."""
    unfinished: int
    """Drawn, not played to an outcome yet."""

    @property
    def acceptance(self) -> float | None:
        """Accepted among the candidates, a fraction in [0, 1]; None without a candidate."""
        return self.accepted / self.candidates if self.candidates else None


def funnel(plays: Sequence[Play]) -> Funnel:
    """The funnel of a run."""
    reasons = Counter(play.reason for play in plays if play.reason is not None)
    accepted = sum(play.status is PlayStatus.ACCEPTED for play in plays)
    unfinished = sum(play.status is PlayStatus.PENDING for play in plays)
    return Funnel(len(plays), len(plays) - unfinished, accepted, dict(reasons.most_common()), unfinished)


ADVICE: Mapping[Reason, str] = {
    Reason.NO_PROPOSAL: "the proposer ended without a question: a stronger proposer, more proposer_turns, fewer steps",
    Reason.NO_REPAIR: "a proposal failed and could not be repaired: a stronger proposer, fewer steps",
    Reason.BAD_FORM: "the pairs broke a rule of form (questwell show RUN sNNNNN says which): a stronger proposer",
    Reason.TOO_EASY: "the questions took fewer searches than asked: lower the steps, or allow more rounds",
    Reason.TOO_HARD: "too few attempts were right: widen the band, or use a stronger solver",
    Reason.UNSOLVED: "no attempt was right: lower the steps, use a stronger solver, or allow more solver_turns",
    Reason.CLOSED_BOOK: "the model knew the answers without searching: a corpus that it has not read",
    Reason.UNSUPPORTED: "the evidence did not give the answers: a stronger proposer",
    Reason.SHORTCUT: "one search with the question itself was enough: more rounds, a stronger proposer, higher steps",
    Reason.AMBIGUOUS: "other answers fit too: a stronger proposer",
    Reason.DUPLICATE: "the same questions came again: a larger corpus",
    Reason.UNSCORED: "the judge gave no readable verdict: a stronger judge (judge_llm)",
    Reason.ERRORED: "calls failed (questwell show RUN sNNNNN says how): mend that, then go on with --resume",
}
"""What to do about each reason."""


def explain(counts: Funnel) -> list[str]:
    """Why nothing, or not more, was accepted: each reason that occurred with its count and what to do about it."""
    return [f"{count} {reason.value}: {ADVICE[reason]}" for reason, count in counts.rejected.items()]
