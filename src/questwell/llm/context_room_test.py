# ruff: noqa: E501  wordings of servers stand as they are
"""Refusals of a prompt as too long, and what is asked for then."""

import pytest

from questwell.errors import ContextOverflow
from questwell.http.conftest import Answer, Loopback, serving
from questwell.llm.client import Message, Request
from questwell.llm.context_room import room_in
from questwell.llm.openai import OpenAIClient, OpenAIOptions
from questwell.llm.replies_test import body

VLLM = (
    "You passed {} input tokens and requested {} output tokens. However, the model's context length is only 8192 tokens, "
    "resulting in a maximum input length of {} tokens. Please reduce the length of the input prompt."
)


@pytest.mark.parametrize(
    ("text", "room"),
    [
        ("maximum context length is 4096 tokens. However, you requested 5000 tokens (904 in the messages, 4096 in the "
         "completion)", 3192),
        ("exceeds the model's maximum context length of 4096 tokens. You requested a total of 5000 tokens: 904 tokens from "
         "the input messages and 4096 tokens for the completion", 3192),
        ("`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 904 `inputs` tokens and 4096 `max_new_tokens`", 3192),
        ("input length and `max_tokens` exceed context limit: 188,240 + 21333 > 200,000", 11760),
        ("maximum context length is 8192 tokens. However, you requested about 12000 tokens (4000 of text input, 8000 in "
         "the output)", 4192),
    ],
)  # fmt: skip
def test_the_room_that_an_overflow_names(text: str, room: int) -> None:
    found = room_in(text)
    assert found is not None and found.left == room
    assert room_in("the prompt is too long") is None


class NewVllm(Loopback):
    """Reads at most one token more than leaves room for the answer, and says so."""

    def __init__(self, prompt: int) -> None:
        super().__init__()
        self.prompt = prompt

    def answer(self, asked) -> Answer:
        most = 8192 - asked.body["max_tokens"]
        if self.prompt <= most:
            return Answer(200, body())
        said = VLLM.format(most + 1, asked.body["max_tokens"], most)
        return Answer(400, f'{{"error": {{"message": "{said}", "param": "input_tokens"}}}}'.encode())


@pytest.mark.parametrize(
    ("prompt", "caps"), [(100, [8192, 4096]), (6000, [8192, 4096, 2047]), (7200, [8192, 4096, 2047, 1023, 511])]
)
async def test_a_server_that_counts_only_what_fits(prompt, caps):
    async with serving(NewVllm(prompt)) as server:
        client = OpenAIClient("m", f"{server.url}/v1", options=OpenAIOptions(max_retries=0))
        assert (await client.complete(Request((Message("user", "q"),), max_tokens=8192))).text == "Rome"
        await client.aclose()
    assert [asked.body["max_tokens"] for asked in server.asked] == caps


async def test_a_prompt_that_fits_with_no_answer_is_an_overflow():
    async with serving(NewVllm(9000)) as server:
        client = OpenAIClient("m", f"{server.url}/v1", options=OpenAIOptions(max_retries=0))
        with pytest.raises(ContextOverflow):
            await client.complete(Request((Message("user", "q"),), max_tokens=8192))
        await client.aclose()
    assert len(server.asked) <= 8


def test_an_exact_count_is_told_from_one_that_is_not():
    exact, floor = room_in(VLLM.format(5000, 4096, 4096)), room_in(VLLM.format(4097, 4096, 4096))
    assert exact is not None and floor is not None
    assert (exact.exact, exact.left) == (True, 3192)
    assert (floor.exact, floor.left) == (False, 4095)
