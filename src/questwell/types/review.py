"""What a person decides about an item."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Decision(StrEnum):
    """The decision of one review."""

    ACCEPT = "accept"
    EDIT = "edit"
    """Question or answer were corrected: the run's verdict was about another question, so it no longer counts."""
    REJECT = "reject"
    NOTE = "note"
    """A remark; the decision before it stands."""
    CLEAR = "clear"
    """Takes back the decision before it."""


@dataclass(frozen=True, slots=True)
class Review:
    """One entry; entries are only added."""

    id: int
    """From 1 in the order in which they were made; 0: not kept yet."""
    seed: str
    """As in the run: `s00000042`."""
    digest: str
    """Digest of the question and answer that the reviewer saw (`pair_digest`)."""
    decision: Decision
    question: str
    """After the edit, or as it was."""
    answer: str
    aliases: tuple[str, ...]
    note: str
    reviewer: str
    date: str
    """ISO 8601, UTC."""
    supersedes: int
    """The newest entry for this seed that the reviewer had seen; 0: none."""


def pair_digest(question: str, answer: str, aliases: Sequence[str] = ()) -> str:
    """An id of exactly this question and answer."""
    return hashlib.sha256(json.dumps([question, answer, list(aliases)]).encode()).hexdigest()[:16]


def in_force(entries: Sequence[Review]) -> Review | None:
    """The decision that counts among the entries for one item, in order: the newest that was not taken back."""
    decision = None
    for entry in entries:
        if entry.decision is Decision.CLEAR:
            decision = None
        elif entry.decision is not Decision.NOTE:
            decision = entry
    return decision
