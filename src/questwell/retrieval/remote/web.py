"""`WebRetriever`: searches the live web with one engine and returns its results as passages, except blocked sites.

Text from the web is not trusted: it is cleaned here, and made harmless where an agent sees it (`agents/tools.py`).
"""

import asyncio
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from questwell.assets.cache import home
from questwell.errors import ConfigError, RetrievalRefused
from questwell.retrieval.corpora.documents import Document
from questwell.retrieval.corpora.passages import passages_of
from questwell.retrieval.index.analysis import Analyzer, Terms
from questwell.retrieval.remote.blocking import BlockList
from questwell.retrieval.remote.calling import Call, Caller, CallOptions
from questwell.retrieval.remote.engines import Engine, WebResult
from questwell.retrieval.remote.pages import PageBlockedError, PageOptions, PageRefusedError, Pages
from questwell.retrieval.remote.remote import searchable
from questwell.retrieval.remote.webcache import WebCache
from questwell.retrieval.remote.wire import ranked, stable_id
from questwell.retrieval.retriever import DocumentPage, Found, page_of
from questwell.text.unicode import without_surrogates
from questwell.types.corpus import Hit, Passage

PASSAGE_CHARS = 1_500
"""Length of a part of a page's text in characters; agents are shown about as much of a passage."""
QUERY_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class WebOptions:
    """How to search the web; the defaults suit most cases."""

    pages: bool = False
    """Whether to use the part of each page that matches the query best, instead of the engine's snippet."""
    block: tuple[str, ...] = ()
    """Domains to leave out, in addition to the benchmarks' sites."""
    price_usd: float | None = None
    """Price of one search in US dollars; None for the list price."""
    cache_days: float = 7.0
    """Number of days for which a cached reply is used; 0 for no cache."""
    cache: Path | None = None
    """File of the cache; None for a file in the user's cache folder."""
    calls: CallOptions = field(default_factory=lambda: CallOptions(max_retries=6))
    page: PageOptions = field(default_factory=PageOptions)


