"""What calls used: their number, tokens and cost."""

from dataclasses import dataclass
from typing import TypeVar

_N = TypeVar("_N", int, float)


@dataclass(frozen=True, slots=True)
class Usage:
    """Number of calls, tokens and cost. None means unknown, which is not 0."""

    calls: int = 0
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    cost_usd: float | None = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum; a field that is unknown in one of them is unknown in the sum."""
        return Usage(
            self.calls + other.calls,
            _plus(self.prompt_tokens, other.prompt_tokens),
            _plus(self.completion_tokens, other.completion_tokens),
            _plus(self.cost_usd, other.cost_usd),
        )


def _plus(one: _N | None, other: _N | None) -> _N | None:
    return None if one is None or other is None else one + other
