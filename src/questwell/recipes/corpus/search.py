"""Config keys for where agents search: the corpus or another retriever. Shared by every recipe that searches."""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from questwell.agents.moves import Reader
from questwell.errors import ConfigError
from questwell.recipes.corpus.embedders import connect_embedder
from questwell.recipes.corpus.index import OF_THE_CORPUS, in_order, open_index, open_reranker
from questwell.recipes.corpus.servers import ServerConfig
from questwell.recipes.runs.caller import IndexProgress
from questwell.retrieval.choose import RetrieverOptions, check_spec, open_retriever
from questwell.retrieval.remote.blocking import BlockList
from questwell.retrieval.remote.filters import Narrowable
from questwell.retrieval.remote.web import WebOptions
from questwell.retrieval.rerankers.reranker import Reranker
from questwell.retrieval.retriever import DocumentReader, Retriever
from questwell.text.lists import split_commas


class SearchConfig(ServerConfig):
    """Config keys for which corpus to use, and what the agents search."""

    retriever: str = "lexical"
    """What the agents search: the corpus (lexical, hybrid or dense), or http://HOST, mcp:URL, opensearch:URL/INDEX,
    qdrant:URL/COLLECTION (with --embedder), google, tavily, brave or searxng."""
    page_text: bool = False
    """For web results, fetch the page and use its best matching part instead of the snippet (needs the extra web)."""
    block: Annotated[tuple[str, ...], BeforeValidator(split_commas)] = ()
    """Web domains to block, separated by commas. The sites of the benchmarks are always blocked."""
    price_search: float | None = Field(default=None, ge=0)
    """Price per 1,000 searches in US dollars, if the retriever's price is unknown or differs from the list price."""
    price_rerank: float | None = Field(default=None, ge=0)
    """Price per 1,000 calls to the reranker (Cohere: search units) in US dollars; 0 if you run it yourself."""

    @field_validator("block")
    @classmethod
    def _block(cls, block: tuple[str, ...]) -> tuple[str, ...]:
        try:
            BlockList(block)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return block

    @classmethod
    def check_retriever(cls, named: str) -> None:
        """Reject an unknown retriever name."""
        if named not in OF_THE_CORPUS:
            check_spec(named)

    @property
    def searches_elsewhere(self) -> bool:
        """Whether agents search something other than the corpus."""
        return self.retriever not in OF_THE_CORPUS


def _known(tools: tuple[str, ...]) -> tuple[str, ...]:
    if "search" not in tools or not set(tools) <= {"search", "open", "find"}:
        raise ValueError("expected search, optionally with open and find")
    return tools


Tools: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(split_commas), AfterValidator(_known)]
"""The tools of a free agent: search, and tools that read documents."""


def readers_of(tools: tuple[str, ...], *, free: bool, retriever: Retriever | None = None) -> tuple[Reader, ...]:
    """Return the document tools among `tools`.

    Raises:
        ConfigError: there are some, but the agents are staged or `retriever` cannot return documents.
    """
    readers: tuple[Reader, ...] = tuple(tool for tool in ("open", "find") if tool in tools)
    if readers and not free:
        raise ConfigError(
            f"--tools {','.join(tools)}: staged agents can only search; leave --tools out, or use --style free"
        )
    if readers and retriever is not None and not isinstance(retriever, DocumentReader):
        raise ConfigError(
            f"--tools {','.join(tools)}: {retriever.name} cannot return whole documents; leave out open and find"
        )
    return readers


def open_elsewhere(config: SearchConfig) -> Retriever | None:
    """Return the retriever that agents search instead of the corpus; None if they search the corpus.

    Raises:
        ConfigError: a key is not set, or an extra is not installed.
        RetrievalUnavailable: no server answers at the address.
    """
    if not config.searches_elsewhere:
        return None
    price = None if config.price_search is None else config.price_search / 1000
    web = WebOptions(pages=config.page_text, block=config.block, price_usd=price)
    found = open_retriever(
        config.retriever,
        RetrieverOptions(
            web,
            headers=config.retriever_headers or {},
            key_name=config.key_name,
            embedder=lambda: connect_embedder(config.embedder, config.query_prefix, config.document_prefix),
            price_usd=price,
        ),
    )
    if not config.narrowed_to:
        return found
    if not isinstance(found, Narrowable):
        raise ConfigError(f"--search-where: {found.name} cannot filter by metadata; leave it out")
    return found.narrow(config.narrowed_to)


def reranker_of(config: SearchConfig) -> Reranker | None:
    """Return the reranker that `config` names, with its price, or None.

    Raises:
        ConfigError: the reranker cannot be opened.
    """
    return open_reranker(config, None if config.price_rerank is None else config.price_rerank / 1000)


def open_searched(config: SearchConfig, index_progress: IndexProgress | None = None) -> Retriever:
    """Return what agents search: the corpus (index built if needed) or another retriever; reranked if configured.

    Raises:
        QuestwellError: see `open_elsewhere`, `reranker_of` and `open_index`.
    """
    reranker = reranker_of(config)  # first, because building the index may take long
    return in_order(config, open_elsewhere(config) or open_index(config, index_progress), reranker)
