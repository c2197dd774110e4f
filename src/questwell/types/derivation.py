"""How an answer that no passage states is worked out from facts that passages do state."""

from dataclasses import dataclass
from enum import StrEnum


class Operation(StrEnum):
    """How an answer is worked out from facts."""

    COUNT = "count"
    DIFFERENCE = "difference"
    ORDER = "order"
    """Which of several named things comes first, or last."""
    SUM = "sum"


@dataclass(frozen=True, slots=True)
class Operand:
    """One fact that a derived answer rests on."""

    span: str
    """The words of the passage; in an order `name = value`."""
    passage_id: str
    """Empty when the proposer named no passage that it retrieved."""

    @property
    def parts(self) -> tuple[str, ...]:
        """What the passage must contain: the span, or name and value."""
        return tuple(part.strip() for part in self.span.split("=", 1))

    @property
    def name(self) -> str:
        """Name of the thing in an order."""
        return self.parts[0]

    @property
    def value(self) -> str:
        """What is counted, compared or added."""
        return self.parts[-1]


@dataclass(frozen=True, slots=True)
class Derivation:
    """How an answer is derived from facts in passages."""

    operation: Operation
    operands: tuple[Operand, ...]
