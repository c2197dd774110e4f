"""What a run may spend, and the check that every call must pass first.

Limits on money and tokens cover the whole run including resumes; a limit on minutes covers one invocation. Calls in
flight when a limit is reached finish and are kept, so a run can slightly exceed its limit.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from questwell.errors import BudgetReached, ConfigError, QuestwellError
from questwell.http.retrying import Retries
from questwell.llm.client import LLM
from questwell.retrieval.rerankers.reranked import Reranked
from questwell.retrieval.retriever import PaidRetriever, Retriever
from questwell.text.money import dollars
from questwell.types.usage import Usage

_N = TypeVar("_N", int, float)


class Stopped(QuestwellError):
    """The user asked the run to stop. It can be resumed."""


@dataclass(frozen=True, slots=True)
class SpendingLimits:
    """Limits on spending; None means no limit."""

    cost_usd: float | None = None
    tokens: int | None = None
    """Prompt and completion tokens together."""
    minutes: float | None = None


class Paid(Protocol):
    """Usage of an answered model call, as given by a `Completion` or a recorded `Call`."""

    @property
    def prompt_tokens(self) -> int | None:
        """Number of prompt tokens; None if unknown."""
        ...

    @property
    def completion_tokens(self) -> int | None:
        """Number of completion tokens; None if unknown."""
        ...

    @property
    def cost_usd(self) -> float | None:
        """Cost in US dollars; None if unknown."""
        ...


class Budget:
    """Spending so far, compared with the limits."""

    def __init__(self, limits: SpendingLimits, spent: Usage, now: Callable[[], float] = time.monotonic) -> None:
        """Start from what earlier invocations of the run have `spent`."""
        self._limits = limits
        self._now = now
        self._started = now()
        self.stopping = False
        """True once no further call may pass."""
        self.spent = spent
        self.retries = Retries()
        """Controls waits before calls are sent; they end when the run stops."""

    def stop(self) -> None:
        """Block further calls. Calls in flight finish and are kept; calls that were not sent yet end at once."""
        self.stopping = True
        self.retries.give_up(unsent=True)

    def check(self) -> None:
        """Let a call pass.

        Raises:
            BudgetReached: a limit is used up.
            Stopped: the user asked to stop.
            ConfigError: the spending so far is unknown, so its limit cannot be enforced.
        """
        if self.stopping:
            raise Stopped("stopped as you asked")
        minutes = (self._now() - self._started) / 60
        if self._limits.minutes is not None and minutes >= self._limits.minutes:
            raise BudgetReached(f"--max-minutes {self._limits.minutes:g} is used up")
        if self._limits.tokens is not None and self.tokens() >= self._limits.tokens:
            raise BudgetReached(f"max_tokens = {self._limits.tokens:,} is used up: {self.tokens():,} tokens so far")
        if self._limits.cost_usd is not None and self.cost_usd() >= self._limits.cost_usd:
            raise BudgetReached(f"max_cost = ${self._limits.cost_usd:g} is used up: {dollars(self.cost_usd())} so far")

    def add(self, call: Paid) -> None:
        """Count the usage of an answered model call."""
        self.spent = Usage(
            self.spent.calls + 1,
            _plus(self.spent.prompt_tokens, call.prompt_tokens),
            _plus(self.spent.completion_tokens, call.completion_tokens),
            _plus(self.spent.cost_usd, call.cost_usd),
        )

    def add_rejected(self, prompt_tokens: int, completion_tokens: int, cost_usd: float | None) -> None:
        """Count the usage of replies that were paid for but contained no answer."""
        spent = self.spent
        self.spent = replace(
            spent,
            prompt_tokens=_plus(spent.prompt_tokens, prompt_tokens),
            completion_tokens=_plus(spent.completion_tokens, completion_tokens),
            cost_usd=_plus(spent.cost_usd, cost_usd),
        )

    def add_search(self, cost_usd: float | None) -> None:
        """Count the cost of an answered search, or of reranking its hits."""
        self.spent = replace(self.spent, cost_usd=_plus(self.spent.cost_usd, cost_usd))

    def tokens(self) -> int:
        """Return prompt plus completion tokens so far; raises ConfigError if they are unknown."""
        if self.spent.prompt_tokens is None or self.spent.completion_tokens is None:
            raise _unreported("--max-tokens")
        return self.spent.prompt_tokens + self.spent.completion_tokens

    def cost_usd(self) -> float:
        """Return the cost so far in US dollars; raises ConfigError if it is unknown."""
        if self.spent.cost_usd is None:
            if self.spent.prompt_tokens is None:
                raise _unreported("--max-cost")
            raise _unknown_price("a model of this run")
        return self.spent.cost_usd


def refuse_unknown_prices(limits: SpendingLimits, llms: Iterable[LLM], retriever: Retriever | None = None) -> None:
    """Refuse, before any call, a cost limit that cannot be enforced.

    Raises:
        ConfigError: a cost limit is set, but the price of a model or of a search is unknown.
    """
    if limits.cost_usd is not None and isinstance(retriever, Reranked) and not retriever.reranker.priced:
        raise ConfigError(
            f"--max-cost cannot be enforced: the price of the reranker {retriever.reranker.name!r} is not known; "
            "give it with --price-rerank (US dollars per thousand calls; 0 for a server of your own)"
        )
    if limits.cost_usd is not None and isinstance(retriever, PaidRetriever) and not retriever.priced:
        raise ConfigError(
            f"--max-cost cannot be enforced: the price of a search by {retriever.name} is not known; give it with "
            "--price-search (US dollars per thousand; 0 for a server of your own)"
        )
    if limits.cost_usd is not None and (unpriced := sorted({repr(llm.name) for llm in llms if llm.priced is False})):
        raise _unknown_price(" and ".join(unpriced))


def _unreported(limit: str) -> ConfigError:
    return ConfigError(
        f"{limit} cannot be enforced: the endpoint does not report how many tokens a call took; "
        "use --max-minutes, or an endpoint that reports usage"
    )


def _unknown_price(of: str) -> ConfigError:
    return ConfigError(
        f"max_cost cannot be enforced: the price of {of} is not known; give it with --price-in and --price-out "
        "(US dollars per million tokens), or limit --max-tokens instead"
    )


def _plus(total: _N | None, part: _N | None) -> _N | None:
    return None if total is None or part is None else total + part
