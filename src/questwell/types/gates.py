"""Gates: the checks of a question after it is accepted, and what came out of them (`games/gates.py`)."""

from dataclasses import dataclass
from enum import StrEnum


class Gate(StrEnum):
    """A cheap check of a proposal by other means than attempts (`games/gates.py`)."""

    CLOSED_BOOK = "closed-book"
    """It is not answered without any passage."""
    EVIDENCE = "evidence"
    """It is answered from its own evidence."""
    SHORTCUT = "shortcut"
    """It is not answered from what one search with the question itself finds."""
    UNIQUE = "unique"
    """No other answer fits."""
    SINGLE_DOCUMENT = "single-document"
    """No document of its evidence answers it alone."""
    LEAVE_ONE_OUT = "leave-one-out"
    """It is not answered when any one document of its evidence is left out."""
    FINDABLE = "findable"
    """The retriever finds each document of its evidence by some query of its steps, or by the question."""
    DATED = "dated"
    """Where its answer may change with time, the question says for when."""


TOO_EASY = frozenset({Gate.CLOSED_BOOK, Gate.SHORTCUT, Gate.SINGLE_DOCUMENT, Gate.LEAVE_ONE_OUT})
"""Gates that stop a question because there is a quicker way to its answer; the others doubt the question itself."""


class GateOutcome(StrEnum):
    """The outcome of one gate. Only PASSED lets a proposal through."""

    PASSED = "passed"
    FAILED = "failed"
    UNSCORED = "unscored"
    """The model or the judge said nothing usable."""
    ERRORED = "errored"
    """A provider or the retriever failed."""


@dataclass(frozen=True, slots=True)
class EvidenceRank:
    """Where the retriever ranks a document of the evidence, from 1; None: not among the passages it was asked for."""

    document_id: str
    question: int | None
    """Rank with the question itself as the query."""
    step: int | None
    """Best rank with a query of the intended steps."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """What one gate found of one proposal."""

    gate: Gate
    outcome: GateOutcome
    reason: str
    """What was answered, or what failed, in a sentence."""
    right: int | None = None
    """Number of right answers among `asked`, for a gate that asks several times."""
    asked: int | None = None
    """Number of answers that could be scored."""
    ranks: tuple[EvidenceRank, ...] = ()
    """Ranks of the evidence, for the findable gate."""
