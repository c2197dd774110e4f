"""One model at several addresses: calls are spread, a dead server loses none, and no key names a server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from questwell.errors import ConfigError, LLMUnavailable
from questwell.http.conftest import serving
from questwell.llm.client import Message, Request
from questwell.llm.conftest import Endpoint
from questwell.llm.connect import ConnectOptions, Connector, connect
from questwell.llm.keys import endpoints_of
from questwell.llm.openai import OpenAIClient, OpenAIOptions

ASKED = Request((Message("user", "hi"),))
QUICK = ConnectOptions(endpoint=OpenAIOptions(max_retries=2, backoff_s=0.01))


@pytest.fixture
async def two() -> AsyncIterator[list[Endpoint]]:
    async with serving(Endpoint()) as first, serving(Endpoint()) as second:
        yield [first.says("first"), second.says("second")]


def client(two: list[Endpoint], options: ConnectOptions = QUICK) -> OpenAIClient:
    made = connect(f"m@{two[0].base_url},{two[1].base_url}", options)
    assert isinstance(made, OpenAIClient)
    return made


async def test_calls_are_spread_and_the_model_is_the_sets(two: list[Endpoint]) -> None:
    llm = client(two)
    said = [completion.text for completion in await asyncio.gather(*[llm.complete(ASKED) for _ in range(10)])]
    assert (said.count("first"), said.count("second")) == (5, 5)
    assert llm.name == "m"
    assert two[0].base_url in llm.place and two[1].base_url in llm.place
    await llm.aclose()


async def test_a_server_that_dies_loses_no_call(two: list[Endpoint]) -> None:
    llm = client(two)
    await asyncio.gather(*[llm.complete(ASKED) for _ in range(4)])
    two[0].sends(200, b"x" * 100, cut_after=3)  # from now on each connection breaks
    two[0]._answers = two[0]._answers[-1:]
    before = len(two[0].asked)
    said = [(await llm.complete(ASKED)).text for _ in range(8)]
    assert said == ["second"] * 8
    assert len(two[0].asked) == before + 1
    await llm.aclose()


async def test_an_overloaded_server_is_left_and_a_server_that_is_not_there_too(two: list[Endpoint]) -> None:
    two[0].sends(503, {"error": "loading"})
    two[0]._answers = two[0]._answers[-1:]
    llm = connect(f"m@http://127.0.0.1:9/v1,{two[0].base_url},{two[1].base_url}", QUICK)
    assert {(await llm.complete(ASKED)).text for _ in range(6)} == {"second"}
    assert len(two[0].asked) == 1
    await llm.aclose()


async def test_all_dead_is_told_with_all_addresses(two: list[Endpoint]) -> None:
    for one in two:
        one.sends(500, {"error": "broken"})
        one._answers = one._answers[-1:]
    llm = client(two)
    with pytest.raises(LLMUnavailable, match="after 2 retries") as told:
        await llm.complete(ASKED)
    assert all(one.base_url in str(told.value) for one in two)
    assert [len(one.asked) for one in two] == [3, 3]
    await llm.aclose()


async def test_each_host_gets_its_own_key_and_no_message_shows_one(
    two: list[Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", two[1].base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-second")
    llm = client(two)
    await asyncio.gather(*[llm.complete(ASKED) for _ in range(2)])
    assert "authorization" not in two[0].asked[0].headers
    assert two[1].asked[0].headers["authorization"] == "Bearer sk-secret-of-the-second"
    two[1].sends(500, {"error": "bad key sk-secret-of-the-second"})
    two[1]._answers = two[1]._answers[-1:]
    two[0].sends(500, {"error": "down"})
    two[0]._answers = two[0]._answers[-1:]
    for _ in range(2):
        with pytest.raises(LLMUnavailable) as told:
            await llm.complete(ASKED)
        assert "sk-secret" not in str(told.value)
    await llm.aclose()


def test_how_addresses_are_written() -> None:
    for text in ("m@http://a/v1,http://b/v1", "m@http://a/v1, m@http://b/v1/", "m@http://a/v1,openai:m@http://b/v1"):
        found = endpoints_of(text)
        assert found is not None and (found.model, found.base_urls) == ("m", ("http://a/v1", "http://b/v1"))
    found = endpoints_of("openai:m", "http://a/v1,http://b/v1")
    assert found is not None and found.base_urls == ("http://a/v1", "http://b/v1")
    found = endpoints_of("m@http://a/v1?x=1,2")
    assert found is not None and found.base_urls == ("http://a/v1?x=1,2",)
    with pytest.raises(ConfigError, match="one model"):
        endpoints_of("m@http://a/v1,n@http://b/v1")
    with pytest.raises(ConfigError, match="twice"):
        endpoints_of("m@http://a/v1,http://a/v1/")


async def test_one_limiter_an_address_whoever_names_it() -> None:
    connector = Connector()
    one = connector.connect("m@http://a/v1,http://b/v1")
    other = connector.connect("n@http://b/v1")
    assert isinstance(one, OpenAIClient) and isinstance(other, OpenAIClient)
    assert one._endpoint._sites.servers[1].limiter is other.limiter
    assert one.limiter is not other.limiter
