"""Behind `questwell index --to`: the passages of a corpus put into a search server."""

import asyncio

from questwell.errors import ConfigError
from questwell.recipes.corpus.embedders import connect_embedder
from questwell.recipes.corpus.index import IndexConfig, IndexProgress, open_lexical
from questwell.retrieval.choose import retriever_key
from questwell.retrieval.remote.opensearch import OpenSearchRetriever
from questwell.retrieval.remote.qdrant import QdrantRetriever


def upload(config: IndexConfig, to: str, index_progress: IndexProgress | None = None) -> tuple[str, int]:
    """Put every passage of the corpus into the index or collection that `to` names; its name, and how many.

    Raises:
        ConfigError: `to` names nothing that can be filled.
        RetrievalError: the server failed.
        AssetError, CorpusError: from the corpus.
        LLMError: an embedder behind an endpoint failed.
    """
    index_progress = index_progress or IndexProgress()
    kind, _, where = to.partition(":")
    if kind not in ("opensearch", "qdrant") or not where:
        raise ConfigError(f"to = {to!r}: name opensearch:URL/INDEX or qdrant:URL/COLLECTION")
    lexical = open_lexical(config, index_progress)  # reads the corpus once, and gives its passages in order
    total = len(lexical)

    def open_it() -> OpenSearchRetriever | QdrantRetriever:
        if kind == "opensearch":
            return OpenSearchRetriever(where, key=retriever_key())
        return QdrantRetriever.connect(
            where,
            lambda: connect_embedder(config.embedder, config.query_prefix, config.document_prefix),
            key=retriever_key(),
        )

    async def whole() -> tuple[str, int]:
        server = open_it()
        try:
            passages = (lexical.passage_at(place) for place in range(total))
            return server.name, await server.fill(passages, lambda sent: index_progress.uploading(sent, total))
        finally:
            await server.aclose()

    return asyncio.run(whole())
