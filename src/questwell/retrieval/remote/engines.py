"""Web search APIs: the form of a request, the meaning of replies and errors, and the price of each API.

Serper (Google), Tavily, Brave and SearXNG are read by their published schemas. A missing list is malformed; an empty
list means no hits. Prices are list prices of November 2026, for the smallest plan that is paid by use.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from questwell.errors import MalformedHits, RetrievalError, RetrievalRefused, RetrievalUnavailable
from questwell.http.retrying import Failure
from questwell.retrieval.corpora.documents import clean, one_line
from questwell.retrieval.remote.calling import Call, said

SPARE = 5
"""Number of results requested beyond k, to replace blocked ones."""
_MARKUP = re.compile(r"</?(?:strong|b|em|mark|span)\b[^>]*>")
"""Tags that engines put around matching words."""


@dataclass(frozen=True, slots=True)
class WebResult:
    """One cleaned result of a web search."""

    url: str
    title: str
    text: str
    """Snippet from the engine."""
    page: str = ""
    """Text of the whole page, if the engine returns it."""


@dataclass(frozen=True, slots=True)
class WebResults:
    """The results of one web search."""

    results: tuple[WebResult, ...]
    credits: float
    """What the search cost, in the engine's credits."""


class Engine(Protocol):
    """One web search API."""

    @property
    def name(self) -> str:
        """Name of the engine, as users write it."""
        ...

    @property
    def keys(self) -> tuple[str, ...]:
        """Environment variables that may contain its key, the recommended one first; empty if it needs no key."""
        ...

    @property
    def price_usd(self) -> float:
        """List price of one credit in US dollars."""
        ...

    @property
    def in_flight(self) -> int:
        """Maximum number of calls at the same time."""
        ...

    def headers(self, key: str | None) -> dict[str, str]:
        """The headers of every call."""
        ...

    def call(self, query: str, k: int, blocked: Sequence[str], *, pages: bool) -> Call:
        """The request for `k` results, plus spare ones if they are free; the engine may exclude `blocked` domains."""
        ...

    def read(self, body: object) -> WebResults:
        """The results in a successful reply.

        Raises:
            MalformedHits: the reply does not have the engine's form.
            RetrievalUnavailable: the reply says that no search was possible.
        """
        ...

    def read_error(self, status: int, body: object) -> Failure[RetrievalError] | None:
        """The failure that a status means, if it differs from the usual meaning; otherwise None."""
        ...


@dataclass(frozen=True, slots=True)
class Serper:
    """Google's results through serper.dev: `POST /search`."""

    url: str = "https://google.serper.dev"
    name: str = "google"
    keys: tuple[str, ...] = (
        "SERPER_API_KEY",
        "SERPER_KEY",
        "GOOGLE_SERPER_API_KEY",
        "SERPER_KEY_ID",
        "SERPERDEV_API_KEY",
        "SERPER_DEV_API_KEY",
    )
    price_usd: float = 0.001
    in_flight: int = 32

    def headers(self, key: str | None) -> dict[str, str]:
        """The key."""
        return {"x-api-key": key or ""}

    def call(self, query: str, k: int, blocked: Sequence[str], *, pages: bool) -> Call:
        """The request for `k` results. Ten results cost one credit, more cost two."""
        return Call("POST", f"{self.url}/search", json={"q": query, "num": max(10, min(k, 100))})

    def read(self, body: object) -> WebResults:
        """The results in `organic`, and the cost in `credits`."""
        fields = _object(self.name, body)
        if "organic" not in fields and "searchParameters" not in fields:
            raise MalformedHits(f"{self.name}: the reply has no list 'organic'; it has {_keys(fields)}")
        taken = fields.get("credits")
        rows = _rows(self.name, fields.get("organic", []), "organic")
        return WebResults(_results(rows, "link", "snippet"), _credits(taken))

    def read_error(self, status: int, body: object) -> Failure[RetrievalError] | None:
        """A failure for used-up credits, which Serper reports as a bad request."""
        if status == 400 and "credit" in said(body).lower():
            return _quota(status, body, "buy credits at serper.dev")
        return _key(status, body, self.keys) if status in (401, 403) else None


