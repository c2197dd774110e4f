"""A loopback server that misbehaves on command, for the tests of every client of an HTTP API."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit


@dataclass
class Answer:
    """What the server does with one request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None  # bytes of the body that are sent before the connection is cut
    hang: bool = False
    delay_s: float = 0.0


@dataclass
class Asked:
    """A request that came."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: object


class Loopback:
    """Answers each request by `answer`; remembers what it was asked, and how many requests overlapped."""

    def __init__(self):
        self.url = ""
        self.asked: list[Asked] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._writers: set[asyncio.StreamWriter] = set()

    def answer(self, asked: Asked) -> Answer:
        """What becomes of the latest request."""
        raise NotImplementedError

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

    async def _serve_one(self, reader, writer) -> bool:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        path = urlsplit(target)
        params = {key: values[0] for key, values in parse_qs(path.query).items()}
        self.asked.append(Asked(method, path.path, params, headers, json.loads(raw) if raw else None))
        answer = self.answer(self.asked[-1])
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if answer.hang:
                await reader.read()
                return False
            await asyncio.sleep(answer.delay_s)
        finally:
            self.in_flight -= 1
        sent = {"content-type": "application/json", "content-length": str(len(answer.body))} | answer.headers
        head = [f"HTTP/1.1 {answer.status} X", *(f"{key}: {value}" for key, value in sent.items()), "", ""]
        writer.write("\r\n".join(head).encode() + answer.body[: answer.cut_after])
        await writer.drain()
        return answer.cut_after is None

    def drop_all(self):
        """Close every connection."""
        for writer in self._writers:
            writer.close()


_S = TypeVar("_S", bound=Loopback)


@asynccontextmanager
async def serving(fake: _S) -> AsyncIterator[_S]:
    """`fake`, at its `url`, while the block runs."""
    tasks: set[asyncio.Task] = set()

    def accept(reader, writer):
        tasks.add(asyncio.ensure_future(fake.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield fake
    server.close()
    fake.drop_all()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await server.wait_closed()
