"""`QdrantRetriever`: searches a Qdrant collection by vectors, and fills it from a corpus.

We use Qdrant's own client (extra `qdrant`). The embedder makes the vectors of passages and of queries. Documents in
collections that others filled with the same model are read by `wire.read_passage`.
"""

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import httpx2

from questwell.errors import (
    ConfigError,
    IndexMismatch,
)
from questwell.http.connections import Connections
from questwell.http.retrying import Server, TryFailedError, retrying
from questwell.retrieval.extras import optional
from questwell.retrieval.remote import stored
from questwell.retrieval.remote.calling import UNANSWERED, UNSENT, CallOptions
from questwell.retrieval.remote.filters import narrowed_by
from questwell.retrieval.remote.qdrant_errors import failure_of
from questwell.retrieval.remote.remote import SCHEMES, base_url, shown
from questwell.retrieval.remote.stored import DOCUMENT_ID, OFFSET, Placed
from questwell.retrieval.remote.wire import ranked, read_passage
from questwell.retrieval.retriever import Filter
from questwell.types.corpus import Hit, Passage

if TYPE_CHECKING:
    from questwell.retrieval.embedders.embedder import Embedder

AT_ONCE = 128
"""Number of passages sent in one call."""
FACETS, EMBEDDER = "questwell_facets", "questwell_embedder"
"""Payload fields: the metadata as `key=value` strings, for filters, and the name of the embedder."""
_NAMESPACE = uuid.UUID("5b0c8b8e-6a5e-4b0e-9d43-6f1f6c3e2a10")
"""Namespace of UUIDs made from passage ids; Qdrant's ids must be numbers or UUIDs."""
_READ_AT_ONCE = 500
"""Number of passages of a document in one reply."""
_T = TypeVar("_T")