@dataclass(frozen=True, slots=True)
class Tavily:
    """Tavily's results with its basic depth: `POST /search`."""

    url: str = "https://api.tavily.com"
    name: str = "tavily"
    keys: tuple[str, ...] = ("TAVILY_API_KEY", "TAVILY_KEY", "TAVILY_API_TOKEN")
    price_usd: float = 0.008
    in_flight: int = 16

    def headers(self, key: str | None) -> dict[str, str]:
        """The key."""
        return {"authorization": f"Bearer {key}"}

    def call(self, query: str, k: int, blocked: Sequence[str], *, pages: bool) -> Call:
        """The request for `k` results. Tavily accepts at most 20 results and 150 excluded domains."""
        body: dict[str, object] = {
            "query": query,
            "max_results": min(k + SPARE, 20),
            "search_depth": "basic",
            "include_usage": True,
            "exclude_domains": list(blocked)[:150],
        }
        return Call("POST", f"{self.url}/search", json=body | ({"include_raw_content": "text"} if pages else {}))

    def read(self, body: object) -> WebResults:
        """The results in `results`, and the cost in `usage.credits`."""
        fields = _object(self.name, body)
        usage = fields.get("usage")
        taken = cast(dict[str, Any], usage).get("credits") if isinstance(usage, dict) else None
        rows = _rows(self.name, fields.get("results"), "results")
        return WebResults(_results(rows, "url", "content", "raw_content"), _credits(taken))

    def read_error(self, status: int, body: object) -> Failure[RetrievalError] | None:
        """A failure for 432 and 433, Tavily's statuses for the limit of the plan and of pay-as-you-go."""
        if status in (432, 433):
            return _quota(status, body, "raise the limit at app.tavily.com")
        return _key(status, body, self.keys) if status in (401, 403) else None


@dataclass(frozen=True, slots=True)
class Brave:
    """Brave's results: `GET /res/v1/web/search`."""

    url: str = "https://api.search.brave.com"
    name: str = "brave"
    keys: tuple[str, ...] = (
        "BRAVE_API_KEY",
        "BRAVE_SEARCH_API_KEY",
        "BRAVE_SEARCH_KEY",
        "BRAVE_KEY",
        "BRAVE_SUBSCRIPTION_TOKEN",
    )
    price_usd: float = 0.005
    in_flight: int = 4

    def headers(self, key: str | None) -> dict[str, str]:
        """The key."""
        return {"x-subscription-token": key or ""}

    def call(self, query: str, k: int, blocked: Sequence[str], *, pages: bool) -> Call:
        """The request for `k` results. Brave accepts 400 characters and 50 words, so a longer query is cut."""
        short = " ".join(query.split()[:50])[:400]
        params: dict[str, str | int] = {"q": short, "count": min(k + SPARE, 20), "text_decorations": "false"}
        return Call("GET", f"{self.url}/res/v1/web/search", params=params | {"result_filter": "web"})

    def read(self, body: object) -> WebResults:
        """The results in `web.results`; `web` is missing if nothing was found."""
        fields = _object(self.name, body)
        if fields.get("type") != "search":
            raise MalformedHits(f"{self.name}: the reply is not a search result; it has {_keys(fields)}")
        web = _object(self.name, fields.get("web") or {"results": []})
        return WebResults(_results(_rows(self.name, web.get("results"), "web.results"), "url", "description"), 1.0)

    def read_error(self, status: int, body: object) -> Failure[RetrievalError] | None:
        """A failure for a wrong key (422) or a used-up quota (429), which the code in the body distinguishes."""
        code = _brave_code(body)
        if status in (401, 403) or code.startswith(("SUBSCRIPTION_TOKEN", "SUBSCRIPTION_NOT_FOUND")):
            return _key(status, body, self.keys)
        if "x-subscription-token" in str(body).lower():  # a missing key is a VALIDATION error of that header
            return _key(status, body, self.keys)
        if code.startswith(("QUOTA", "USAGE_LIMIT")):
            return _quota(status, body, "raise the limit at api-dashboard.search.brave.com")
        if status == 429:  # a limit per second, sent without Retry-After
            return Failure(
                RetrievalUnavailable, f"status 429: {said(body)}", "ask for less at once", True, retry_after_s=1.0
            )
        return None


