"""Money per call. A price that is not known gives None, never 0; embedded models cost 0.0.

The user's own price comes first. Without one, the public price list of `genai-prices` (extra `prices`) is asked, by
the endpoint's address: a self-hosted model that borrows a famous name is not priced as the famous one.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as the endpoint counted them."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """Those of `prompt_tokens` that were served from the endpoint's prompt cache."""
    cost_usd: float | None = None
    """As the provider itself says, where it does."""


class Pricing(Protocol):
    """A model's price."""

    def cost_usd(self, usage: Usage) -> float | None:
        """What `usage` costs in US dollars; None when the price is not known."""
        ...


@dataclass(frozen=True, slots=True)
class Price:
    """A fixed price in US dollars per million tokens, cached or not."""

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
        """What `usage` costs in US dollars; None without the extra, or when the list has no such model there."""
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
    """What `of` costs in a batch: half the list price; a price that the user gave is taken as it is."""

    of: Pricing

    def cost_usd(self, usage: Usage) -> float | None:
        """What `usage` costs in US dollars; None when the price is not known."""
        cost = self.of.cost_usd(usage)
        return cost / 2 if cost is not None and isinstance(self.of, ListPrice) else cost
