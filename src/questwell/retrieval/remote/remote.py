"""`RemoteRetriever`: a client of servers with Search-R1's `POST /retrieve`, such as ours and the original."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

import httpx2

from questwell.errors import ConfigError, MalformedHits, RetrievalError, RetrievalRefused, RetrievalUnavailable
from questwell.http.loopback import is_loopback
from questwell.http.retrying import Failure
from questwell.retrieval.remote.calling import Call, Caller, CallOptions, said
from questwell.retrieval.remote.filters import both, narrowed_by
from questwell.retrieval.remote.wire import read_hits, read_passage
from questwell.retrieval.retriever import DocumentPage, Filter
from questwell.text.unicode import without_surrogates
from questwell.types.corpus import Hit

KEY_VARIABLE = "QUESTWELL_RETRIEVER_KEY"
"""Environment variable with the key of the retriever that the user names."""
KEY_PLACE = f"{KEY_VARIABLE}, or the variable that --retriever-key-env names,"
"""Words for error messages that say where to put a key."""
_HEALTH_BYTES = 65_536


class RemoteRetriever:
    """Searches the passages of a server. Implements `Retriever` and `BatchRetriever`. Belongs to one event loop.

    Documents without an id get one made from their text, so that it is the same each time.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str | None = None,
        whole: bool = False,
        options: CallOptions | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        more: Sequence[str] = (),
    ) -> None:
        """Use the server at `url`, with or without /retrieve at its end.

        Args:
            url: an http or https address.
            name: name of the retriever on the server, if known (`connect` asks for it); otherwise the address is used.
            whole: whether to ask for every field of the passages; only our own server has them.
            options: time-outs and retries of the calls.
            key: key to send as a bearer token; None for none.
            headers: more headers for each call.
            more: more servers of the same passages; calls are spread over all of them.

        Raises:
            ConfigError: `url` is not an address.
        """
        self._urls = [base_url(one) for one in (url, *more)]
        self._shown = ", ".join(map(shown, self._urls))
        self._name = name or self._shown
        self._whole = whole
        self._always: Filter = {}
        self._caller = Caller(
            f"retriever at {self._shown}",
            {**authorization(key), **(headers or {})},
            key,
            options,
            read_error=unauthorized,
            addresses=len(self._urls),
        )

    @classmethod
    def connect(
        cls,
        spec: str,
        options: CallOptions | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> "RemoteRetriever":
        """A client that knows what the server searches, from `/healthz`, which only our own server has.

        Args:
            spec: an address, or several of the same passages, separated by commas; one that answers is enough.
            options: time-outs and retries of the calls.
            key: as for the constructor.
            headers: as for the constructor.

        Raises:
            ConfigError: one is not an address, or they serve different passages.
            RetrievalUnavailable: no server answers.
        """
        options = options or CallOptions()
        urls = split_urls(spec)
        if len(set(map(base_url, urls))) < len(urls):
            raise ConfigError(f"retriever {spec!r} names an address twice")
        names = dict[str | None, str]()
        down: RetrievalUnavailable | None = None
        for url in urls:
            try:
                names.setdefault(cls._served(url, options, key, headers), url)
            except RetrievalUnavailable as error:
                down = error
        if not names:
            assert down is not None
            raise down
        if len(names) > 1:
            told = "; ".join(f"{shown(base_url(url))}: {name or 'not said'}" for name, url in names.items())
            raise ConfigError(f"the servers of --retriever do not serve the same passages: {told}")
        (name,) = names
        first, *more = urls
        return cls(first, name=name, whole=name is not None, options=options, key=key, headers=headers, more=more)

    @classmethod
    def _served(cls, url: str, options: CallOptions, key: str | None, headers: Mapping[str, str] | None) -> str | None:
        """What our own server at `url` serves; None if it is another kind of server."""
        base = base_url(url)
        try:
            with httpx2.stream(
                "GET",
                at_route(base, "healthz"),
                headers={**authorization(key), **(headers or {})},
                timeout=options.connect_timeout_s,
                trust_env=not is_loopback(base),
            ) as reply:
                body = b""
                for piece in reply.iter_raw(_HEALTH_BYTES):
                    body += piece
                    if len(body) > _HEALTH_BYTES:
                        break
        except httpx2.RequestError as error:
            raise RetrievalUnavailable(
                f"no server answers at {shown(base)} ({error}); start one with: questwell serve CORPUS"
            ) from error
        try:
            health = cast(dict[str, Any], json.loads(body))
            ours = reply.status_code == 200 and isinstance(health["questwell"], int)
            return str(health["retriever"]) if ours else None
        except (ValueError, KeyError, TypeError):
            return None

    @property
    def name(self) -> str:
        """Name and snapshot of the served retriever (or the server's address), and the filter if there is one."""
        return self._name + narrowed_by(self._always)

    def narrow(self, where: Filter) -> Self:
        """The same retriever, restricted from now on to passages with the metadata `where`."""
        self._always = dict(where)
        return self

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """At most `k` hits for `query`, best first, as `Retriever.search`."""
        (hits,) = await self.search_many([query], k)
        return hits

    async def search_many(self, queries: list[str], k: int) -> list[tuple[Hit, ...]]:
        """The hits of each query, with one call to the server.

        Raises:
            RetrievalError: as for `Caller.ask`; also if the reply does not have a list of hits for each query.
        """
        return await self.search_where(queries, k, {})

    async def _ask(self, queries: Sequence[str], k: int, where: Filter) -> list[tuple[Hit, ...]]:
        asked = [without_surrogates(query) for query in queries if k > 0 and searchable(query)]
        if not asked:
            return [() for _ in queries]
        body: dict[str, object] = {"queries": asked, "topk": k, "return_scores": True}
        if self._whole:
            body["passages"] = True
        if where:
            body["where"] = {key: value if isinstance(value, str) else list(value) for key, value in where.items()}
        reply = await self._caller.ask(*self._calls("retrieve", body))
        result = cast(dict[str, object], reply).get("result") if isinstance(reply, dict) else None
        if not isinstance(result, list) or len(cast(list[object], result)) != len(asked):
            raise MalformedHits(f"retriever at {self._shown}: the reply is not a list of {len(asked)} results")
        found = iter(read_hits(inner, k) for inner in cast(list[object], result))
        return [next(found) if searchable(query) else () for query in queries]

    async def search_where(self, queries: Sequence[str], k: int, where: Filter) -> list[tuple[Hit, ...]]:
        """The hits of each query among the passages with the metadata `where`; only our own server has filters.

        Raises:
            RetrievalRefused: it is another kind of server.
        """
        among = both(self._always, where)
        if among is None:
            return [() for _ in queries]
        if among and not self._whole:
            raise RetrievalRefused(f"retriever at {self._shown}: it cannot filter by metadata; leave out where")
        return await self._ask(queries, k, among)

    async def read_page(self, identifier: str, page: int) -> DocumentPage | None:
        """A page of a document, as `DocumentReader.read_page`; only our own server can return it."""
        reply = await self._document("open", {"id": identifier, "page": page})
        if reply is None:
            return None
        return read_document_page(f"retriever at {self._shown}", reply, page)

    async def find_in(self, identifier: str, query: str, k: int) -> tuple[Hit, ...] | None:
        """Passages inside a document, as `DocumentReader.find_in`; only our own server can return them."""
        if k < 1 or not searchable(query):
            return ()
        reply = await self._document("find", {"id": identifier, "query": without_surrogates(query), "topk": k})
        return None if reply is None else read_hits(reply.get("result"), k)

    async def _document(self, route: str, body: dict[str, object]) -> dict[str, object] | None:
        if not self._whole:
            raise RetrievalRefused(f"retriever at {self._shown}: it cannot return whole documents; leave out {route}")
        reply = await self._caller.ask(*self._calls(route, body), missing=True)
        if reply is None or isinstance(reply, dict):
            return cast(dict[str, object] | None, reply)
        raise MalformedHits(f"retriever at {self._shown}: the reply is not a JSON object")

    def _calls(self, route: str, body: object) -> list[Call]:
        """One call for each address; query parameters of an address stay at its end."""
        return [Call("POST", at_route(url, route), json=body) for url in self._urls]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._caller.aclose()


def read_document_page(name: str, reply: Mapping[str, object], page: int) -> DocumentPage:
    """The page of a document in a reply of our own server over HTTP or MCP.

    Raises:
        MalformedHits: the reply is not a page.
    """
    document, title, pages, listed = (reply.get(key) for key in ("document_id", "title", "pages", "passages"))
    if not (isinstance(document, str) and isinstance(title, str) and isinstance(pages, int)):
        raise MalformedHits(f"{name}: the reply is not a page of a document")
    passages = cast(list[object], listed) if isinstance(listed, list) else []
    return DocumentPage(document, title, page, pages, tuple(map(read_passage, passages)))


_NEXT = re.compile(r",\s*(?=https?://)")


def split_urls(listed: str) -> list[str]:
    """The addresses in a comma-separated list; a comma inside an address is kept."""
    return [part.strip() for part in _NEXT.split(listed)]


SCHEMES = ("Bearer ", "Basic ", "ApiKey ", "Token ")


def authorization(key: str | None) -> dict[str, str]:
    """The header for a key: unchanged if it names a scheme, USER:PASSWORD as Basic, otherwise as a bearer token."""
    if not key:
        return {}
    if key.startswith(SCHEMES):
        return {"authorization": key}
    if ":" in key:
        return {"authorization": f"Basic {base64.b64encode(key.encode()).decode()}"}
    return {"authorization": f"Bearer {key}"}


def unauthorized(status: int, body: object) -> Failure[RetrievalError] | None:
    """The failure of a server that refused the key or needs one; None for other statuses."""
    if status not in (401, 403):
        return None
    return Failure(RetrievalRefused, f"status {status}: {said(body)}", f"set {KEY_PLACE} to the server's key", False)


def at_route(url: str, route: str) -> str:
    """The address of a route of the server at `url`; query parameters stay at the end."""
    place, mark, query = url.partition("?")
    return f"{place.rstrip('/')}/{route}{mark}{query}"


def searchable(query: str) -> bool:
    """Whether a query contains anything to search for."""
    return any(character.isalnum() for character in query)


def base_url(url: str) -> str:
    """`url` without /retrieve or a slash at its end.

    Raises:
        ConfigError: `url` is not an http address.
    """
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ConfigError(f"retriever {url!r} is not a valid address: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigError(f"retriever {url!r} is not an address of the form http://HOST:PORT")
    place, mark, query = url.partition("#")[0].partition("?")
    return f"{place.rstrip('/').removesuffix('/retrieve').rstrip('/')}{mark}{query}"


def shown(url: str) -> str:
    """The address without a password and without parameters, which may contain a key."""
    return str(httpx2.URL(url).copy_with(userinfo=b"", query=None, fragment=None))