@dataclass(frozen=True, slots=True)
class SearXNG:
    """Results of the user's own SearXNG instance: `GET /search?format=json`."""

    url: str
    name: str = "searxng"
    keys: tuple[str, ...] = ()
    price_usd: float = 0.0
    in_flight: int = 4

    def headers(self, key: str | None) -> dict[str, str]:
        """No headers, because SearXNG needs no key."""
        return {}

    def call(self, query: str, k: int, blocked: Sequence[str], *, pages: bool) -> Call:
        """The request for a page of results; SearXNG ignores `k`."""
        return Call("GET", f"{self.url}/search", params={"q": query, "format": "json"})

    def read(self, body: object) -> WebResults:
        """The results in `results`. No result while its engines were blocked is a failure."""
        fields = _object(self.name, body)
        results = _results(_rows(self.name, fields.get("results"), "results"), "url", "content")
        if not results and (failing := fields.get("unresponsive_engines")):
            raise RetrievalUnavailable(
                f"{self.name}: none of its engines answered: {str(failing)[:200]}; see its settings, or try later"
            )
        return WebResults(results, 1.0)

    def read_error(self, status: int, body: object) -> Failure[RetrievalError] | None:
        """A failure for 403: SearXNG forbids formats that are not in its settings."""
        if status == 403:
            advice = "add json to search.formats in the instance's settings.yml"
            return Failure(RetrievalRefused, "status 403: it does not return JSON", advice, False)
        return None


def _results(rows: list[Mapping[str, Any]], url: str, text: str, page: str = "") -> tuple[WebResult, ...]:
    """The results with an address, in order; a row without an address is not a page."""
    found: list[WebResult] = []
    for row in rows:
        address = row.get(url)
        if isinstance(address, str) and address.lower().startswith(("http://", "https://")):
            extra = row.get("extra_snippets")
            parts = [row.get(text), *(cast(list[object], extra) if isinstance(extra, list) else [])]
            joined = " ".join(part for part in parts if isinstance(part, str))
            whole = row.get(page) if page else ""
            title = row.get("title")
            found.append(
                WebResult(
                    one_line(address),
                    one_line(_plain(title)) if isinstance(title, str) else "",
                    " ".join(_plain(joined).split()),
                    clean(whole) if isinstance(whole, str) else "",
                )
            )
    return tuple(found)


def _plain(text: str) -> str:
    return clean(html.unescape(_MARKUP.sub("", text)))


def _object(name: str, body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise MalformedHits(f"{name}: expected a JSON object, not {type(body).__name__}")
    return cast(dict[str, Any], body)


def _rows(name: str, rows: object, where: str) -> list[Mapping[str, Any]]:
    if not isinstance(rows, list):
        raise MalformedHits(f"{name}: the reply has no list {where!r}")
    found = [cast(Mapping[str, Any], row) for row in cast(list[object], rows) if isinstance(row, dict)]
    if rows and not found:
        raise MalformedHits(f"{name}: nothing in {where!r} is a result")
    return found


def _credits(taken: object) -> float:
    """The credits that a reply reports; 1 if it reports none."""
    if isinstance(taken, bool) or not isinstance(taken, int | float) or taken < 0:
        return 1.0
    return float(taken)


def _keys(fields: Mapping[str, Any]) -> str:
    return ", ".join(sorted(fields)[:10]) or "nothing"


def _key(status: int, body: object, keys: Sequence[str]) -> Failure[RetrievalError]:
    return Failure(RetrievalRefused, f"status {status}: {said(body)}", f"check the key in {keys[0]}", False)


def _quota(status: int, body: object, advice: str) -> Failure[RetrievalError]:
    return Failure(RetrievalRefused, f"status {status}, the quota is used up: {said(body)}", advice, False)


def _brave_code(body: object) -> str:
    """Brave's error code: `error.code`, or the code of the first of `errors` in its older form."""
    if not isinstance(body, dict):
        return ""
    fields = cast(dict[str, Any], body)
    errors = fields.get("errors")
    error = fields.get("error") or (cast(list[object], errors)[0] if isinstance(errors, list) and errors else None)
    return str(cast(dict[str, Any], error).get("code", "")) if isinstance(error, dict) else ""
