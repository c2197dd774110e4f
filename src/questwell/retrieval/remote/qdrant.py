"""`QdrantRetriever`: a collection of Qdrant, searched by vectors and filled from a corpus.

Through Qdrant's own client (extra `qdrant`). The embedder makes the vectors of passages and of queries. Collections
that others have filled with the same model are read as `wire.read_passage` reads documents.
"""

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import httpx2

from questwell.errors import (
    ConfigError,
    IndexMismatch,
    MalformedHits,
    RetrievalError,
    RetrievalRefused,
    RetrievalTimeout,
    RetrievalUnavailable,
)
from questwell.http.retrying import Failure, Server, TryFailedError, retry_after_s, retrying
from questwell.retrieval.extras import optional
from questwell.retrieval.remote.calling import PASSING, CallOptions
from questwell.retrieval.remote.filters import both, narrowed_by
from questwell.retrieval.remote.remote import KEY_VARIABLE, SCHEMES, base_url, searchable, shown
from questwell.retrieval.remote.wire import ranked, read_passage
from questwell.retrieval.retriever import Filter
from questwell.text.unicode import without_surrogates
from questwell.types.corpus import Hit, Passage

if TYPE_CHECKING:
    from questwell.retrieval.embedders.embedder import Embedder

AT_ONCE = 128
"""Passages sent together."""
FACETS, EMBEDDER = "questwell_facets", "questwell_embedder"
"""Fields of the payload: metadata, each pair as `key=value`, which filters ask for; and what made the vector."""
_NAMESPACE = uuid.UUID("5b0c8b8e-6a5e-4b0e-9d43-6f1f6c3e2a10")
"""Qdrant's ids are numbers or UUIDs: ours are made of the passage's id."""
_QUERY_CHARS = 10_000
_T = TypeVar("_T")


