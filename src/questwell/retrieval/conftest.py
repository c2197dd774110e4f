"""Small corpora, a server of any retriever in the test's own loop, and APIs that answer as they are told."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from questwell.http.conftest import Answer, Asked, Loopback
from questwell.http.conftest import serving as serving_api
from questwell.retrieval.corpora.corpus import CorpusSpec
from questwell.retrieval.index.dense import embed_index
from questwell.retrieval.index.indexing import build_index, open_or_build
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.retrieval.remote.calling import CallOptions
from questwell.retrieval.remote.engines import Brave, SearXNG, Serper, Tavily
from questwell.retrieval.remote.web import WebOptions, WebRetriever

TOWNS = 60


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "towns.jsonl"
    lines = [
        {
            "id": f"t/{n}",
            "contents": f'"Town {n}"\nTown number {n} was founded in {1700 + n} by Ada {n} «{chr(0x4E00 + n)}».',
            "licence": "CC0-1.0",
        }
        for n in range(TOWNS)
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def index(corpus):
    return open_or_build(CorpusSpec(str(corpus)), folder=corpus.parent / "index")


@pytest.fixture
def serving():
    """serving(opening, options): the address of our server while the block runs."""
    import uvicorn

    from questwell.retrieval.serve.connections import Guard
    from questwell.retrieval.serve.server import ServerOptions, make_app

    @asynccontextmanager
    async def served(opening, options=None):
        options = options or ServerOptions()
        guard = Guard(options.connections)
        app = make_app(opening, options, guard)
        more = {"port": 0, "log_level": "warning", "lifespan": "on", "http": guard.protocol}
        server = uvicorn.Server(uvicorn.Config(app, **more))
        task = asyncio.create_task(server._serve())
        while not server.started:
            assert not task.done(), task.exception()
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            await task

    return served


class Api(Loopback):
    """Takes its answers in order and repeats the last."""

    def __init__(self):
        super().__init__()
        self._answers: list[Answer | Callable[[Asked], Answer]] = []

    def sends(self, body: object = "", status: int = 200, **more):
        """Any status with any body (JSON unless bytes)."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._answers.append(Answer(status, raw, **more))
        return self

    def does(self, answer: Callable[[Asked], Answer]):
        """What `answer` makes of a request."""
        self._answers.append(answer)
        return self

    def hangs(self):
        self._answers.append(Answer(hang=True))
        return self

    def answer(self, asked: Asked) -> Answer:
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        return answer if isinstance(answer, Answer) else answer(asked)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving_api(Api()) as fake:
        yield fake


QUICK = CallOptions(timeout_s=20.0, connect_timeout_s=20.0, max_retries=2, backoff_s=0.01, max_wait_s=0.05)
ROWS = [("https://a.example/tea", "Tea & Co", "Tea is <strong>hot</strong>."), ("http://b.example", "B", "Cold tea.")]
KEY = "k-123-secret"


def serper(rows=ROWS, **more):
    organic = [
        {"title": title, "link": url, "snippet": text, "position": place}
        for place, (url, title, text) in enumerate(rows, 1)
    ]
    asked = {"q": "tea", "type": "search", "num": 10, "engine": "google"}
    return {"searchParameters": asked, "organic": organic, "relatedSearches": [], "credits": 1} | more


def tavily(rows=ROWS, **more):
    results = [
        {"title": title, "url": url, "content": text, "score": 0.9, "raw_content": None} for url, title, text in rows
    ]
    body = {"query": "tea", "follow_up_questions": None, "answer": None, "images": [], "results": results}
    return body | {"response_time": 0.6, "usage": {"credits": 1}, "request_id": "r"} | more


def brave(rows=ROWS, **more):
    results = [
        {"type": "search_result", "title": title.replace("&", "&amp;"), "url": url, "description": text}
        for url, title, text in rows
    ]
    found = {"web": {"type": "search", "results": results, "family_friendly": True}} if rows else {}
    return {"type": "search", "query": {"original": "tea", "more_results_available": True}} | found | more


def searxng(rows=ROWS, **more):
    results = [
        {"url": url, "title": title, "content": text, "engine": "duckduckgo", "engines": ["duckduckgo"], "score": 1.0}
        for url, title, text in rows
    ]
    body = {"query": "tea", "number_of_results": 0, "results": results, "answers": [], "corrections": []}
    return body | {"infoboxes": [], "suggestions": [], "unresponsive_engines": []} | more


APIS = {"google": (Serper, serper), "tavily": (Tavily, tavily), "brave": (Brave, brave), "searxng": (SearXNG, searxng)}
every_engine = pytest.mark.parametrize("engine", APIS)


@pytest.fixture
async def opened(api, tmp_path):
    """opened(name, **options): a web retriever at the API's address."""
    held = []

    def open_it(name, calls=QUICK, **options):
        given = {"cache": tmp_path / "web.sqlite", "calls": calls} | options
        held.append(WebRetriever(APIS[name][0](url=api.url), KEY, WebOptions(**given)))
        return held[-1]

    yield open_it
    for retriever in held:
        await retriever.aclose()


WORDS = ("amber", "basalt", "cobalt", "dune", "ember", "fjord", "harbor", "island", "keel", "lagoon", "onyx", "reef")
DOCUMENTS = 230
COMMIT_EVERY = 20


def corpus_of_words(path):
    """Documents of a few words each, and one in Chinese."""
    rng = random.Random(3)
    lines = [
        {
            "id": f"d{number:03}",
            "title": f"Item {number}",
            "text": " ".join(rng.choices(WORDS, k=6)) + ".",
            "metadata": {"parity": number % 2},
        }
        for number in range(DOCUMENTS)
    ]
    lines.append({"id": "北", "title": "北京大学", "text": "在中国的首都。"})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return CorpusSpec(str(path))


def with_vectors(corpus, folder, embedder):
    """`folder`, with the index of a corpus and its vectors."""
    build_index(corpus, folder)
    asyncio.run(embed_index(LexicalIndex.open(folder), embedder, commit_every=COMMIT_EVERY))
    return folder


def find(index, query, k=10, where=None):
    """Hits of a hybrid index."""
    return index.find(query, k, index.embedder.vectors([query])[0], where)
