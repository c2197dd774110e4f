"""Config keys for spending limits and model prices, shared by all commands that call models."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from questwell.llm.prices import Price
from questwell.recipes.runs.budget import SpendingLimits
from questwell.recipes.runs.models import MODELS_MAY_CHANGE, ModelConfig


class SpendingConfig(ModelConfig):
    """Config keys for spending limits and prices."""

    max_cost: float | None = Field(default=None, gt=0)
    """Maximum cost of the whole run in US dollars, including earlier invocations."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Maximum number of tokens of the whole run, including earlier invocations."""
    max_minutes: float | None = Field(default=None, gt=0)
    """Maximum duration of this invocation in minutes."""
    price_in: float | None = Field(default=None, ge=0)
    """Price per million prompt tokens in US dollars, if the model's price is unknown."""
    price_out: float | None = Field(default=None, ge=0)
    """Price per million completion tokens in US dollars, if the model's price is unknown."""

    spans: bool = False
    """Trace plays, agents, model calls and searches as OpenTelemetry spans, without any text of them (extra otel)."""

    @model_validator(mode="after")
    def _prices(self) -> Self:
        if (self.price_in is None) != (self.price_out is None):
            raise ValueError("--price-in and --price-out must be given together")
        return self

    def limits(self) -> SpendingLimits:
        """The spending limits."""
        return SpendingLimits(self.max_cost, self.max_tokens, self.max_minutes)

    @property
    def price(self) -> Price | None:
        """The price of the models, if given."""
        if self.price_in is None or self.price_out is None:
            return None
        return Price(self.price_in, self.price_out)


SPENDING_MAY_CHANGE: Mapping[str, str] = {
    "max_cost": "a spending limit",
    "max_tokens": "a spending limit",
    "max_minutes": "a spending limit",
    "price_in": "applies to later calls, and to earlier ones of unknown cost",
    "price_out": "as price_in",
    "spans": "only traces what happens",
    **MODELS_MAY_CHANGE,
}
"""Keys that a resume may change, because none of them changes what a model answers."""
