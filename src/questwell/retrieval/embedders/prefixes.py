"""What embedding models want before a text: one prefix or instruction for queries, another for documents.

A model that was trained with them finds less without. They are looked up by the model's name, as its card states them;
`--query-prefix` and `--document-prefix` say otherwise.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from questwell.retrieval.embedders.embedder import Embedder, Vectors

TASK = "Given a web search query, retrieve relevant passages that answer the query"
"""The task that Qwen3-Embedding's and E5-instruct's cards state for search."""
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
"""By a pattern of the model's name, small letters; the first that fits counts. bge-m3 and MiniLM want nothing."""


def prefixes_of(
    model: str, query: str | None = None, document: str | None = None, prompts: Mapping[str, str] | None = None
) -> Prefixes:
    """The prefixes of a model by its name; `query` and `document` in their place where they are given.

    `prompts` are those that come with the model (sentence-transformers' `prompts`); they go before those by its name.
    """
    known = next((prefixes for pattern, prefixes in KNOWN if re.search(pattern, model.lower())), Prefixes())
    if prompts and not prompts.keys().isdisjoint({"query", "document", "passage"}):
        known = Prefixes(prompts.get("query", ""), prompts.get("document", prompts.get("passage", "")))
    return Prefixes(known.query if query is None else query, known.document if document is None else document)


def prefixed(embedder: Embedder, prefixes: Prefixes) -> Embedder:
    """`embedder` with `prefixes` before each text; itself if there are none."""
    return Prefixed(embedder, prefixes) if prefixes != Prefixes() else embedder


class Prefixed:
    """An embedder that puts prefixes before texts. Implements `Embedder` and `QueryEmbedder`.

    Its name holds the documents' prefix alone: vectors on disk stay good when only the queries' prefix changes.
    """

    def __init__(self, embedder: Embedder, prefixes: Prefixes) -> None:
        self._embedder = embedder
        self._prefixes = prefixes

    @property
    def name(self) -> str:
        """The model, and a hash of what comes before documents."""
        return self._embedder.name + (f"+d{_hash(self._prefixes.document)}" if self._prefixes.document else "")

    @property
    def query_name(self) -> str:
        """A hash of what comes before queries."""
        return f"q{_hash(self._prefixes.query)}"

    @property
    def weight(self) -> float:
        """The model's."""
        return self._embedder.weight

    @property
    def batch(self) -> int:
        """The model's."""
        return self._embedder.batch

    @property
    def in_flight(self) -> int:
        """The model's."""
        return self._embedder.in_flight

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """As `Embedder.embed`, of documents."""
        return await self._embedder.embed([self._prefixes.document + text for text in texts])

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """As `QueryEmbedder.embed_queries`."""
        return await self._embedder.embed([self._prefixes.query + text for text in texts])

    async def aclose(self) -> None:
        """Release connections."""
        await self._embedder.aclose()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
