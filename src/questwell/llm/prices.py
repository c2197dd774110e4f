"""Computes the cost of a call. An unknown price gives None, never 0; embedded models cost 0.0.

The user's own price comes first. Without one, we look in the public price list of `genai-prices` (extra `prices`) by
the endpoint's address, so a self-hosted model with a well-known name does not get the price of that model.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as counted by the endpoint."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """How many of `prompt_tokens` came from the endpoint's prompt cache."""
    cost_usd: float | None = None
    """Cost that the provider itself reported; None if it reported none."""


class Pricing(Protocol):
    """Computes what a call to a model costs."""

    def cost_usd(self, usage: Usage) -> float | None:
        """What `usage` costs in US dollars; None when the price is not known."""
        ...


@dataclass(frozen=True, slots=True)
class Price:
    """A fixed price in US dollars per million tokens, the same for cached tokens."""

    input_usd: float
    output_usd: float

    def cost_usd(self, usage: Usage) -> float:
        """What `usage` costs in US dollars."""
        return (usage.prompt_tokens * self.input_usd + usage.completion_tokens * self.output_usd) / 1e6


FREE = Price(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class ListPrice:
    """The public list price of `model` at the provider that `base_url` belongs to."""

    model: str
    base_url: str

    def cost_usd(self, usage: Usage) -> float | None:
        """What `usage` costs in US dollars; None without the extra, or if the list does not have the model."""
        try:
            import genai_prices
        except ImportError:
            return None
        counts = genai_prices.Usage(
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            cache_read_tokens=usage.cached_tokens,
        )
        try:
            return float(genai_prices.calc_price(counts, self.model, provider_api_url=self.base_url).total_price)
        except LookupError:
            return None


@dataclass(frozen=True, slots=True)
class BatchPricing:
    """Price in a batch: half the list price, or the user's own price unchanged."""

    of: Pricing

    def cost_usd(self, usage: Usage) -> float | None:
        """What `usage` costs in US dollars; None when the price is not known."""
        cost = self.of.cost_usd(usage)
        return cost / 2 if cost is not None and isinstance(self.of, ListPrice) else cost
