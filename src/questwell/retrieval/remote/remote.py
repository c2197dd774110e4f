"""`RemoteRetriever`: any server that speaks Search-R1's `POST /retrieve`; ours and the original."""

import json
from typing import Any, cast

import httpx2

from questwell.errors import ConfigError, MalformedHits, RetrievalUnavailable
from questwell.retrieval.remote.calling import Call, Caller, CallOptions
from questwell.retrieval.remote.wire import read_hits
from questwell.text.unicode import without_surrogates
from questwell.types.corpus import Hit


class RemoteRetriever:
    """A server's passages. Implements `Retriever` and `BatchRetriever`. Belongs to one event loop.

    Documents without an id get one that is made of their text, so that they are the same each time.
    """

    def __init__(
        self, url: str, *, name: str | None = None, whole: bool = False, options: CallOptions | None = None
    ) -> None:
        """A client of the server at `url`, with or without /retrieve at its end.

        Args:
            url: http or https.
            name: the retriever behind it, if known (`connect` asks); else it is called by its address.
            whole: ask for every field of the passages; only our own server has them.
            options: of the calls.

        Raises:
            ConfigError: `url` is no address.
        """
        self._url = base_url(url)
        self._name = name or shown(self._url)
        self._whole = whole
        self._caller = Caller(f"retriever at {shown(self._url)}", options=options)

    @classmethod
    def connect(cls, url: str, options: CallOptions | None = None) -> "RemoteRetriever":
        """A client that knows what it searches: asked from `/healthz`, which other servers than ours do not have.

        Raises:
            ConfigError: `url` is no address.
            RetrievalUnavailable: nothing answers there.
        """
        options = options or CallOptions()
        base = base_url(url)
        try:
            reply = httpx2.get(f"{base}/healthz", timeout=options.connect_timeout_s)
        except httpx2.RequestError as error:
            raise RetrievalUnavailable(
                f"nothing answers at {shown(base)} ({error}); start one with: questwell serve CORPUS"
            ) from error
        try:
            health = cast(dict[str, Any], json.loads(reply.content))
            ours = reply.status_code == 200 and isinstance(health["questwell"], int)
            name = str(health["retriever"]) if ours else None
        except (ValueError, KeyError, TypeError):
            ours, name = False, None
        return cls(url, name=name, whole=ours, options=options)

    @property
    def name(self) -> str:
        """That of the served retriever, with its snapshot, or the server's address."""
        return self._name

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """As `Retriever.search`."""
        (hits,) = await self.search_many([query], k)
        return hits

    async def search_many(self, queries: list[str], k: int) -> list[tuple[Hit, ...]]:
        """The hits of each query, in one call.

        Raises:
            RetrievalError: as `Caller.ask`; or the reply is no list of hits for each query.
        """
        asked = [without_surrogates(query) for query in queries if k > 0 and searchable(query)]
        if not asked:
            return [() for _ in queries]
        body: dict[str, object] = {"queries": asked, "topk": k, "return_scores": True}
        if self._whole:
            body["passages"] = True
        reply = await self._caller.ask(Call("POST", f"{self._url}/retrieve", json=body))
        result = cast(dict[str, object], reply).get("result") if isinstance(reply, dict) else None
        if not isinstance(result, list) or len(cast(list[object], result)) != len(asked):
            raise MalformedHits(f"retriever at {shown(self._url)}: it gave no list of {len(asked)} results")
        found = iter(read_hits(inner, k) for inner in cast(list[object], result))
        return [next(found) if searchable(query) else () for query in queries]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._caller.aclose()


def searchable(query: str) -> bool:
    """Whether there is anything in a query to look for."""
    return any(character.isalnum() for character in query)


def base_url(url: str) -> str:
    """The address without /retrieve and a slash at its end.

    Raises:
        ConfigError: it is no http address.
    """
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ConfigError(f"retriever {url!r} is no address: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigError(f"retriever {url!r} is no address of the form http://HOST:PORT")
    return url.rstrip("/").removesuffix("/retrieve").rstrip("/")


def shown(url: str) -> str:
    """The address without a password and without parameters, which may hold a key."""
    return str(httpx2.URL(url).copy_with(userinfo=b"", query=None, fragment=None))
