import asyncio

import httpx2
import pytest

from questwell.errors import ConfigError, LLMRefused
from questwell.http.conftest import serving
from questwell.llm.client import Message, Request
from questwell.llm.conftest import Endpoint
from questwell.llm.connect import ConnectOptions, Connector, connect
from questwell.llm.endpoint import Endpoint as Client
from questwell.llm.keys import endpoint_of, key_for, key_variable
from questwell.llm.limiter import Limiter
from questwell.llm.openai import OpenAIClient, OpenAIOptions

ASK = Request(messages=(Message("user", "hi"),))


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-secret")
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-router-secret")


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://api.openai.com/v1", "sk-openai-secret"),
        ("https://openrouter.ai/api/v1", "sk-router-secret"),
        ("http://127.0.0.1:8000/v1", None),
        ("https://api.deepseek.com", None),
        ("https://api.openai.com.evil.example/v1", None),
        ("https://evil-openrouter.ai/v1", None),
    ],
)
def test_a_key_goes_only_to_its_own_host(url: str, key: str | None) -> None:
    assert key_for(url) == key


def test_what_the_user_names_goes_where_the_user_says(monkeypatch) -> None:
    assert key_for("http://127.0.0.1:8000/v1", "OPENAI_API_KEY") == "sk-openai-secret"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://gpu1:8000/v1")
    assert key_for("http://gpu1:8000/v1") == "sk-openai-secret"
    assert key_for("http://gpu1:8001/v1") is None
    assert key_variable("https://mine.openai.azure.com/openai/v1") == "AZURE_OPENAI_API_KEY"
    with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        connect("m@http://127.0.0.1:1/v1", ConnectOptions(api_key_env="NO_SUCH_KEY"))


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ("m@http://me:pw@host:1/v1/", ("m", "http://me:pw@host:1/v1")),
        ("a@b@https://host/v1", ("a@b", "https://host/v1")),
        ("openai:gpt-5", ("gpt-5", "https://api.openai.com/v1")),
        ("local", None),
    ],
)
def test_where_a_model_is(spec: str, place: tuple[str, str] | None) -> None:
    assert endpoint_of(spec) == place


async def test_a_password_in_the_address_is_sent_and_not_shown(endpoint):
    endpoint.says().sends(404)
    llm = connect(f"m@{endpoint.base_url.replace('http://', 'http://me:secret@')}")
    await llm.complete(ASK)
    assert endpoint.asked[0].headers["authorization"].startswith("Basic ")
    with pytest.raises(LLMRefused) as caught:
        await llm.complete(ASK)
    assert "secret" not in str(caught.value)
    await llm.aclose()


async def test_azure_has_its_version_deployment_and_header(endpoint):
    url = "https://mine.openai.azure.com/openai/deployments/gpt?api-version=2024-10-21"
    client = Client("gpt", url, "a-long-key", Limiter(1), OpenAIOptions(query={"x": "1"}))
    whole = httpx2.URL(client._sites.servers[0].url("chat/completions"))
    assert whole.path == "/openai/deployments/gpt/chat/completions"
    assert dict(whole.params) == {"api-version": "2024-10-21", "x": "1"}
    await client.aclose()
    endpoint.says()
    llm = connect(f"gpt@{endpoint.base_url}/deployments/gpt?api-version=1")
    await llm.complete(ASK)
    assert (endpoint.asked[0].path, endpoint.asked[0].params) == (
        "/v1/deployments/gpt/chat/completions",
        {"api-version": "1"},
    )
    await llm.aclose()


async def test_own_headers_are_sent_and_secrets_come_from_the_environment(endpoint, monkeypatch):
    monkeypatch.setenv("PROJECT", "proj-1")
    endpoint.says()
    options = OpenAIOptions(headers={"OpenAI-Project": "$PROJECT", "X-Title": "Questwell"}, extra={"top_k": 5})
    llm = connect(f"m@{endpoint.base_url}", ConnectOptions(endpoint=options))
    await llm.complete(ASK)
    headers = endpoint.asked[0].headers
    assert (headers["openai-project"], headers["x-title"], endpoint.requests[0]["top_k"]) == ("proj-1", "Questwell", 5)
    await llm.aclose()
    with pytest.raises(ConfigError, match="NOT_SET"):
        connect(f"m@{endpoint.base_url}", ConnectOptions(endpoint=OpenAIOptions(headers={"a": "$NOT_SET"})))


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_that_keeps_the_method_is_followed(endpoint, status):
    endpoint.sends(status, headers={"location": "/v2/chat/completions"}).says("moved")
    async with serving(Endpoint()):
        client = OpenAIClient("m", endpoint.base_url, "sk-a-long-key")
        assert (await client.complete(ASK)).text == "moved"
        await client.aclose()
    assert endpoint.asked[1].path == "/v2/chat/completions"
    assert endpoint.asked[1].body == endpoint.asked[0].body
    assert endpoint.asked[1].headers["authorization"] == "Bearer sk-a-long-key"


async def test_a_redirect_takes_no_key_to_another_host(endpoint):
    other = endpoint.base_url.replace("127.0.0.1", "localhost")
    endpoint.sends(307, headers={"location": f"{other}/chat/completions"}).says("elsewhere")
    client = OpenAIClient("m", endpoint.base_url, "sk-a-long-key")
    assert (await client.complete(ASK)).text == "elsewhere"
    await client.aclose()
    assert "authorization" not in endpoint.asked[1].headers


async def test_a_missing_or_wrong_key_says_what_to_do(endpoint):
    endpoint.sends(401)
    for variable, advice in ((None, "--key-env"), ("OPENAI_API_KEY", "OPENAI_API_KEY")):
        llm = connect(f"m@{endpoint.base_url}", ConnectOptions(api_key_env=variable))
        with pytest.raises(LLMRefused, match=advice):
            await llm.complete(ASK)
        await llm.aclose()


async def test_two_providers_in_one_run_get_each_its_own_key(endpoint, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "sk-judge-secret")
    async with serving(Endpoint()) as second:
        for one in (endpoint, second):
            one.says()
        connector = Connector()
        spec = "openai:gpt"
        first = connector.connect(spec, ConnectOptions(base_url=endpoint.base_url, api_key_env="OPENAI_API_KEY"))
        judge = connector.connect(spec, ConnectOptions(base_url=second.base_url, api_key_env="JUDGE_KEY"))
        await asyncio.gather(first.complete(ASK), judge.complete(ASK))
        assert endpoint.asked[0].headers["authorization"] == "Bearer sk-openai-secret"
        assert second.asked[0].headers["authorization"] == "Bearer sk-judge-secret"
        for llm in (first, judge):
            await llm.aclose()


async def test_roles_of_one_model_share_what_is_known_of_it(endpoint):
    endpoint.sends(400, {"error": {"message": "no seed", "param": "seed"}}).says()
    connector = Connector()
    request = Request(ASK.messages, seed=1)
    clients = [
        connector.connect(f"m@{endpoint.base_url}", ConnectOptions(endpoint=OpenAIOptions(timeout_s=timeout)))
        for timeout in (1.0, 2.0)
    ]
    for client in clients:
        assert (await client.complete(request)).adapted == ("omit seed",)
        await client.aclose()
    assert len(endpoint.requests) == 3
