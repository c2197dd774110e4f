import asyncio

import pytest

from questwell.errors import ConfigError
from questwell.llm.client import Message, Request
from questwell.llm.connect import ConnectOptions, Connector, connect
from questwell.llm.local import LocalLLM
from questwell.llm.openai import OpenAIClient
from questwell.llm.prices import Price

ASK = Request(messages=(Message("user", "hi"),))


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


async def model_asked(spec, endpoint, **options):
    endpoint.says()
    llm = connect(spec, ConnectOptions(**options))
    await llm.complete(ASK)
    await llm.aclose()
    assert llm.name == endpoint.requests[-1]["model"]
    return llm.name


async def test_model_at_an_address(endpoint):
    assert await model_asked(f"Qwen/Qwen3-8B@{endpoint.base_url}", endpoint) == "Qwen/Qwen3-8B"
    assert await model_asked(f"openai:odd@name@{endpoint.base_url}/", endpoint) == "odd@name"
    assert "authorization" not in endpoint.asked[0].headers


async def test_openai_model_at_the_address_and_with_the_key_of_the_environment(endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", " sk-env\n")
    assert await model_asked("openai:gpt-9", endpoint) == "gpt-9"
    assert endpoint.asked[0].headers["authorization"] == "Bearer sk-env"


async def test_key_from_another_variable(endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
    monkeypatch.setenv("JUDGE_KEY", "sk-judge")
    await model_asked(f"m@{endpoint.base_url}", endpoint, api_key_env="JUDGE_KEY")
    assert endpoint.asked[0].headers["authorization"] == "Bearer sk-judge"


async def test_openai_itself_needs_a_key(monkeypatch):
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        connect("openai:gpt-9")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    await connect("openai:gpt-9").aclose()


async def test_embedded_models_and_files(tmp_path):
    assert connect("local").name == "qwen2.5-coder-1.5b"
    assert connect("local-small").name == "qwen2.5-coder-0.5b"
    (tmp_path / "mine.gguf").touch()
    llm = connect(str(tmp_path / "mine.gguf"))
    assert isinstance(llm, LocalLLM)
    assert llm.name == "mine"


def test_whether_a_price_is_known_is_told_before_any_call():
    spec = "gpt-99@http://127.0.0.1:1/v1"
    assert connect(spec).priced is False
    assert connect(spec, ConnectOptions(price=Price(1.0, 2.0))).priced is True
    assert connect("local").priced is True


def test_missing_file_is_named():
    with pytest.raises(ConfigError, match=r"no/such\.gguf"):
        connect("no/such.gguf")


@pytest.mark.parametrize("spec", ["", "gpt-9", "openai:", "@http://host/v1", "m@host/v1", "LOCAL", "model.bin"])
def test_anything_else_is_refused_with_the_forms(spec):
    with pytest.raises(ConfigError, match="MODEL@BASE_URL"):
        connect(spec)


async def test_models_of_one_endpoint_share_its_limit_and_each_spec_is_one_client(endpoint):
    endpoint.says(delay_s=0.02)
    here = f"a@{endpoint.base_url}"
    other = f"b@{endpoint.base_url}/"
    connector, options = Connector(), ConnectOptions(max_in_flight=3)
    llms = {spec: connector.connect(spec, options) for spec in (here, other)}
    assert connector.connect(here, options) is llms[here]
    assert all(isinstance(llm, OpenAIClient) for llm in llms.values())
    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            for llm in llms.values():
                group.create_task(llm.complete(ASK))
    assert endpoint.most_in_flight == 3
    for llm in llms.values():
        await llm.aclose()