class QdrantRetriever(stored.StoreRetriever):
    """Searches one collection. Implements `Retriever`, `BatchRetriever`, `FilteringRetriever` and `DocumentReader`.

    Belongs to one event loop.
    """

    most_chars = 10_000

    def __init__(
        self,
        client: Any,  # noqa: ANN401  the library's
        collection: str,
        embedder: "Embedder",
        server: Server,
        options: CallOptions,
    ) -> None:
        """Search `collection` with Qdrant's asynchronous `client`; usually called by `connect`."""
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
        super().__init__()

    @classmethod
    def connect(
        cls,
        spec: str,
        embedder: "Callable[[], Embedder]",
        options: CallOptions | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Use the collection that `spec` names as URL/COLLECTION. Nothing is called yet.

        Raises:
            ConfigError: `spec` is not an address with a collection, or the extra `qdrant` is not installed.
        """
        url, _, collection = base_url(spec).partition("?")[0].rpartition("/")
        if not collection or not httpx2.URL(url).host:
            raise ConfigError(f"qdrant:{spec}: add the collection: qdrant:http://HOST:6333/COLLECTION")
        library = optional("qdrant_client", "qdrant")
        from questwell.retrieval.remote.qdrant_http import Sending  # needs the extra

        options = options or CallOptions()
        credentials = {"authorization": key} if key and key.startswith(SCHEMES) else {"api-key": key} if key else {}
        client = library.AsyncQdrantClient(
            url=url,
            port=None if httpx2.URL(url).port or url.startswith("https://") else 6333,
            headers={**credentials, **(headers or {})},
            timeout=max(1, round(options.timeout_s)),
            check_compatibility=False,  # the check makes a call and prints warnings
            transport=Sending(Connections({}, options.connect_timeout_s, most_bytes=options.most_bytes)),
        )
        name = f"qdrant:{shown(url).rstrip('/')}/{collection}"
        return cls(client, collection, embedder(), Server(name, key), options)

    @property
    def name(self) -> str:
        """The address of the collection and the embedder; the server reports no snapshot of it."""
        from questwell.retrieval.embedders.queries import described

        return f"{self._server.name}+{described(self._embedder)}" + narrowed_by(self._always)

    async def _ask(self, asked: Sequence[str], k: int, where: Filter) -> list[tuple[Hit, ...]]:
        return await self._nearest(asked, k, self._among(where))

    async def _ask_inside(self, asked: str, k: int, document_id: str) -> tuple[Hit, ...]:
        (hits,) = await self._nearest([asked], k, [*self._among(self._always), self._of(document_id)])
        return hits

    async def _nearest(self, asked: Sequence[str], k: int, among: list[Any]) -> list[tuple[Hit, ...]]:
        from questwell.retrieval.embedders.queries import embed_queries

        await self._look()
        vectors = await embed_queries(self._embedder, asked, self._options.timeout_s)
        requests = [self._request(vector.tolist(), k, among) for vector in vectors]
        replies = await self._call(lambda: self._client.query_batch_points(self._collection, requests))
        return [self._hits(reply.points, k) for reply in replies] if len(replies) == len(asked) else []

    async def fill(self, passages: Iterable[Passage], progress: Callable[[int], None] = lambda sent: None) -> int:
        """Put passages into the collection and return their number. A missing one is created; equal ids are replaced.

        Raises:
            IndexMismatch: the collection exists for vectors of another size.
            RetrievalError: as for a search; passages sent before stay in the collection.
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

    async def passages_of(self, document_id: str) -> list[Placed]:
        """All passages of a document, as `PassageStore.passages_of`."""
        among = self._models.Filter(must=[*self._among(self._always), self._of(document_id)])
        found: list[Placed] = []
        after: Any = None
        while True:
            points, after = await self._scroll(among, _READ_AT_ONCE, after)
            found.extend(map(self._placed, points))
            stored.check_length(self._server.name, document_id, len(found))
            if after is None or not points:
                return found

    async def document_of(self, passage_id: str) -> str | None:
        """The document id of a passage, as `PassageStore.document_of`."""
        ids: list[int | str] = [str(uuid.uuid5(_NAMESPACE, passage_id))]
        if passage_id.isascii() and passage_id.isdigit():
            ids.append(int(passage_id))
        elif _is_uuid(passage_id):
            ids.append(passage_id)
        there = [*self._among(self._always), self._models.HasIdCondition(has_id=ids)]
        points, _ = await self._scroll(self._models.Filter(must=there), len(ids))
        if points:
            document_id: object = cast(dict[str, Any], points[0].payload or {}).get(DOCUMENT_ID)
            if not isinstance(document_id, str):
                raise stored.no_documents(self._server.name)
            return document_id
        known = self._models.IsEmptyCondition(is_empty=self._models.PayloadField(key=DOCUMENT_ID))
        points, _ = await self._scroll(self._models.Filter(must_not=[known]), 1)
        if not points:
            raise stored.no_documents(self._server.name)
        return None

    async def _scroll(self, among: Any, most: int, after: Any = None) -> tuple[list[Any], Any]:  # noqa: ANN401
        return await self._call(
            lambda: self._client.scroll(
                self._collection, scroll_filter=among, limit=most, offset=after, with_payload=True, with_vectors=False
            )
        )

    def _placed(self, point: Any) -> Placed:  # noqa: ANN401  the library's
        payload = cast(dict[str, Any], point.payload or {})
        offset = payload.get(OFFSET)
        return Placed(read_passage({"id": str(point.id), **payload}), offset if isinstance(offset, int) else None)

    def _of(self, document_id: str) -> Any:  # noqa: ANN401  the library's
        return self._models.FieldCondition(key=DOCUMENT_ID, match=self._models.MatchValue(value=document_id))

    def _among(self, where: Filter) -> list[Any]:
        return [
            self._models.FieldCondition(
                key=FACETS,
                match=self._models.MatchAny(
                    any=[f"{key}={one}" for one in ([value] if isinstance(value, str) else value)]
                ),
            )
            for key, value in where.items()
        ]

    def _request(self, vector: list[float], k: int, among: list[Any]) -> Any:  # noqa: ANN401  the library's
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
                    f"{self._server.name} has vectors of {there} numbers, but {self._embedder.name} makes {size}: "
                    "name another collection, or the embedder that filled it"
                )
        else:
            vectors = self._models.VectorParams(size=size, distance=self._models.Distance.COSINE)
            await self._call(lambda: self._client.create_collection(self._collection, vectors_config=vectors))
        keyword = self._models.PayloadSchemaType.KEYWORD
        for field in (FACETS, DOCUMENT_ID):
            await self._call(
                lambda field=field: self._client.create_payload_index(self._collection, field, field_schema=keyword)
            )
        self._looked, self._size = True, size

    async def _look(self) -> int | None:
        """Find out once which vectors the collection has, and return their size; None if there is no collection."""
        if self._looked:
            return self._size
        held = (await self._call(lambda: self._client.get_collection(self._collection))).config.params.vectors
        self._looked = True
        if not isinstance(held, dict):
            self._size = getattr(held, "size", None)
            return self._size
        named = cast(dict[str, Any], held)
        if len(named) != 1 and "dense" not in named:
            raise ConfigError(f"{self._server.name} has the vectors {', '.join(named) or 'none'}: one is expected")
        self._using = "dense" if "dense" in named else next(iter(named))
        self._size = named[self._using].size
        return self._size

    def _hits(self, points: Sequence[Any], k: int) -> tuple[Hit, ...]:
        found: list[tuple[float, Passage]] = []
        for point in points:
            payload = cast(dict[str, Any], point.payload or {})
            if payload.get(EMBEDDER, self._embedder.name) != self._embedder.name:
                raise IndexMismatch(
                    f"{self._server.name} was filled with vectors of {payload[EMBEDDER]!r}, but queries are "
                    f"embedded by {self._embedder.name!r}: name the first with --embedder"
                )
            found.append((float(point.score), read_passage({"id": str(point.id), **payload})))
        return ranked(sorted(found, key=lambda pair: pair[1].id), k)  # equal scores by id, so that the order is total

    async def _call(self, call: Callable[[], Awaitable[_T]]) -> _T:
        async def attempt() -> _T:
            try:
                async with asyncio.timeout(self._options.timeout_s):
                    return await call()
            except (*UNANSWERED, RecursionError, self._busy, self._errors.ApiException) as error:
                raise TryFailedError(failure_of(error, self._server.name, self._options)) from error

        return await retrying(attempt, self._server, self._options, lambda: self._closed, UNSENT)


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
