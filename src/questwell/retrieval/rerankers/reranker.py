"""The `Reranker` protocol: a query and texts in, a score for each text out.

An endpoint and a cross-encoder implement it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a reranker, and their cost."""

    scores: tuple[float, ...]
    """One for each text, in the order of the texts; higher is better. Their scale is the model's."""
    cost_usd: float | None
    """None when not known, which is not 0."""


class Reranker(Protocol):
    """Says how well each text answers a query. Safe to call from many tasks at once."""

    @property
    def name(self) -> str:
        """The model: same name, query and text, same score (as far as it can promise)."""
        ...

    @property
    def priced(self) -> bool:
        """Whether the price of a call is known."""
        ...

    async def score(self, query: str, texts: Sequence[str]) -> Scores:
        """The score of each text.

        Raises:
            RetrievalError: not every text got a score.
        """
        ...

    async def aclose(self) -> None:
        """Release connections."""
        ...
