"""Behind `questwell index --to`: the passages of a corpus put into a search server."""

import asyncio

from questwell.errors import ConfigError
from questwell.recipes.corpus.index import IndexConfig, IndexProgress, open_lexical
from questwell.retrieval.choose import retriever_key
from questwell.retrieval.remote.opensearch import OpenSearchRetriever


def fill(config: IndexConfig, to: str, index_progress: IndexProgress | None = None) -> tuple[str, int]:
    """Put every passage of the corpus into the index that `to` names; its name, and how many.

    Raises:
        ConfigError: `to` names no index that can be filled.
        RetrievalError: the server failed.
        AssetError, CorpusError: from the corpus.
    """
    kind, _, where = to.partition(":")
    if kind != "opensearch" or not where:
        raise ConfigError(f"to = {to!r}: name opensearch:URL/INDEX")
    lexical = open_lexical(config, index_progress)  # reads the corpus once, and gives its passages in order

    async def whole() -> tuple[str, int]:
        server = OpenSearchRetriever(where, key=retriever_key())
        try:
            places = range(len(lexical))
            return server.name, await server.fill(lexical.passage_at(place) for place in places)
        finally:
            await server.aclose()

    return asyncio.run(whole())
