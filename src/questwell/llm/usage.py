"""Reads the `usage` of a reply. What cannot be right is unknown (None): a cost must never look smaller than it is."""

import math
from typing import cast

from pydantic import BaseModel, JsonValue, ValidationError

from questwell.llm.prices import Usage


class _Details(BaseModel):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Reported(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    reasoning_tokens: int | None = None
    """Perplexity's field for tokens of thoughts."""
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's field for prompt tokens from its cache."""
    cost: JsonValue = None
    """Cost in US dollars: a number (OpenRouter), or an object with `total_cost` (Perplexity)."""
    cost_details: JsonValue = None
    is_byok: bool | None = None
    """Whether OpenRouter used the user's own key at the provider; then `cost` does not contain the provider's bill."""


def read_usage(tree: JsonValue, *, spoke: bool) -> Usage | None:
    """The usage that a reply reports; None if it reports none, or one that cannot be right, such as only zeros.

    Thoughts that are counted only in the total (Gemini, xAI), or only on their own (Perplexity), are added.

    Args:
        tree: the reply's `usage`.
        spoke: whether the reply contains anything, so that it must have cost at least one token.
    """
    try:
        found = _Reported.model_validate(tree)
    except ValidationError:
        return None
    if found.prompt_tokens is None or found.completion_tokens is None:
        return None
    details, written = found.prompt_tokens_details, found.completion_tokens_details
    cached = max((details.cached_tokens if details else None) or found.prompt_cache_hit_tokens or 0, 0)
    prompt = found.prompt_tokens + (cached if cached > found.prompt_tokens >= 0 else 0)  # some leave cached ones out
    thought = (written.reasoning_tokens if written else None) or found.reasoning_tokens or 0
    completion = max(found.completion_tokens, (found.total_tokens or 0) - prompt)
    if thought > completion:
        completion = found.completion_tokens + thought
    if prompt <= 0 or completion < (1 if spoke else 0):
        return None
    return Usage(prompt, completion, cached, _cost(found))


def _cost(found: _Reported) -> float | None:
    """The cost that the provider reports in US dollars, with the bill for the user's own key."""
    cost = found.cost
    reported = _dollars(cost.get("total_cost") if isinstance(cost, dict) else cost)
    details = cast(dict[str, JsonValue], found.cost_details if isinstance(found.cost_details, dict) else {})
    upstream = _dollars(details.get("upstream_inference_cost"))
    if upstream is None or reported is None:
        return reported
    own_key = found.is_byok if found.is_byok is not None else reported == 0
    return reported + upstream if own_key else reported


def _dollars(value: JsonValue) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = float(value)
    except ValueError:
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None
