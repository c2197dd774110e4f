"""The certificate of an item: what was measured about it, each line from a gate or from stored attempts."""

from dataclasses import dataclass

from questwell.types.gates import GateResult
from questwell.types.measures import Proportion


@dataclass(frozen=True, slots=True)
class Span:
    """The position of the answer in a passage, in characters: `text[start:end]`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class EvidenceCertificate:
    """What is known about one passage of the evidence."""

    passage_id: str
    document_id: str
    title: str
    rank_by_question: int | None
    """Rank of its document when the question itself is the query, from 1; None: not measured, or not found."""
    rank_by_step: int | None
    """Best rank of its document under the queries of the intended steps; None as above."""
    rank_by_attempts: int | None
    """Best rank of its document among all searches of the attempts; None: no search returned it."""
    attempts_found: int
    """Number of attempts that found its document."""
    spans: tuple[Span, ...]
    """Positions of the answer in its text; empty if the text does not contain it."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often another judge said the same of the attempts."""

    judge: str
    agreed: int
    of: int
    """Attempts that both judges scored."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is known of an item's difficulty, shortcuts and evidence. What was not asked for is None or empty."""

    difficulty: int | None
    """Fewest search steps in a right attempt."""
    solve_rate: Proportion
    """Right among scored attempts, with its 95 % Wilson interval."""
    weak_solve_rate: Proportion | None
    """As above, of a weak solver."""
    closed_book: Proportion | None
    """Right answers without any passage."""
    checks: tuple[GateResult, ...]
    """Every gate that was asked: closed-book, evidence, shortcut (one search), unique, single-document, leave-one-out,
    findable, dated."""
    evidence: tuple[EvidenceCertificate, ...]
    judges: tuple[Agreement, ...]
    """Further judges of the same attempts."""
    as_of: str
    """The time for which the question asks, in its own words; empty when it names none."""
