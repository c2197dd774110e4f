"""An agent's line to its model and its retriever: the one door through which everything paid for goes."""

from collections.abc import Callable
from typing import Protocol

from questwell.llm.client import LLM, Completion, Request
from questwell.retrieval.retriever import Retriever
from questwell.types.corpus import Hit
from questwell.types.game import Place


class Session(Protocol):
    """One agent's calls at one place of a game, made one after another."""

    @property
    def model(self) -> str:
        """The model behind `complete`."""
        ...

    async def complete(self, request: Request) -> Completion:
        """The model's answer. Raises LLMError, or BudgetReached before the call is made."""
        ...

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """The retriever's hits. Raises RetrievalError, or BudgetReached before the search is made."""
        ...


Sessions = Callable[[Place], Session]
"""Opens the session of a place. A run's recipe gives one that records and replays; `direct` gives a plain one."""


class DirectSession:
    """A session that records nothing: for evaluation of one question, trials and tests."""

    def __init__(self, llm: LLM, retriever: Retriever) -> None:
        """Talk to `llm` and `retriever` directly."""
        self._llm = llm
        self._retriever = retriever

    @property
    def model(self) -> str:
        """The model behind `complete`."""
        return self._llm.name

    async def complete(self, request: Request) -> Completion:
        """The model's answer."""
        return await self._llm.complete(request)

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """The retriever's hits."""
        return await self._retriever.search(query, k)
