"""Search APIs of the web: how each is asked, what its replies and errors mean, and what it costs.

Serper (Google), Tavily, Brave and SearXNG, each by its published schema. A list that is missing is malformed; a list
that is empty is no hits. Prices are list prices of November 2026, of the smallest plan that is paid by use.
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
"""Results beyond k, to stand in for those that are blocked."""
_MARKUP = re.compile(r"</?(?:strong|b|em|mark|span)\b[^>]*>")
"""Marks that engines put around matching words."""


@dataclass(frozen=True, slots=True)
class WebResult:
    """One result, cleaned."""

    url: str
    title: str
    text: str
    """The engine's snippet."""
    page: str = ""
    """Text of the whole page, where the engine gives it."""


@dataclass(frozen=True, slots=True)
class WebResults:
    """The answer of an engine."""

    results: tuple[WebResult, ...]
    credits: float
    """Usage in the engine's unit of price."""


class Engine(Protocol):
    """One search API."""

    @property
    def name(self) -> str:
        """As users write it."""
        ...

    @property
    def keys(self) -> tuple[str, ...]:
        """Environment variables that users keep its key in, the one to recommend first. Empty: it takes none."""
        ...

    @property
    def price_usd(self) -> float:
        """List price of one credit, US dollars."""
        ...

    @property
    def in_flight(self) -> int:
        """Calls at once."""
        ...

    def headers(self, key: str | None) -> dict[str, str]:
        """The headers of every call."""
        ...

    def call(self, query: str, k: int, blocked: Sequence[str], *, pages: bool) -> Call:
        """Ask for `k` results, and some to spare where they cost nothing; `blocked` domains may be left out."""
        ...

    def read(self, body: object) -> WebResults:
        """The results in a good reply.

        Raises:
            MalformedHits: it is none.
            RetrievalUnavailable: the reply says that nothing could be searched.
        """
        ...

    def read_error(self, status: int, body: object) -> Failure[RetrievalError] | None:
        """The meaning of a status, where it differs from the usual one."""
        ...


@dataclass(frozen=True, slots=True)
class Serper:
    """Google's results by serper.dev: `POST /search`."""

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
        """Ten results cost one credit, more cost two."""
        return Call("POST", f"{self.url}/search", json={"q": query, "num": max(10, min(k, 100))})

    def read(self, body: object) -> WebResults:
        """`organic`; `credits` says what it took."""
        fields = _object(self.name, body)
        if "organic" not in fields and "searchParameters" not in fields:
            raise MalformedHits(f"{self.name}: the reply has no list 'organic'; it has {_keys(fields)}")
        taken = fields.get("credits")
        rows = _rows(self.name, fields.get("organic", []), "organic")
        return WebResults(_results(rows, "link", "snippet"), _credits(taken))

    def read_error(self, status: int, body: object) -> Failure[RetrievalError] | None:
        """Used-up credits come as a bad request."""
        if status == 400 and "credit" in said(body).lower():
            return _quota(status, body, "buy credits at serper.dev")
        return _key(status, body, self.keys) if status in (401, 403) else None


@dataclass(frozen=True, slots=True)
class Tavily:
    """`POST /search` of tavily.com, at its basic depth."""

    url: str = "https://api.tavily.com"
    name: str = "tavily"
    keys: tuple[str, ...] = ("TAVILY_API_KEY", "TAVILY_KEY", "TAVILY_API_TOKEN")
    price_usd: float = 0.008
    in_flight: int = 16

    def headers(self, key: str | None) -> dict[str, str]:
        """The key."""
        return {"authorization": f"Bearer {key}"}

    def call(self, query: str, k: int, blocked: Sequence[str], *, pages: bool) -> Call:
        """At most 20 results; of blocked domains it takes 150."""
        body: dict[str, object] = {
            "query": query,
            "max_results": min(k + SPARE, 20),
            "search_depth": "basic",
            "include_usage": True,
            "exclude_domains": list(blocked)[:150],
        }
        return Call("POST", f"{self.url}/search", json=body | ({"include_raw_content": "text"} if pages else {}))

    def read(self, body: object) -> WebResults:
        """`results`; `usage.credits` says what it took."""
        fields = _object(self.name, body)
        usage = fields.get("usage")
        taken = cast(dict[str, Any], usage).get("credits") if isinstance(usage, dict) else None
        rows = _rows(self.name, fields.get("results"), "results")
        return WebResults(_results(rows, "url", "content", "raw_content"), _credits(taken))

    def read_error(self, status: int, body: object) -> Failure[RetrievalError] | None:
        """432 and 433 are its own: the plan's and the pay-as-you-go limit."""
        if status in (432, 433):
            return _quota(status, body, "raise the limit at app.tavily.com")
        return _key(status, body, self.keys) if status in (401, 403) else None


