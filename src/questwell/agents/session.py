"""An agent's connection to its model and its retriever: every paid call goes through here."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from questwell.llm.client import LLM, Completion, Request
from questwell.retrieval.retriever import DocumentPage, Retriever, reader_of
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


@runtime_checkable
class ReadingSession(Protocol):
    """A session whose retriever can return whole documents."""

    async def read_page(self, document_id: str, page: int) -> DocumentPage | None:
        """A page of a document; None if there is no such document. Raises as `Session.search`."""
        ...

    async def find_in(self, document_id: str, query: str, k: int) -> tuple[Hit, ...] | None:
        """The passages of a document that match; None if there is no such document. Raises as `Session.search`."""
        ...


Sessions = Callable[[Place], Session]
"""Opens the session of a place. A run's recipe gives one that records and replays; `direct` gives a plain one."""


class DirectSession:
    """A session that records nothing, for answering single questions and for tests."""

    def __init__(self, llm: LLM, retriever: Retriever) -> None:
        """Call `llm` and `retriever` directly."""
        self._llm = llm
        self._retriever = retriever

    @property
    def model(self) -> str:
        """The model behind `complete`."""
        return self._llm.name

    async def complete(self, request: Request) -> Completion:
        """The model's answer to `request`."""
        return await self._llm.complete(request)

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """The retriever's hits."""
        return await self._retriever.search(query, k)

    async def read_page(self, document_id: str, page: int) -> DocumentPage | None:
        """A page of a document, from the retriever."""
        return await reader_of(self._retriever).read_page(document_id, page)

    async def find_in(self, document_id: str, query: str, k: int) -> tuple[Hit, ...] | None:
        """The passages of a document that match `query`, from the retriever."""
        return await reader_of(self._retriever).find_in(document_id, query, k)
