"""Decisions of people about the items of a run, and how far they agree."""

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
    """The question has changed since the decision."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The reviews of one item."""

    state: ReviewState
    decision: Review | None
    """The current decision; None if there is none."""
    entries: tuple[Review, ...]
    """All entries in order, including notes."""

    @property
    def newest(self) -> int:
        """Number of the newest entry; 0 if there is none."""
        return self.entries[-1].id if self.entries else 0


@dataclass(frozen=True, slots=True)
class ReviewerAgreement:
    """Agreement of two reviewers on whether to keep (accept or edit) or reject items that both decided on."""

    first: str
    second: str
    items: int
    agreed: float
    """Share of the items on which both agree, in [0, 1]."""
    kappa: float | None
    """Cohen's kappa; None if both always decide the same single way."""


UNREVIEWED = Reviewed(ReviewState.NONE, None, ())
_STATES = {
    Decision.ACCEPT: ReviewState.ACCEPTED,
    Decision.EDIT: ReviewState.EDITED,
    Decision.REJECT: ReviewState.REJECTED,
}


def reviewed(entries: Sequence[Review], digest: str | None = None) -> Reviewed:
    """Return the review state of one item from its `entries`; marks decisions as stale if `digest` differs."""
    decision = in_force(entries)
    state = ReviewState.NONE if decision is None else _STATES[decision.decision]
    if decision is not None and digest is not None and decision.digest != digest:
        state = ReviewState.STALE
    return Reviewed(state, decision, tuple(entries))


def reviews_by_seed(folder: Path) -> dict[str, Reviewed]:
    """Return each reviewed item of the run in `folder`, by seed id; does not mark stale decisions."""
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
    """Save a decision about `pair`, the question, answer and aliases that the reviewer saw.

    Raises:
        ConfigError: an edit changes nothing or is empty, or the reviewer's name is missing.
        ReviewConflict: somebody else has reviewed it in the meantime.
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
    """Return the agreement of each pair of reviewers who decided on the same items."""
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
