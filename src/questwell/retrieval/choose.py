"""Opens the retriever that a user names. All recipes that search use this file. The forms of a name are below.

http://HOST:8000       a server with Search-R1's POST /retrieve, such as questwell serve
mcp:URL                the search tool of an MCP server, as in mcp:http://127.0.0.1:8000/mcp
opensearch:URL/INDEX   an index of OpenSearch or Elasticsearch
qdrant:URL/COLLECTION  a collection of Qdrant
google                 Google through serper.dev; also tavily and brave. google@URL uses another address of that API
searxng:URL            a SearXNG instance
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from questwell.errors import ConfigError
from questwell.http.headers import resolved
from questwell.retrieval.remote.calling import CallOptions
from questwell.retrieval.remote.engines import Brave, Engine, SearXNG, Serper, Tavily
from questwell.retrieval.remote.mcp_client import McpRetriever
from questwell.retrieval.remote.opensearch import OpenSearchRetriever
from questwell.retrieval.remote.qdrant import QdrantRetriever
from questwell.retrieval.remote.remote import KEY_VARIABLE, SCHEMES, RemoteRetriever, base_url
from questwell.retrieval.remote.web import WebOptions, WebRetriever
from questwell.retrieval.retriever import Retriever

if TYPE_CHECKING:
    from questwell.retrieval.embedders.embedder import Embedder

FORMS = "http://HOST:8000, mcp:URL, opensearch:URL/INDEX, qdrant:URL/COLLECTION, google, tavily, brave or searxng:URL"
OWN = "own:"
"""Prefix of the name of a retriever that was passed as a Python object: `own:NAME`."""
OF_SERVERS = ("http", "https", "mcp", "opensearch", "qdrant")
"""Prefixes of the retrievers that get the user's key and headers."""
SEARXNG_URLS = ("SEARXNG_URL", "SEARXNG_BASE_URL", "SEARXNG_API_BASE", "SEARXNG_HOST", "SEARX_HOST")
"""Environment variables that may contain the address of a SearXNG instance."""
ENGINES: dict[str, type[Serper] | type[Tavily] | type[Brave]] = {
    "google": Serper,
    "serper": Serper,
    "tavily": Tavily,
    "brave": Brave,
}


@dataclass(frozen=True, slots=True)
class RetrieverOptions:
    """How to call a retriever; the defaults suit most cases."""

    web: WebOptions = field(default_factory=WebOptions)
    calls: CallOptions = field(default_factory=CallOptions)
    """Time-outs and retries of calls to servers and MCP."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """More headers for each call to a server or MCP; `$NAME` is read from the environment."""
    key_name: str = KEY_VARIABLE
    """Environment variable that contains the server's key."""
    embedder: "Callable[[], Embedder] | None" = None
    """Opens the embedder of queries; needed for a vector collection."""
    price_usd: float | None = None
    """Price of one MCP search in US dollars (MCP does not report it); None if not known."""


def check_spec(spec: str) -> None:
    """Check that `spec` has one of the forms above, without opening anything.

    Raises:
        ConfigError: `spec` has none of these forms.
    """
    name = spec.partition("@")[0]
    if spec.startswith(OWN):
        return
    if name not in ENGINES and spec.partition(":")[0] not in (*OF_SERVERS, "searxng"):
        raise ConfigError(f"unknown retriever {spec!r}: name one of: {FORMS}")


def open_retriever(spec: str, options: RetrieverOptions | None = None) -> Retriever:
    """Open the retriever that `spec` names in one of the forms above. Of a `/retrieve` server we ask what it serves.

    Raises:
        ConfigError: `spec` has none of these forms, a key is not set, or an extra is not installed.
        RetrievalUnavailable: no server answers at the address.
    """
    options = options or RetrieverOptions()
    if spec.startswith(OWN):
        raise ConfigError(f"{spec!r} was passed as a Python object: continue the run from Python, with retriever=")
    name, colon, rest = spec.partition(":")
    if name in OF_SERVERS and colon:
        return _of_a_server(spec, name, rest, options)
    if name == "searxng":
        return WebRetriever(SearXNG(_searxng_url(rest)), None, options.web)
    name, at, url = spec.partition("@")
    if name in ENGINES and (url or not at):
        engine = ENGINES[name](url=base_url(url)) if at else ENGINES[name]()
        return WebRetriever(engine, key_of(engine), options.web)
    raise ConfigError(f"unknown retriever {spec!r}: name one of: {FORMS}")


def _of_a_server(spec: str, name: str, rest: str, options: RetrieverOptions) -> Retriever:
    """Open one of the retrievers that get the user's key and headers."""
    key, headers, calls = retriever_key(options.key_name), resolved(options.headers), options.calls
    if name == "mcp":
        return McpRetriever(rest, calls, price_usd=options.price_usd, key=key, headers=headers)
    if name == "opensearch":
        return OpenSearchRetriever(rest, calls, key, headers)
    if name == "qdrant":
        if options.embedder is None:
            raise ConfigError(f"{spec}: a vector collection needs an embedder for the queries (--embedder)")
        return QdrantRetriever.connect(rest, options.embedder, calls, key, headers)
    return RemoteRetriever.connect(spec, calls, key, headers)


def key_of(engine: Engine) -> str:
    """The engine's key from the environment.

    Raises:
        ConfigError: the key is not set, or contains characters that no key contains.
    """
    value = _first(engine.keys)
    if value is None:
        others = ", ".join(engine.keys[1:])
        raise ConfigError(f"{engine.name} needs a key: set {engine.keys[0]} (also read: {others})")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise ConfigError(f"the key of {engine.name} contains a line break or other stray characters; copy it again")
    return value


def retriever_key(variable: str = KEY_VARIABLE) -> str | None:
    """The key of the user's own server, from the environment; it is sent only to that server.

    Raises:
        ConfigError: the key contains characters that no key contains.
    """
    value = os.environ.get(variable, "").strip() or None
    bare = value.partition(" ")[2] if value is not None and value.startswith(SCHEMES) else value
    if bare is not None and (not (bare.isascii() and bare.isprintable()) or " " in bare):
        raise ConfigError(f"{variable} contains a line break or other stray characters; copy the key again")
    return value


def _searxng_url(given: str) -> str:
    url = given or _first(SEARXNG_URLS)
    if url is None:
        raise ConfigError(f"searxng needs the address of an instance: searxng:http://HOST:8080, or {SEARXNG_URLS[0]}")
    return base_url(url if "://" in url else f"http://{url}").removesuffix("/search")


def _first(names: Sequence[str]) -> str | None:
    """The value of the first of these environment variables that is not empty; None if all are."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)
