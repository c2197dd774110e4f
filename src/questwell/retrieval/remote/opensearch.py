"""`OpenSearchRetriever`: searches an index of OpenSearch or Elasticsearch with BM25, and fills it from a corpus.

We use OpenSearch's own client (extra `opensearch`), which works with Elasticsearch 7 and 8 too. Documents in indexes
that others filled are read by `wire.read_passage`.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar, cast

import httpx2

from questwell.errors import (
    ConfigError,
    MalformedHits,
    RetrievalError,
    RetrievalRefused,
    RetrievalUnavailable,
)
from questwell.http.connections import Connections
from questwell.http.retrying import Failure, Server, TryFailedError, retrying
from questwell.retrieval.extras import optional
from questwell.retrieval.remote import stored
from questwell.retrieval.remote.calling import PASSING, UNANSWERED, UNSENT, CallOptions, said, unanswered
from questwell.retrieval.remote.filters import narrowed_by
from questwell.retrieval.remote.remote import KEY_PLACE, authorization, base_url, shown
from questwell.retrieval.remote.stored import DOCUMENT_ID, OFFSET, Placed
from questwell.retrieval.remote.wire import ranked, read_passage
from questwell.retrieval.retriever import Filter
from questwell.types.corpus import Hit, Passage

TITLE_WEIGHT = 0.5
"""Weight of the title relative to the text, as in the lexical index."""
AT_ONCE = 500
"""Number of passages sent in one call."""
FACETS = "questwell_facets"
"""Field with the metadata as `key=value` strings, for filters."""
_READ_AT_ONCE = 1_000
"""Number of passages of a document in one reply."""
_T = TypeVar("_T")
_KEYWORD, _STORED = {"type": "keyword"}, {"type": "keyword", "index": False, "doc_values": False}
MAPPING: dict[str, Any] = {
    "mappings": {
        "dynamic": False,
        "properties": {
            "id": _KEYWORD,
            DOCUMENT_ID: _KEYWORD,
            OFFSET: {"type": "integer"},
            "title": {"type": "text"},
            "text": {"type": "text"},
            FACETS: _KEYWORD,
            "licence": _STORED,
        },
    }
}


class OpenSearchRetriever(stored.StoreRetriever):
    """Searches one index. Implements `Retriever`, `BatchRetriever`, `FilteringRetriever` and `DocumentReader`.

    Belongs to one event loop.
    """

    most_chars = 4_000  # longer queries have more clauses than a server accepts

    def __init__(
        self,
        spec: str,
        options: CallOptions | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Use the index that `spec` names as URL/INDEX.

        Raises:
            ConfigError: `spec` is not an address with an index, or the extra `opensearch` is not installed.
        """
        url, _, index = base_url(spec).partition("?")[0].rpartition("/")
        if not index or not httpx2.URL(url).host:
            raise ConfigError(f"opensearch:{spec}: add the index: opensearch:http://HOST:9200/INDEX")
        library = optional("opensearchpy", "opensearch")
        self._options = options or CallOptions()
        self._errors = library.exceptions
        self._helpers = library.helpers
        super().__init__()
        self._index = index
        self._url = url
        self._closed = False
        self._server = Server(self.name, key)
        sent = {**authorization(key), "user-agent": "questwell", **(headers or {})}
        from questwell.retrieval.remote.opensearch_http import Sending  # needs the extra

        self._connections = Connections({}, self._options.connect_timeout_s, most_bytes=self._options.most_bytes)
        self._client: Any = library.AsyncOpenSearch(
            hosts=[url], headers=sent, max_retries=0, connection_class=Sending, connections=self._connections
        )
        self._document_field: str | None = None

    @property
    def name(self) -> str:
        """The address of the index; the server reports no snapshot of it."""
        return f"opensearch:{shown(self._url).rstrip('/')}/{self._index}" + narrowed_by(self._always)

    async def _ask(self, asked: Sequence[str], k: int, where: Filter) -> list[tuple[Hit, ...]]:
        lines = [line for query in asked for line in ({"index": self._index}, _body(query, k, where))]
        reply = await self._call(lambda: self._client.msearch(body=lines))
        replies = cast(dict[str, Any], reply).get("responses") if isinstance(reply, dict) else None
        if not isinstance(replies, list) or len(cast(list[Any], replies)) != len(asked):
            return []
        return [self._hits(one, k) for one in cast(list[Any], replies)]

    async def _ask_inside(self, asked: str, k: int, document_id: str) -> tuple[Hit, ...]:
        body = _body(asked, k, self._always)
        body["query"]["bool"]["filter"].append(await self._of(document_id))
        return self._hits(await self._search(body), k)

    async def fill(self, passages: Iterable[Passage], progress: Callable[[int], None] = lambda sent: None) -> int:
        """Put passages into the index and return their number. A missing index is created; equal ids are replaced.

        Raises:
            RetrievalError: as for a search; passages sent before stay in the index.
        """
        there = await self._call(lambda: self._client.indices.exists(index=self._index))
        if not there:
            await self._call(lambda: self._client.indices.create(index=self._index, body=MAPPING))
        sent = 0
        for batch in _batches(passages):
            actions = [{"_index": self._index, "_id": passage.id, "_source": _source(passage)} for passage in batch]
            await self._call(lambda actions=actions: self._helpers.async_bulk(self._client, actions, max_retries=0))
            sent += len(batch)
            progress(sent)
        await self._call(lambda: self._client.indices.refresh(index=self._index))
        return sent

    async def aclose(self) -> None:
        """Close the connections."""
        self._closed = True
        await self._client.close()
        await self._connections.aclose()

    async def passages_of(self, document_id: str) -> list[Placed]:
        """All passages of a document, as `PassageStore.passages_of`."""
        found: list[Placed] = []
        body = {
            "size": _READ_AT_ONCE,
            "query": {"bool": {"filter": [await self._of(document_id), *_among(self._always)]}},
            "sort": [{"id": {"order": "asc", "unmapped_type": "keyword"}}],
            "track_total_hits": stored.MOST_PASSAGES + 1,
        }
        while True:
            reply = await self._search({**body, "from": len(found)})
            listed = self._listed(reply)
            found.extend(map(_placed, listed))
            total = reply["hits"].get("total")
            held = cast(dict[str, Any], total).get("value") if isinstance(total, dict) else total
            stored.check_length(self.name, document_id, held if isinstance(held, int) else len(found))
            if len(listed) < _READ_AT_ONCE or len(found) >= stored.MOST_PASSAGES:
                return found

    async def document_of(self, passage_id: str) -> str | None:
        """The document id of a passage, as `PassageStore.document_of`."""
        among = [{"ids": {"values": [passage_id]}}, *_among(self._always)]
        listed = self._listed(await self._search({"size": 1, "query": {"bool": {"filter": among}}}))
        return _placed(listed[0]).passage.document_id if listed else None

    async def _of(self, document_id: str) -> dict[str, Any]:
        """The filter for the passages of one document."""
        if self._document_field is None:
            reply = await self._call(lambda: self._client.indices.get_mapping(index=self._index))
            self._document_field = _document_field(reply)
            if self._document_field is None:
                raise stored.no_documents(self.name)
        return {"term": {self._document_field: document_id}}

    async def _search(self, body: dict[str, Any]) -> dict[str, Any]:
        reply = await self._call(lambda: self._client.search(index=self._index, body=body))
        self._listed(reply)
        return cast(dict[str, Any], reply)

    def _hits(self, reply: Any, k: int) -> tuple[Hit, ...]:  # noqa: ANN401  of a server
        return ranked(map(_scored, self._listed(reply)), k)

    def _listed(self, reply: Any) -> list[Any]:  # noqa: ANN401  of a server
        fields = cast(dict[str, Any], reply) if isinstance(reply, dict) else {}
        if isinstance(status := fields.get("status"), int) and "error" in fields:
            kind = RetrievalUnavailable if status in PASSING or status >= 500 else RetrievalRefused
            raise kind(f"{self.name}: status {status}: {said(fields)}")
        found = fields.get("hits")
        listed: Any = cast(dict[str, Any], found).get("hits") if isinstance(found, dict) else None
        if not isinstance(listed, list):
            raise MalformedHits(f"{self.name}: the reply has no hits")
        return cast(list[Any], listed)

    async def _call(self, call: Callable[[], Awaitable[_T]]) -> _T:
        async def attempt() -> _T:
            try:
                async with asyncio.timeout(self._options.timeout_s):
                    return await call()
            except (*UNANSWERED, RecursionError, self._errors.OpenSearchException) as error:
                raise TryFailedError(self._failure(error)) from error

        return await retrying(attempt, self._server, self._options, lambda: self._closed, UNSENT)

    def _failure(self, error: Any) -> Failure[RetrievalError]:  # noqa: ANN401  of the library
        """The domain failure for an error of the client; no other place translates them."""
        status, told = getattr(error, "status_code", None), " ".join(str(error).split())[:200]
        if isinstance(error, UNANSWERED):
            return unanswered(error, self._options)
        if isinstance(error, (RecursionError, self._errors.SerializationError)):
            return Failure(MalformedHits, f"a reply that is not OpenSearch's: {told}", "check the address", False)
        if status in (401, 403):
            advice = f"set {KEY_PLACE} to USER:PASSWORD, or to 'ApiKey KEY'"
            return Failure(RetrievalRefused, f"status {status}: {told}", advice, False)
        if isinstance(status, int) and (status in PASSING or status >= 500):
            return Failure(RetrievalUnavailable, f"status {status}: {told}", "try again later", True)
        if status == 404:
            advice = f"fill it: questwell index CORPUS --to {self.name}"
            return Failure(RetrievalRefused, f"there is no index {self._index!r}", advice, False)
        return Failure(RetrievalRefused, f"{type(error).__name__}: {told}", "check the address and the index", False)


