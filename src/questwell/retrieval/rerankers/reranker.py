"""The `Reranker` protocol: takes a query and texts, returns a score for each text.

`EndpointReranker` and `CrossEncoder` implement it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one call to a reranker, and its cost."""

    scores: tuple[float, ...]
    """One score per text, in the order of the texts; higher is better. The scale depends on the model."""
    cost_usd: float | None
    """Cost in US dollars; None (not 0) if it is not known."""


class Reranker(Protocol):
    """Scores how well each text answers a query. Safe to call from many tasks at once."""

    @property
    def name(self) -> str:
        """Name of the model; as far as possible, the same name, query and text give the same score."""
        ...

    @property
    def priced(self) -> bool:
        """Whether the price of a call is known."""
        ...

    async def score(self, query: str, texts: Sequence[str]) -> Scores:
        """The score of each text.

        Raises:
            RetrievalError: a text got no score.
        """
        ...

    async def aclose(self) -> None:
        """Release connections."""
        ...
