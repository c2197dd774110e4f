"""A small corpus of towns, a server of any retriever in the test's own loop, and an API that answers as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from questwell.http.conftest import Answer, Asked, Loopback
from questwell.http.conftest import serving as serving_api
from questwell.retrieval.corpus import CorpusSpec
from questwell.retrieval.indexing import open_or_build

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

    from questwell.retrieval.server import make_app

    @asynccontextmanager
    async def served(opening, options=None):
        server = uvicorn.Server(uvicorn.Config(make_app(opening, options), port=0, log_level="warning", lifespan="on"))
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
