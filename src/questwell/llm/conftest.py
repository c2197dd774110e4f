"""A loopback OpenAI-compatible endpoint that misbehaves on command."""

import json
from collections.abc import AsyncIterator

import pytest

from questwell.http.conftest import Answer, Asked, Loopback, serving


class Endpoint(Loopback):
    """Takes its answers in order and repeats the last."""

    def __init__(self):
        super().__init__()
        self._answers: list[Answer] = []

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def requests(self) -> list[dict]:
        """What was asked: the bodies."""
        return [asked.body for asked in self.asked]

    def says(self, text: str = "fine", **more):
        """A good chat completion; `message`, `choice` and `body` add or replace fields at their level."""
        message = {"role": "assistant", "content": text} | more.pop("message", {})
        choice = {"index": 0, "message": message, "finish_reason": "stop"} | more.pop("choice", {})
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        body = {"object": "chat.completion", "model": "served", "choices": [choice], "usage": usage}
        body |= more.pop("body", {})
        return self.sends(200, body, **more)

    def sends(self, status: int, body: object = "", **more):
        """Any status with any body (JSON unless bytes)."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._answers.append(Answer(status=status, body=raw, **more))
        return self

    def hangs(self):
        self._answers.append(Answer(hang=True))
        return self

    def answer(self, asked: Asked) -> Answer:
        return self._answers[min(len(self.asked), len(self._answers)) - 1]


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serving(Endpoint()) as fake:
        yield fake