@dataclass(frozen=True, slots=True)
class Brave:
    """`GET /res/v1/web/search` of search.brave.com."""

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
        """A query has at most 400 characters and 50 words; the rest of a longer one is left out."""
        short = " ".join(query.split()[:50])[:400]
        params: dict[str, str | int] = {"q": short, "count": min(k + SPARE, 20), "text_decorations": "false"}
        return Call("GET", f"{self.url}/res/v1/web/search", params=params | {"result_filter": "web"})

    def read(self, body: object) -> WebResults:
        """`web.results`; `web` is missing when nothing was found."""
        fields = _object(self.name, body)
        if fields.get("type") != "search":
            raise MalformedHits(f"{self.name}: the reply is no search; it has {_keys(fields)}")
        web = _object(self.name, fields.get("web") or {"results": []})
        return WebResults(_results(_rows(self.name, web.get("results"), "web.results"), "url", "description"), 1.0)

    def read_error(self, status: int, body: object) -> Failure[RetrievalError] | None:
        """A wrong key is 422 and a used-up quota is 429; the body's code tells them from other ones."""
        code = _brave_code(body)
        if status in (401, 403) or code.startswith(("SUBSCRIPTION_TOKEN", "SUBSCRIPTION_NOT_FOUND")):
            return _key(status, body, self.keys)
        if "x-subscription-token" in str(body).lower():  # a missing one is a VALIDATION error of that header
            return _key(status, body, self.keys)
        if code.startswith(("QUOTA", "USAGE_LIMIT")):
            return _quota(status, body, "raise the limit at api-dashboard.search.brave.com")
        if status == 429:  # so many a second; it says so without Retry-After
            return Failure(
                RetrievalUnavailable, f"status 429: {said(body)}", "ask for less at once", True, retry_after_s=1.0
            )
        return None


@dataclass(frozen=True, slots=True)
class SearXNG:
    """`GET /search?format=json` of an instance of one's own."""

    url: str
    name: str = "searxng"
    keys: tuple[str, ...] = ()
    price_usd: float = 0.0
    in_flight: int = 4

    def headers(self, key: str | None) -> dict[str, str]:
        """No headers."""
        return {}

    def call(self, query: str, k: int, blocked: Sequence[str], *, pages: bool) -> Call:
        """It gives a page of results, however many are wanted."""
        return Call("GET", f"{self.url}/search", params={"q": query, "format": "json"})

    def read(self, body: object) -> WebResults:
        """`results`; no result while its engines were blocked is a failure, not an answer."""
        fields = _object(self.name, body)
        results = _results(_rows(self.name, fields.get("results"), "results"), "url", "content")
        if not results and (failing := fields.get("unresponsive_engines")):
            raise RetrievalUnavailable(
                f"{self.name}: none of its engines answered: {str(failing)[:200]}; see its settings, or try later"
            )
        return WebResults(results, 1.0)

    def read_error(self, status: int, body: object) -> Failure[RetrievalError] | None:
        """It forbids formats that are not in its settings."""
        if status == 403:
            advice = "add json to search.formats in the instance's settings.yml"
            return Failure(RetrievalRefused, "status 403: it gives no JSON", advice, False)
        return None


def _results(rows: list[Mapping[str, Any]], url: str, text: str, page: str = "") -> tuple[WebResult, ...]:
    """Rows with an address, in their order; a row without one is no page."""
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
    return [cast(Mapping[str, Any], row) for row in cast(list[object], rows) if isinstance(row, dict)]


def _credits(taken: object) -> float:
    """The usage that a reply reports; one credit if it reports none."""
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
    """`error.code`, or that of the first of `errors`; an older form of the same."""
    if not isinstance(body, dict):
        return ""
    fields = cast(dict[str, Any], body)
    errors = fields.get("errors")
    error = fields.get("error") or (cast(list[object], errors)[0] if isinstance(errors, list) and errors else None)
    return str(cast(dict[str, Any], error).get("code", "")) if isinstance(error, dict) else ""
