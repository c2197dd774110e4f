import asyncio

import pytest

from questwell.errors import ConfigError
from questwell.retrieval.choose import ENGINES, RetrieverOptions, key_of, open_retriever
from questwell.retrieval.conftest import KEY, QUICK
from questwell.retrieval.remote.engines import Brave, Serper, Tavily
from questwell.retrieval.remote.web import WebOptions


def test_keys_come_from_the_environment_under_the_names_that_users_have(monkeypatch):
    for engine in (Serper(), Tavily(), Brave()):
        for name in engine.keys:
            monkeypatch.delenv(name, raising=False)
    for engine in (Serper(), Tavily(), Brave()):
        with pytest.raises(ConfigError, match=f"set {engine.keys[0]}"):
            key_of(engine)
        for name in engine.keys:
            monkeypatch.setenv(name, f" {KEY}\n")
            assert key_of(engine) == KEY
            monkeypatch.setenv(name, "two words")
            with pytest.raises(ConfigError, match="stray characters"):
                key_of(engine)
            monkeypatch.delenv(name)


@pytest.mark.parametrize("spec", ["", "bing", "goggle", "google@", "mcp", "google@ftp://x", "mcp:nowhere", "tavily@x"])
def test_a_retriever_that_cannot_be_told(spec, monkeypatch):
    monkeypatch.setenv("SERPER_API_KEY", KEY)
    monkeypatch.setenv("TAVILY_API_KEY", KEY)
    with pytest.raises(ConfigError):
        open_retriever(spec)


async def test_every_form_opens_what_it_names(api, tmp_path, monkeypatch):
    for name in ("SERPER_API_KEY", "TAVILY_API_KEY", "BRAVE_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("SEARXNG_URL", f"{api.url}/")
    options = RetrieverOptions(WebOptions(cache=tmp_path / "c", calls=QUICK), QUICK)
    api.sends(b"")
    forms = {
        "google": "web:google/snippets",
        "serper": "web:google/snippets",
        f"tavily@{api.url}": "web:tavily/snippets",
        "brave": "web:brave/snippets",
        "searxng": "web:searxng/snippets",
        f"searxng:{api.url}/search": "web:searxng/snippets",
        f"mcp:{api.url}/mcp": f"mcp:{api.url}/mcp",
        api.url: api.url,
    }
    for spec, name in forms.items():
        retriever = await asyncio.to_thread(open_retriever, spec, options)
        assert retriever.name == name
        await retriever.aclose()
    assert set(ENGINES) == {"google", "serper", "tavily", "brave"}
