"""A loopback OpenAI-compatible endpoint that misbehaves on command."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest


@dataclass
class Answer:
    """What the endpoint does with one request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None  # bytes of the body that are sent before the connection is cut
    hang: bool = False
    delay_s: float = 0.0


class Endpoint:
    """Takes its answers in order and repeats the last; remembers what it was asked, and how many calls overlapped."""

    def __init__(self):
        self.base_url = ""
        self.requests: list[dict] = []
        self.heads: list[str] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._answers: list[Answer] = []
        self._writers: set[asyncio.StreamWriter] = set()

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

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._writers.add(writer)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def answer(self, body: dict) -> Answer:
        """What becomes of the latest request, which is `body`."""
        return self._answers[min(len(self.requests), len(self._answers)) - 1]

    async def _serve_one(self, reader, writer) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        self.heads.append(head)
        self.requests.append(body)
        answer = self.answer(body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if answer.hang:
                await reader.read()
                return False
            await asyncio.sleep(answer.delay_s)
        finally:
            self.in_flight -= 1
        headers = {"content-type": "application/json", "content-length": str(len(answer.body))} | answer.headers
        lines = [f"HTTP/1.1 {answer.status} X", *(f"{key}: {value}" for key, value in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + answer.body[: answer.cut_after])
        await writer.drain()
        return answer.cut_after is None

    def drop_all(self):
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def serving(fake: Endpoint) -> AsyncIterator[Endpoint]:
    """`fake`, at its `base_url`, while the block runs."""
    tasks: set[asyncio.Task] = set()

    def accept(reader, writer):
        task = asyncio.ensure_future(fake.serve(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    fake.base_url = f"http://127.0.0.1:{port}/v1"
    yield fake
    server.close()
    fake.drop_all()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await server.wait_closed()


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serving(Endpoint()) as fake:
        yield fake
