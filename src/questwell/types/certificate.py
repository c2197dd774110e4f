"""The certificate of an item: measurements from gates and from stored attempts."""

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
    """Measurements of one evidence passage."""

    passage_id: str
    document_id: str
    title: str
    rank_by_question: int | None
    """Rank of its document when the question itself is the query, from 1; None: not measured, or not found."""
    rank_by_step: int | None
    """Best rank of its document with the queries of the intended steps; None: not measured, or not found."""
    rank_by_attempts: int | None
    """Best rank of its document among all searches of the attempts; None: no search returned it."""
    attempts_found: int
    """Number of attempts that found its document."""
    spans: tuple[Span, ...]
    """Positions of the answer in its text; empty if the text does not contain it."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often another judge gave the attempts the same label."""

    judge: str
    agreed: int
    of: int
    """Number of attempts that both judges scored."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Measured difficulty, shortcuts and evidence of an item. Fields that were not measured are None or empty."""

    difficulty: int | None
    """Fewest search steps in a right attempt."""
    solve_rate: Proportion
    """Share of right attempts among the scored ones, with its 95 % Wilson interval."""
    weak_solve_rate: Proportion | None
    """The same for the weak solver; None if there was none."""
    closed_book: Proportion | None
    """Share of right answers without any passage; None if this was not measured."""
    checks: tuple[GateResult, ...]
    """Results of all gates that ran: closed-book, evidence, shortcut (one search), unique, single-document,
    leave-one-out, findable, dated."""
    evidence: tuple[EvidenceCertificate, ...]
    judges: tuple[Agreement, ...]
    """Agreement with further judges of the same attempts."""
    as_of: str
    """The time that the question asks about, in its own words; empty if it names none."""
