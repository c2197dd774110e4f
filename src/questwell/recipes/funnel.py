"""From seeds to items: each played seed is accepted or has exactly one reason, so the counts add up."""

from collections import Counter
from collections.abc import Sequence
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
