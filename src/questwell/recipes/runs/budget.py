"""What a run may spend, and the gate that every call passes first.

Money and tokens are those of the whole run, resumes included; minutes are those of this invocation. Calls in flight
when a limit is reached end and are kept, so a run can go a little over.
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
from questwell.types.dataset import Usage

_N = TypeVar("_N", int, float)


class Stopped(QuestwellError):
    """The user asked the run to stop; it can be resumed."""


@dataclass(frozen=True, slots=True)
class SpendingLimits:
    """Limits on spending; None means no limit."""

    cost_usd: float | None = None
    tokens: int | None = None
    """Prompt and completion tokens together."""
    minutes: float | None = None


class Paid(Protocol):
    """What an answered model call took; a `Completion` and a recorded `Call` say so."""

    @property
    def prompt_tokens(self) -> int | None:
        """None when not known."""
        ...

    @property
    def completion_tokens(self) -> int | None:
        """None when not known."""
        ...

    @property
    def cost_usd(self) -> float | None:
        """None when not known."""
        ...


class Budget:
    """What was spent so far, against the limits."""

    def __init__(self, limits: SpendingLimits, spent: Usage, now: Callable[[], float] = time.monotonic) -> None:
        """Start from what the run had `spent` before."""
        self._limits = limits
        self._now = now
        self._started = now()
        self.stopping = False
        """No further call passes."""
        self.spent = spent
        self.retries = Retries()
        """What calls wait for before they are sent, which ends when the run stops."""

    def stop(self) -> None:
        """Let no further call pass; those that were sent end and are kept, those that were not end at once."""
        self.stopping = True
        self.retries.give_up(unsent=True)

    def check(self) -> None:
        """Let a call pass.

        Raises:
            BudgetReached: a limit is used up.
            Stopped: the user asked to stop.
            ConfigError: what was spent is not known, so a limit on it cannot be kept.
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
        """Count an answered model call."""
        self.spent = Usage(
            self.spent.calls + 1,
            _plus(self.spent.prompt_tokens, call.prompt_tokens),
            _plus(self.spent.completion_tokens, call.completion_tokens),
            _plus(self.spent.cost_usd, call.cost_usd),
        )

    def add_rejected(self, prompt_tokens: int, completion_tokens: int, cost_usd: float | None) -> None:
        """Count the usage of replies that were paid for but gave no answer."""
        spent = self.spent
        self.spent = replace(
            spent,
            prompt_tokens=_plus(spent.prompt_tokens, prompt_tokens),
            completion_tokens=_plus(spent.completion_tokens, completion_tokens),
            cost_usd=_plus(spent.cost_usd, cost_usd),
        )

    def add_search(self, cost_usd: float | None) -> None:
        """Count what an answered search, or the reranking of its hits, cost."""
        self.spent = replace(self.spent, cost_usd=_plus(self.spent.cost_usd, cost_usd))

    def tokens(self) -> int:
        """Prompt and completion tokens so far; ConfigError when they are not known."""
        if self.spent.prompt_tokens is None or self.spent.completion_tokens is None:
            raise ConfigError(
                "--max-tokens cannot be enforced: the endpoint does not report how many tokens a call took; "
                "use --max-minutes, or an endpoint that reports usage"
            )
        return self.spent.prompt_tokens + self.spent.completion_tokens

    def cost_usd(self) -> float:
        """Money so far; ConfigError when it is not known."""
        if self.spent.cost_usd is None:
            raise _unknown_price("a model of this run")
        return self.spent.cost_usd


def refuse_unknown_prices(limits: SpendingLimits, llms: Iterable[LLM], retriever: Retriever | None = None) -> None:
    """Refuse, before any call, a limit of money that cannot be kept.

    Raises:
        ConfigError: there is one, and the price of a model or of a search is known not to be known.
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


def _unknown_price(of: str) -> ConfigError:
    return ConfigError(
        f"max_cost cannot be kept: the price of {of} is not known; give it with --price-in and --price-out "
        "(US dollars per million tokens), or limit --max-tokens instead"
    )


def _plus(total: _N | None, part: _N | None) -> _N | None:
    return None if total is None or part is None else total + part
