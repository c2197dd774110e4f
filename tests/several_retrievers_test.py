"""One corpus behind several servers: searches are spread, a dead server loses none, and the name is the corpus's."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from questwell.errors import ConfigError, RetrievalUnavailable
from questwell.http.conftest import Answer, Asked, Loopback, serving
from questwell.retrieval.choose import RetrieverOptions, open_retriever
from questwell.retrieval.remote.calling import CallOptions
from questwell.retrieval.remote.remote import RemoteRetriever


class Books(Loopback):
    """A `/retrieve` server of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.name: str | None = "lexical of 3f"
        self.status = 200

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/healthz":
            told = {} if self.name is None else {"questwell": 1, "retriever": self.name}
            return Answer(200, json.dumps(told).encode())
        assert isinstance(asked.body, dict)
        hit = {"document": {"id": "d", "contents": "T\nsaid", "title": "T", "text": "said"}, "score": 1.0}
        found = [[hit] for _ in asked.body["queries"]]
        return Answer(self.status, json.dumps({"result": found}).encode())

    @property
    def searches(self) -> int:
        return sum(one.path == "/retrieve" for one in self.asked)


@pytest.fixture
async def two() -> AsyncIterator[list[Books]]:
    async with serving(Books()) as first, serving(Books()) as second:
        yield [first, second]


async def opened(spec: str) -> RemoteRetriever:
    options = RetrieverOptions(calls=CallOptions(max_retries=1, backoff_s=0.01))
    found = await asyncio.to_thread(open_retriever, spec, options)
    assert isinstance(found, RemoteRetriever)
    return found


async def test_searches_are_spread_and_a_server_that_dies_loses_none(two: list[Books]) -> None:
    alone = await opened(two[1].url)
    books = await opened(f"{two[0].url},{two[1].url}/retrieve")
    assert books.name == alone.name == "lexical of 3f"  # so a recorded search is found again, whoever answered it
    await asyncio.gather(*[books.search("x", 1) for _ in range(10)])
    assert [one.searches for one in two] == [5, 5]
    two[0].status = 500
    assert [len(await books.search("x", 1)) for _ in range(6)] == [1] * 6
    assert [one.searches for one in two] == [6, 11]
    two[1].status = 500
    with pytest.raises(RetrievalUnavailable, match=f"{two[0].url}/?, {two[1].url}"):
        await books.search("x", 1)
    await alone.aclose()
    await books.aclose()


async def test_one_that_is_down_at_the_start_is_used_when_it_is_up(two: list[Books]) -> None:
    books = await opened(f"http://127.0.0.1:9,{two[0].url}")
    assert books.name == "lexical of 3f"
    assert [len(await books.search("x", 1)) for _ in range(3)] == [1] * 3
    await books.aclose()
    with pytest.raises(RetrievalUnavailable):
        await opened("http://127.0.0.1:9,http://127.0.0.1:19")


async def test_other_passages_and_the_same_address_are_refused(two: list[Books]) -> None:
    with pytest.raises(ConfigError, match="twice"):
        await opened(f"{two[0].url},{two[0].url}/retrieve")
    two[1].name = "lexical of 40"
    with pytest.raises(ConfigError, match=r"lexical of 3f.*lexical of 40"):
        await opened(f"{two[0].url},{two[1].url}")
    two[1].name = None
    with pytest.raises(ConfigError, match="not said"):
        await opened(f"{two[0].url},{two[1].url}")