class WebRetriever:
    """Searches the web with one engine. Implements `Retriever` and `PaidRetriever`. Belongs to one event loop.

    Equal queries in flight are sent once, and the first caller pays.
    """

    priced = True

    def __init__(self, engine: Engine, key: str | None = None, options: WebOptions | None = None) -> None:
        """Search with `engine`.

        Raises:
            ConfigError: a blocked domain is not a domain, or pages are requested without the extra `web`.
            RetrievalError: the cache cannot be used.
        """
        self._engine = engine
        self._options = options or WebOptions()
        self._blocked = BlockList(self._options.block)
        self._pages = Pages(self._options.page, self._blocked.blocks) if self._options.pages else None
        self._reading = self._pages  # otherwise made when the first document is opened
        self._terms = Terms(Analyzer.MULTI)
        days = self._options.cache_days
        self._cache = WebCache(self._options.cache or home() / "web.sqlite", days) if days > 0 else None
        calls = replace(self._options.calls, in_flight=min(engine.in_flight, self._options.calls.in_flight))
        self._caller = Caller(engine.name, engine.headers(key), key, calls, engine.read_error)
        self._in_flight: dict[str, asyncio.Task[object]] = {}

    @property
    def name(self) -> str:
        """Names the engine, and whether its snippets or pages are used; the web has no snapshot."""
        return f"web:{self._engine.name}/{'pages' if self._options.pages else 'snippets'}"

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """At most `k` hits for `query`, and no more than one call to the engine returns."""
        return (await self.search_paid(query, k)).hits

    async def search_paid(self, query: str, k: int) -> Found:
        """The hits, and what the engine charged for them; 0 for a reply from the cache.

        Raises:
            RetrievalError: as for `Caller.ask` and `Engine.read`.
        """
        if k < 1 or not searchable(query):
            return Found((), 0.0)
        query = " ".join(without_surrogates(query).split())[:QUERY_CHARS]
        pages = self._pages is not None
        body, fresh = await self._ask(self._engine.call(query, k, self._blocked.domains, pages=pages))
        found = self._engine.read(body)
        price = self._engine.price_usd * found.credits if self._options.price_usd is None else self._options.price_usd
        kept = self._kept(found.results)[:k]
        passages = await asyncio.gather(*(self._passage(result, query) for result in kept))
        shown = enumerate((passage for passage in passages if passage is not None), 1)
        hits = ranked(((1 / place, passage) for place, passage in shown), k)
        return Found(hits, price if fresh else 0.0)

    async def read_page(self, identifier: str, page: int) -> DocumentPage | None:
        """A page of the text of the web page at the address `identifier`."""
        return page_of(await self._document(identifier), page)

    async def find_in(self, identifier: str, query: str, k: int) -> tuple[Hit, ...] | None:
        """The parts of the web page at the address `identifier` that contain most of the query's terms."""
        passages = await self._document(identifier)
        wanted = set(self._terms.of(query))
        scored = [(float(len(wanted.intersection(self._terms.of(one.text)))), one) for one in passages]
        return ranked(((score, one) for score, one in scored if score), k) if passages else None

    async def _document(self, url: str) -> list[Passage]:
        """The text of a page in passages; empty if it cannot be fetched or must not be shown."""
        if self._reading is None:
            try:
                self._reading = Pages(self._options.page, self._blocked.blocks)
            except ConfigError as error:
                raise RetrievalRefused(str(error)) from error
        try:
            text = await self._page_text(self._reading, url)
        except PageBlockedError:
            return []
        return list(passages_of(Document(url, "", text)))

    async def aclose(self) -> None:
        """Close connections and cache."""
        for task in self._in_flight.values():
            task.cancel()
        await asyncio.gather(*self._in_flight.values(), return_exceptions=True)
        await self._caller.aclose()
        if self._reading is not None:
            await self._reading.aclose()
        if self._cache is not None:
            self._cache.close()

    def _kept(self, results: Iterable[WebResult]) -> list[WebResult]:
        """Results that may be shown, without repeated addresses and without results that have no text."""
        by_url = {result.url: result for result in results if result.text or result.page}
        return [result for url, result in by_url.items() if not self._blocked.blocks(url)]

    async def _ask(self, call: Call) -> tuple[object, bool]:
        """(the reply, whether this call was the one that was paid for)."""
        asked = {"engine": self._engine.name, **asdict(call)}
        if self._cache is not None and (kept := self._cache.get(asked)) is not None:
            return kept, False
        key = repr(asked)
        first = key not in self._in_flight
        if first:
            self._in_flight[key] = asyncio.create_task(self._ask_anew(call, asked))
            self._in_flight[key].add_done_callback(lambda task: self._ended(key, task))
        return await asyncio.shield(self._in_flight[key]), first

    async def _ask_anew(self, call: Call, asked: object) -> object:
        body = await self._caller.ask(call)
        self._engine.read(body)  # a reply that cannot be read is not cached
        if self._cache is not None:
            self._cache.put(asked, body)
        return body

    def _ended(self, key: str, task: asyncio.Task[object]) -> None:
        del self._in_flight[key]
        if not task.cancelled():
            task.exception()  # mark it as seen, for nobody may be waiting any more

    async def _passage(self, result: WebResult, query: str) -> Passage | None:
        """The passage of a result; None if its page leads to a blocked site."""
        text = result.text
        if self._pages is not None:
            try:
                page = result.page or await self._page_text(self._pages, result.url)
            except PageBlockedError:
                return None
            text = self._best(page, query) or text
        return Passage(id=stable_id("web", result.url, text), title=result.title, text=text, document_id=result.url)

    async def _page_text(self, pages: Pages, url: str) -> str:
        """The page's text; empty if it cannot be fetched, and then the snippet is used."""
        asked = {"page": url}
        if self._cache is not None and isinstance(kept := self._cache.get(asked), str):
            return kept
        try:
            text = await pages.text(url)
        except PageBlockedError:
            raise
        except PageRefusedError:
            return ""
        if self._cache is not None:
            self._cache.put(asked, text)
        return text

    def _best(self, page: str, query: str) -> str:
        """The first part of `page` that contains the most terms of the query, with the text after it."""
        wanted = set(self._terms.of(query))
        passages = list(passages_of(Document("page", "", page)))
        if not passages:
            return ""
        best = max(passages, key=lambda passage: len(wanted.intersection(self._terms.of(passage.text))))
        rest = page[best.offset : best.offset + PASSAGE_CHARS]
        return rest if len(page) <= best.offset + PASSAGE_CHARS else rest.rsplit(" ", 1)[0]