class QdrantRetriever:
    """One collection. Implements `Retriever`, `BatchRetriever` and `FilteringRetriever`; belongs to one event loop."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401  the library's
        collection: str,
        embedder: "Embedder",
        server: Server,
        options: CallOptions,
    ) -> None:
        """Search `collection` by `client`, Qdrant's asynchronous one. Mostly made by `connect`."""
        self._client = client
        self._collection = collection
        self._embedder = embedder
        self._server = server
        self._options = options
        self._models = optional("qdrant_client.models", "qdrant")
        self._errors = optional("qdrant_client.http.exceptions", "qdrant")
        self._busy = optional("qdrant_client.common.client_exceptions", "qdrant").ResourceExhaustedResponse
        self._using: str | None = None
        self._looked = False
        self._size: int | None = None
        self._closed = False
        self._always: Filter = {}

    @classmethod
    def connect(
        cls,
        spec: str,
        embedder: "Callable[[], Embedder]",
        options: CallOptions | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """The collection that `spec` names: URL/COLLECTION. Nothing is called yet.

        Raises:
            ConfigError: `spec` is no address with a collection, or the extra `qdrant` is not installed.
        """
        url, _, collection = base_url(spec).partition("?")[0].rpartition("/")
        if not collection or not httpx2.URL(url).host:
            raise ConfigError(f"qdrant:{spec}: add the collection: qdrant:http://HOST:6333/COLLECTION")
        library = optional("qdrant_client", "qdrant")
        options = options or CallOptions()
        credentials = {"authorization": key} if key and key.startswith(SCHEMES) else {"api-key": key} if key else {}
        client = library.AsyncQdrantClient(
            url=url,
            port=None if httpx2.URL(url).port or url.startswith("https://") else 6333,
            headers={**credentials, **(headers or {})},
            timeout=max(1, round(options.timeout_s)),
            check_compatibility=False,  # it would call, and warn on the terminal
        )
        name = f"qdrant:{shown(url).rstrip('/')}/{collection}"
        return cls(client, collection, embedder(), Server(name, key), options)

    @property
    def name(self) -> str:
        """The address and the embedder; the server reports no snapshot of the collection."""
        from questwell.retrieval.embedders.queries import described

        return f"{self._server.name}+{described(self._embedder)}" + narrowed_by(self._always)

    def narrow(self, where: Filter) -> Self:
        """The same, from now on as if it held only the passages that `where` lets through."""
        self._always = dict(where)
        return self

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """As `Retriever.search`."""
        return (await self.search_where([query], k, {}))[0]

    async def search_many(self, queries: Sequence[str], k: int) -> list[tuple[Hit, ...]]:
        """The hits of each query, in one call."""
        return await self.search_where(queries, k, {})

    async def search_where(self, queries: Sequence[str], k: int, where: Filter) -> list[tuple[Hit, ...]]:
        """The same among the passages with this metadata, in a collection that `fill` has filled.

        Raises:
            IndexMismatch: the vectors were made by another embedder.
        """
        among = both(self._always, where)
        asked = [without_surrogates(query)[:_QUERY_CHARS] for query in queries if k > 0 and searchable(query)]
        if not asked or among is None:
            return [() for _ in queries]
        from questwell.retrieval.embedders.queries import embed_queries

        await self._look()
        vectors = await embed_queries(self._embedder, asked, self._options.timeout_s)
        requests = [self._request(vector.tolist(), k, among) for vector in vectors]
        replies = await self._call(lambda: self._client.query_batch_points(self._collection, requests))
        if len(replies) != len(asked):
            raise MalformedHits(f"{self._server.name}: the reply is not a list of {len(asked)} results")
        found = iter([self._hits(reply.points, k) for reply in replies])
        return [next(found) if searchable(query) else () for query in queries]

    async def fill(self, passages: Iterable[Passage], progress: Callable[[int], None] = lambda sent: None) -> int:
        """Put passages into the collection, made if it is not there; one with the same id is replaced. Their number.

        Raises:
            IndexMismatch: the collection is there, for vectors of another size.
            RetrievalError: as of a search; what was sent before stays.
            LLMError: an embedder behind an endpoint failed.
        """
        from questwell.retrieval.embedders.embedder import embedded_text

        sent = 0
        waiting = iter(passages)
        while batch := list(itertools.islice(waiting, AT_ONCE)):
            vectors = await self._embedder.embed([embedded_text(passage) for passage in batch])
            if not sent:
                await self._prepare(vectors.shape[1])
            points = [
                self._models.PointStruct(
                    id=str(uuid.uuid5(_NAMESPACE, passage.id)),
                    vector=vector.tolist() if self._using is None else {self._using: vector.tolist()},
                    payload=asdict(passage)
                    | {FACETS: [f"{key}={value}" for key, value in passage.metadata], EMBEDDER: self._embedder.name},
                )
                for passage, vector in zip(batch, vectors, strict=True)
            ]
            await self._call(lambda points=points: self._client.upsert(self._collection, points, wait=True))
            sent += len(batch)
            progress(sent)
        return sent

    async def aclose(self) -> None:
        """Close the connections and the embedder."""
        self._closed = True
        await self._client.close()
        await self._embedder.aclose()

    def _request(self, vector: list[float], k: int, where: Filter) -> Any:  # noqa: ANN401  the library's
        among = [
            self._models.FieldCondition(
                key=FACETS,
                match=self._models.MatchAny(
                    any=[f"{key}={one}" for one in ([value] if isinstance(value, str) else value)]
                ),
            )
            for key, value in where.items()
        ]
        return self._models.QueryRequest(
            query=vector,
            using=self._using,
            limit=k,
            filter=self._models.Filter(must=among) if among else None,
            with_payload=True,
        )

    async def _prepare(self, size: int) -> None:
        if await self._call(lambda: self._client.collection_exists(self._collection)):
            there = await self._look()
            if there != size:
                raise IndexMismatch(
                    f"{self._server.name} holds vectors of {there} numbers, and {self._embedder.name} makes {size}: "
                    "name another collection, or the embedder that filled it"
                )
            return
        models = self._models
        vectors = models.VectorParams(size=size, distance=models.Distance.COSINE)
        await self._call(lambda: self._client.create_collection(self._collection, vectors_config=vectors))
        keyword = models.PayloadSchemaType.KEYWORD
        await self._call(lambda: self._client.create_payload_index(self._collection, FACETS, field_schema=keyword))
        self._looked, self._size = True, size

    async def _look(self) -> int | None:
        """See which vectors the collection holds, once; their size."""
        if self._looked:
            return self._size
        held = (await self._call(lambda: self._client.get_collection(self._collection))).config.params.vectors
        self._looked = True
        if not isinstance(held, dict):
            self._size = getattr(held, "size", None)
            return self._size
        named = cast(dict[str, Any], held)
        if len(named) != 1 and "dense" not in named:
            raise ConfigError(f"{self._server.name} holds the vectors {', '.join(named) or 'none'}: one is expected")
        self._using = "dense" if "dense" in named else next(iter(named))
        self._size = named[self._using].size
        return self._size

    def _hits(self, points: Sequence[Any], k: int) -> tuple[Hit, ...]:
        found: list[tuple[float, Passage]] = []
        for point in points:
            payload = cast(dict[str, Any], point.payload or {})
            if payload.get(EMBEDDER, self._embedder.name) != self._embedder.name:
                raise IndexMismatch(
                    f"{self._server.name} was filled with vectors of {payload[EMBEDDER]!r}, and queries are "
                    f"embedded by {self._embedder.name!r}: name that embedder by --embedder"
                )
            found.append((float(point.score), read_passage({"id": str(point.id), **payload})))
        return ranked(sorted(found, key=lambda pair: pair[1].id), k)  # equal scores by id, so that the order is total

    async def _call(self, call: Callable[[], Awaitable[_T]]) -> _T:
        async def attempt() -> _T:
            try:
                async with asyncio.timeout(self._options.timeout_s):
                    return await call()
            except (TimeoutError, self._busy, self._errors.ApiException) as error:
                raise TryFailedError(self._failure(error)) from error

        return await retrying(attempt, self._server, self._options, lambda: self._closed)

    def _failure(self, error: Exception) -> Failure[RetrievalError]:
        """The one place where a failure of the client becomes ours."""
        if isinstance(error, self._busy):
            after = retry_after_s(str(getattr(error, "retry_after_s", "")), datetime.now(UTC))
            return Failure(RetrievalUnavailable, "status 429", "try again later", True, retry_after_s=after)
        source = getattr(error, "source", None)
        if isinstance(error, TimeoutError) or "Timeout" in type(source).__name__:
            return Failure(RetrievalTimeout, f"no answer within {self._options.timeout_s:g} s", "try again later", True)
        if isinstance(error, self._errors.ResponseHandlingException):
            if "validation" in type(source).__name__.lower():
                return Failure(MalformedHits, "a reply that is not Qdrant's", "check the address", False)
            return Failure(RetrievalUnavailable, f"no connection ({source})", "check that the server runs", True)
        status, told = getattr(error, "status_code", None), " ".join(str(error).split())[:200]
        if status in (401, 403):
            return Failure(
                RetrievalRefused, f"status {status}: {told}", f"set {KEY_VARIABLE} to the server's key", False
            )
        if isinstance(status, int) and (status in PASSING or status >= 500):
            return Failure(RetrievalUnavailable, f"status {status}: {told}", "try again later", True)
        if status == 404:
            advice = f"fill it: questwell index CORPUS --to {self._server.name}"
            return Failure(RetrievalRefused, f"there is no collection {self._collection!r}", advice, False)
        return Failure(RetrievalRefused, told, "check the address, the collection and the embedder", False)
