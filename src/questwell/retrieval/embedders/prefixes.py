"""Prefixes that embedding models expect: one text or instruction before queries, another before documents.

A model that was trained with prefixes finds less without them. We look them up by the model's name, as its model card
states them; `--query-prefix` and `--document-prefix` override them.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from questwell.retrieval.embedders.embedder import Embedder, Vectors

TASK = "Given a web search query, retrieve relevant passages that answer the query"
"""The search task in the model cards of Qwen3-Embedding and E5-instruct."""
SEARCH = "Represent this sentence for searching relevant passages: "


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The texts to put before queries and documents."""

    query: str = ""
    document: str = ""


KNOWN: tuple[tuple[str, Prefixes], ...] = (
    (r"qwen3-embedding", Prefixes(f"Instruct: {TASK}\nQuery:")),
    (r"e5-.*instruct", Prefixes(f"Instruct: {TASK}\nQuery: ")),
    (r"(^|[/-])e5-", Prefixes("query: ", "passage: ")),
    (r"bge-(small|base|large)-en", Prefixes(SEARCH)),
    (r"bge-(small|base|large)-zh", Prefixes("为这个句子生成表示以用于检索相关文章:")),
    (r"mxbai-embed", Prefixes(SEARCH)),
    (r"arctic-embed-.*v2", Prefixes("query: ")),
    (r"arctic-embed", Prefixes(SEARCH)),
    (r"nomic-embed-text", Prefixes("search_query: ", "search_document: ")),
    (r"embeddinggemma", Prefixes("task: search result | query: ", "title: none | text: ")),
)
"""Prefixes by a pattern of the model's name in lower case; the first match is used. bge-m3 and MiniLM need none."""


def prefixes_of(
    model: str, query: str | None = None, document: str | None = None, prompts: Mapping[str, str] | None = None
) -> Prefixes:
    """The prefixes of a model by its name; `query` and `document` replace them if given.

    `prompts` come with the model (sentence-transformers' `prompts`) and have precedence over those found by name.
    """
    known = next((prefixes for pattern, prefixes in KNOWN if re.search(pattern, model.lower())), Prefixes())
    if prompts and not prompts.keys().isdisjoint({"query", "document", "passage"}):
        known = Prefixes(prompts.get("query", ""), prompts.get("document", prompts.get("passage", "")))
    return Prefixes(known.query if query is None else query, known.document if document is None else document)


def prefixed(embedder: Embedder, prefixes: Prefixes) -> Embedder:
    """`embedder` with `prefixes` put before each text, or `embedder` itself if there are none."""
    return Prefixed(embedder, prefixes) if prefixes != Prefixes() else embedder


class Prefixed:
    """An embedder that puts prefixes before texts. Implements `Embedder` and `QueryEmbedder`.

    Its name contains only the documents' prefix, so vectors on disk stay valid if only the queries' prefix changes.
    """

    def __init__(self, embedder: Embedder, prefixes: Prefixes) -> None:
        self._embedder = embedder
        self._prefixes = prefixes

    @property
    def name(self) -> str:
        """Name of the model, and a hash of the documents' prefix."""
        return self._embedder.name + (f"+d{_hash(self._prefixes.document)}" if self._prefixes.document else "")

    @property
    def query_name(self) -> str:
        """A hash of the queries' prefix."""
        return f"q{_hash(self._prefixes.query)}"

    @property
    def weight(self) -> float:
        """Weight of the vectors in a hybrid ranking, as for the wrapped embedder."""
        return self._embedder.weight

    @property
    def batch(self) -> int:
        """Best number of texts per call, as for the wrapped embedder."""
        return self._embedder.batch

    @property
    def in_flight(self) -> int:
        """Best number of calls at the same time, as for the wrapped embedder."""
        return self._embedder.in_flight

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of documents, one row per text, with the documents' prefix before each."""
        return await self._embedder.embed([self._prefixes.document + text for text in texts])

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of queries, one row per text, with the queries' prefix before each."""
        return await self._embedder.embed([self._prefixes.query + text for text in texts])

    async def aclose(self) -> None:
        """Release connections."""
        await self._embedder.aclose()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
