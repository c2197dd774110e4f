"""Embeds queries, with the deadline and the errors of a search."""

import asyncio
from collections.abc import Sequence

from questwell.errors import LLMError, LLMTimeout, RetrievalError, RetrievalTimeout
from questwell.retrieval.embedders.embedder import Embedder, QueryEmbedder, Vectors


async def embed_queries(embedder: Embedder, queries: Sequence[str], timeout_s: float) -> Vectors:
    """Vectors of queries, one row per query.

    Raises:
        RetrievalTimeout: there were no vectors within `timeout_s`.
        RetrievalError: the embedder failed.
    """
    try:
        async with asyncio.timeout(timeout_s):
            if isinstance(embedder, QueryEmbedder):
                return await embedder.embed_queries(queries)
            return await embedder.embed(queries)
    except TimeoutError as error:
        raise RetrievalTimeout(f"no vector for the query within {timeout_s:g} s") from error
    except LLMTimeout as error:
        raise RetrievalTimeout(f"no vector for the query: {error}") from error
    except LLMError as error:
        raise RetrievalError(f"no vector for the query: {error}") from error


def described(embedder: Embedder) -> str:
    """Name of the embedder, including what it does only to queries."""
    return embedder.name + (f"+{embedder.query_name}" if isinstance(embedder, QueryEmbedder) else "")
