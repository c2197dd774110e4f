"""Derived answers: no passage states them, but they follow from facts that passages do state."""

from dataclasses import dataclass
from enum import StrEnum


class Operation(StrEnum):
    """The operation that computes an answer from facts."""

    COUNT = "count"
    DIFFERENCE = "difference"
    ORDER = "order"
    """The first or last of several named things."""
    SUM = "sum"


@dataclass(frozen=True, slots=True)
class Operand:
    """One fact from which a derived answer is computed."""

    span: str
    """Words of the passage; for `Operation.ORDER`, `name = value`."""
    passage_id: str
    """Id of the passage; empty if the proposer named no passage that it had retrieved."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Texts that the passage must contain: the span, or name and value."""
        return tuple(part.strip() for part in self.span.split("=", 1))

    @property
    def name(self) -> str:
        """Name of the thing, for `Operation.ORDER`."""
        return self.parts[0]

    @property
    def value(self) -> str:
        """The value that is counted, compared or added."""
        return self.parts[-1]


@dataclass(frozen=True, slots=True)
class Derivation:
    """How an answer is derived from facts in passages."""

    operation: Operation
    operands: tuple[Operand, ...]
