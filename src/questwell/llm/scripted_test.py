import asyncio

import pytest

from questwell.errors import LLMUnavailable
from questwell.llm.client import LLM, Completion, Request
from questwell.llm.scripted import ScriptedLLM

A, B = Request(prompt="a"), Request(prompt="b")


async def test_answers_by_a_function_of_the_request():
    llm: LLM = ScriptedLLM(lambda request: request.prompt.upper(), name="echo")
    assert llm.priced is None and ScriptedLLM([], priced=False).priced is False
    assert (await llm.complete(A)).text == "A"
    assert (await llm.complete(B)).model == "echo"
    assert llm.requests == [A, B]
    await llm.aclose()


async def test_answers_in_order_and_raises_what_it_is_told():
    whole = Completion(text="whole", model="m", prompt_tokens=3)
    llm = ScriptedLLM(["text", whole, LLMUnavailable("down")])
    assert (await llm.complete(A)).text == "text"
    assert await llm.complete(A) is whole
    with pytest.raises(LLMUnavailable, match="down"):
        await llm.complete(A)
    with pytest.raises(AssertionError, match="no more answers"):
        await llm.complete(B)


async def test_answers_go_to_calls_in_the_order_of_arrival():
    llm = ScriptedLLM(["first", "second"], latency_s=0.01)
    first, second = await asyncio.gather(llm.complete(A), llm.complete(B))
    assert (first.text, second.text) == ("first", "second")
    assert first.latency_s == 0.01


async def test_log_holds_the_digest_of_every_answered_call(tmp_path):
    log = tmp_path / "calls.log"
    llm = ScriptedLLM(["one", LLMUnavailable("down")], log_path=log)
    await llm.complete(A)
    assert log.read_text() == f"{A.digest()}\n"
    with pytest.raises(LLMUnavailable):
        await llm.complete(B)
    await asyncio.gather(*[ScriptedLLM(["x"], log_path=log).complete(A) for _ in range(3)])
    assert log.read_text().splitlines() == [A.digest(), B.digest(), *[A.digest()] * 3]


async def test_a_call_that_was_not_answered_is_not_in_the_log(tmp_path):
    llm = ScriptedLLM(["never"], latency_s=60, log_path=tmp_path / "calls.log")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(llm.complete(A), 0.01)
    assert not (tmp_path / "calls.log").exists()
