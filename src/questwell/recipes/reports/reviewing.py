"""What people decided about the items of a run, and how far they agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import combinations
from pathlib import Path

from questwell.errors import ConfigError
from questwell.evaluation.statistics import kappa
from questwell.store.reviews import add_review, read_reviews
from questwell.types.review import Decision, Review, in_force, pair_digest


class ReviewState(StrEnum):
    """The state of an item according to its reviews."""

    NONE = "unreviewed"
    ACCEPTED = "accepted"
    EDITED = "edited"
    REJECTED = "rejected"
    STALE = "stale"
    """Decided about another question than the run holds now."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The reviews of one item."""

    state: ReviewState
    decision: Review | None
    """The entry that counts; None when there is none."""
    entries: tuple[Review, ...]
    """All of them, notes included, in order."""

    @property
    def newest(self) -> int:
        """Number of the newest entry; 0: none."""
        return self.entries[-1].id if self.entries else 0


@dataclass(frozen=True, slots=True)
class ReviewerAgreement:
    """Agreement of two reviewers over the items that both decided on: keep (accept or edit) or reject."""

    first: str
    second: str
    items: int
    agreed: float
    """Share of the items on which both say the same, in [0, 1]."""
    kappa: float | None
    """Cohen's; None when both always say the same one thing."""


UNREVIEWED = Reviewed(ReviewState.NONE, None, ())
_STATES = {
    Decision.ACCEPT: ReviewState.ACCEPTED,
    Decision.EDIT: ReviewState.EDITED,
    Decision.REJECT: ReviewState.REJECTED,
}


def reviewed(entries: Sequence[Review], digest: str | None = None) -> Reviewed:
    """How one item stands by its `entries`; with the `digest` of what the run holds, stale decisions are told."""
    decision = in_force(entries)
    state = ReviewState.NONE if decision is None else _STATES[decision.decision]
    if decision is not None and digest is not None and decision.digest != digest:
        state = ReviewState.STALE
    return Reviewed(state, decision, tuple(entries))


def reviews_by_seed(folder: Path) -> dict[str, Reviewed]:
    """Each reviewed item of the run in `folder`, by seed id; stale decisions are not told apart here."""
    found: dict[str, list[Review]] = {}
    for entry in read_reviews(folder):
        found.setdefault(entry.seed, []).append(entry)
    return {seed: reviewed(entries) for seed, entries in found.items()}


def review(
    folder: Path,
    seed: str,
    pair: tuple[str, str, tuple[str, ...]],
    decision: Decision,
    *,
    reviewer: str,
    supersedes: int,
    note: str = "",
    edited: tuple[str, str, tuple[str, ...]] | None = None,
) -> Review:
    """Keep a decision about `pair`, the question, answer and aliases that the reviewer saw.

    Raises:
        ConfigError: an edit that changes nothing or leaves nothing, or no name of the reviewer.
        ReviewConflict: somebody else reviewed it meanwhile.
    """
    if not reviewer.strip():
        raise ConfigError("enter the name of the reviewer")
    question, answer, aliases = edited if decision is Decision.EDIT and edited is not None else pair
    if decision is Decision.EDIT:
        if not question.strip() or not answer.strip():
            raise ConfigError("an edited item needs a question and an answer")
        if (question, answer, aliases) == pair:
            raise ConfigError("nothing was changed: accept the item instead")
    if decision is Decision.NOTE and not note.strip():
        raise ConfigError("a note must not be empty")
    entry = Review(
        id=0,
        seed=seed,
        digest=pair_digest(pair[0], pair[1]),
        decision=decision,
        question=question,
        answer=answer,
        aliases=aliases,
        note=note.strip(),
        reviewer=reviewer.strip(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        supersedes=supersedes,
    )
    return add_review(folder, entry)


def agreements(folder: Path) -> list[ReviewerAgreement]:
    """Agreement of each two reviewers who decided on the same items."""
    latest: dict[str, dict[str, bool]] = {}
    for entry in read_reviews(folder):
        mine = latest.setdefault(entry.reviewer, {})
        if entry.decision is Decision.CLEAR:
            mine.pop(entry.seed, None)
        elif entry.decision is not Decision.NOTE:
            mine[entry.seed] = entry.decision is not Decision.REJECT
    return [found for a, b in combinations(latest, 2) if (found := _agreement(a, b, latest)) is not None]


def _agreement(first: str, second: str, latest: Mapping[str, Mapping[str, bool]]) -> ReviewerAgreement | None:
    both = [seed for seed in latest[first] if seed in latest[second]]
    if not both:
        return None
    a, b = [latest[first][seed] for seed in both], [latest[second][seed] for seed in both]
    agreed = sum(x == y for x, y in zip(a, b, strict=True)) / len(both)
    return ReviewerAgreement(first, second, len(both), agreed, kappa(a, b))
