"""Implements `questwell index --to`: uploads the passages of a corpus to a search server."""

import asyncio

from questwell.errors import ConfigError
from questwell.http.headers import resolved
from questwell.recipes.corpus.embedders import connect_embedder
from questwell.recipes.corpus.index import open_lexical
from questwell.recipes.corpus.servers import ServerConfig
from questwell.recipes.runs.caller import IndexProgress
from questwell.retrieval.choose import retriever_key
from questwell.retrieval.remote.opensearch import OpenSearchRetriever
from questwell.retrieval.remote.qdrant import QdrantRetriever


def upload(config: ServerConfig, to: str, index_progress: IndexProgress | None = None) -> tuple[str, int]:
    """Upload all passages of the corpus to the index or collection `to`; returns its name and the number of passages.

    Raises:
        ConfigError: `to` is not an index or collection, or a key or header cannot be sent.
        RetrievalError: the server failed.
        AssetError, CorpusError: the corpus cannot be fetched or read.
        LLMError: an embedder at an endpoint failed.
    """
    index_progress = index_progress or IndexProgress()
    kind, _, where = to.partition(":")
    if kind not in ("opensearch", "qdrant") or not where:
        raise ConfigError(f"to = {to!r}: name opensearch:URL/INDEX or qdrant:URL/COLLECTION")
    key, headers = retriever_key(config.key_name), resolved(config.retriever_headers or {})
    lexical = open_lexical(config, index_progress)  # reads the corpus once, and yields its passages in order
    total = len(lexical)

    def open_it() -> OpenSearchRetriever | QdrantRetriever:
        if kind == "opensearch":
            return OpenSearchRetriever(where, key=key, headers=headers)
        return QdrantRetriever.connect(
            where,
            lambda: connect_embedder(config.embedder, config.query_prefix, config.document_prefix),
            key=key,
            headers=headers,
        )

    async def whole() -> tuple[str, int]:
        server = open_it()
        try:
            passages = (lexical.passage_at(place) for place in range(total))
            return server.name, await server.fill(passages, lambda sent: index_progress.uploading(sent, total))
        finally:
            await server.aclose()

    return asyncio.run(whole())