def _body(query: str, k: int, where: Filter) -> dict[str, Any]:
    """A BM25 query over title and text without query syntax. Equal scores are ordered by id."""
    match: dict[str, Any] = {
        "multi_match": {"query": query, "fields": [f"title^{TITLE_WEIGHT}", "text", "contents"], "type": "most_fields"}
    }
    return {
        "size": k,
        "query": {"bool": {"must": [match], "filter": _among(where)}},
        "sort": ["_score", {"id": {"order": "asc", "unmapped_type": "keyword"}}],
        "track_scores": True,
    }


def _among(where: Filter) -> list[dict[str, Any]]:
    return [
        {"terms": {FACETS: [f"{key}={one}" for one in ([value] if isinstance(value, str) else value)]}}
        for key, value in where.items()
    ]


def _scored(hit: Any) -> tuple[float, Passage]:  # noqa: ANN401  of a server
    score = cast(dict[str, Any], hit).get("_score") if isinstance(hit, dict) else None
    if not isinstance(score, int | float):
        raise MalformedHits("a hit has no score")
    return float(score), _placed(hit).passage


def _placed(hit: Any) -> Placed:  # noqa: ANN401  of a server
    fields = cast(dict[str, Any], hit) if isinstance(hit, dict) else {}
    identifier, source = fields.get("_id"), fields.get("_source")
    if not (isinstance(identifier, str) and isinstance(source, dict)):
        raise MalformedHits("a hit has no id or source")
    held = cast(dict[str, Any], source)
    offset = held.get(OFFSET)
    return Placed(read_passage({"id": identifier, **held}), offset if isinstance(offset, int) else None)


def _inside(held: object, *keys: str) -> dict[str, Any]:
    """The object under the path `keys`; empty if there is none."""
    for key in keys:
        held = _inside(held).get(key)
    return cast(dict[str, Any], held) if isinstance(held, dict) else {}


def _document_field(mappings: Any) -> str | None:  # noqa: ANN401  of a server
    """The field by which passages of a document can be found by its exact id; None if there is none."""
    indices = [_inside(held, "mappings", "properties") for held in _inside(mappings).values()]
    for name in (DOCUMENT_ID, "doc_id"):
        for properties in indices:
            known = _inside(properties, name)
            if known and known.get("type") != "text":
                return name
            for part in _inside(known, "fields"):
                if _inside(known, "fields", part).get("type") == "keyword":
                    return f"{name}.{part}"
    return None


def _source(passage: Passage) -> dict[str, Any]:
    return asdict(passage) | {FACETS: [f"{key}={value}" for key, value in passage.metadata]}


def _batches(passages: Iterable[Passage]) -> Iterable[list[Passage]]:
    waiting = iter(passages)
    while batch := list(itertools.islice(waiting, AT_ONCE)):
        yield batch
