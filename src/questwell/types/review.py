"""Reviews of items by people."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Decision(StrEnum):
    """The decision of one review."""

    ACCEPT = "accept"
    EDIT = "edit"
    """Question or answer was corrected, so the run's verdict on the old question no longer counts."""
    REJECT = "reject"
    NOTE = "note"
    """A remark; the decision before it stays in force."""
    CLEAR = "clear"
    """Takes back the decision before it."""


@dataclass(frozen=True, slots=True)
class Review:
    """One review entry; entries are only added, never changed."""

    id: int
    """Number of the entry, from 1; 0: not stored yet."""
    seed: str
    """Id of the seed, as in the run: `s00000042`."""
    digest: str
    """Digest of the question and answer that the reviewer saw (`pair_digest`)."""
    decision: Decision
    question: str
    """The question after the edit, or unchanged."""
    answer: str
    aliases: tuple[str, ...]
    note: str
    reviewer: str
    date: str
    """Time of the review, ISO 8601, UTC."""
    supersedes: int
    """Id of the newest entry for this seed that the reviewer had seen; 0: none."""


def pair_digest(question: str, answer: str, aliases: Sequence[str] = ()) -> str:
    """Return a hash of question, answer and aliases."""
    return hashlib.sha256(json.dumps([question, answer, list(aliases)]).encode()).hexdigest()[:16]


def in_force(entries: Sequence[Review]) -> Review | None:
    """Return the newest decision on an item that was not taken back, from its entries in order; None if none."""
    decision = None
    for entry in entries:
        if entry.decision is Decision.CLEAR:
            decision = None
        elif entry.decision is not Decision.NOTE:
            decision = entry
    return decision
