"""Gates, the checks of a question after its attempts, and their results (`games/gates.py`)."""

from dataclasses import dataclass
from enum import StrEnum


class Gate(StrEnum):
    """A check of a proposal that needs fewer calls than attempts (`games/gates.py`). Members say what must hold."""

    CLOSED_BOOK = "closed-book"
    """The question is not answered without any passage."""
    EVIDENCE = "evidence"
    """The question is answered from its own evidence."""
    SHORTCUT = "shortcut"
    """The question is not answered from the hits of one search with the question itself."""
    UNIQUE = "unique"
    """No other answer fits."""
    SINGLE_DOCUMENT = "single-document"
    """No single document of the evidence answers the question."""
    LEAVE_ONE_OUT = "leave-one-out"
    """The question is not answered if any one document of the evidence is left out."""
    FINDABLE = "findable"
    """The retriever finds each document of the evidence with a query of the steps, or with the question."""
    DATED = "dated"
    """If the answer may change with time, the question states a time."""


TOO_EASY = frozenset({Gate.CLOSED_BOOK, Gate.SHORTCUT, Gate.SINGLE_DOCUMENT, Gate.LEAVE_ONE_OUT})
"""Gates that reject a question because there is a quicker way to its answer; others doubt the question itself."""


class GateOutcome(StrEnum):
    """The outcome of one gate. Only PASSED lets a proposal through."""

    PASSED = "passed"
    FAILED = "failed"
    UNSCORED = "unscored"
    """The model or the judge gave no usable answer."""
    ERRORED = "errored"
    """A provider or the retriever failed."""


@dataclass(frozen=True, slots=True)
class EvidenceRank:
    """Ranks of an evidence document, from 1; None: not among the requested number of hits."""

    document_id: str
    question: int | None
    """Rank with the question itself as the query."""
    step: int | None
    """Best rank with a query of the intended steps."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """The result of one gate for one proposal."""

    gate: Gate
    outcome: GateOutcome
    reason: str
    """Explanation in a sentence: the answer given, or the failure."""
    right: int | None = None
    """Number of right answers among `asked`, for a gate that asks several times."""
    asked: int | None = None
    """Number of answers that could be scored."""
    ranks: tuple[EvidenceRank, ...] = ()
    """Ranks of the evidence, for the findable gate."""
