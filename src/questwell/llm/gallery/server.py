"""Runs the server of a `Family` on loopback while a block runs."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from pydantic import JsonValue

from questwell.llm.gallery.family import Asked, Family


@dataclass(slots=True)
class Served:
    """A running server of a family, with the requests that it received."""

    base_url: str
    asked: list[Asked] = field(default_factory=list[Asked])
    """All requests so far, in order."""
    refusals: int = 0
    """Number of requests that the server refused."""


@asynccontextmanager
async def serving(family: Family) -> AsyncGenerator[Served]:
    """A server of `family` that answers at `base_url` while the block runs."""
    served = Served("")
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await _answer_one(family, served, reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(talk(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    served.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{family.path}"
    try:
        yield served
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _answer_one(
    family: Family, served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    raw = await reader.readexactly(int(headers.get("content-length", 0)))
    target = urlsplit(first.split(" ")[1])
    params = {key: values[0] for key, values in parse_qs(target.query).items()}
    body: dict[str, JsonValue] = json.loads(raw) if raw else {}
    asked = Asked(target.path, params, headers, body)
    served.asked.append(asked)
    status, content, kind = family.answer(asked)
    if family.first is not None and len(served.asked) == 1:
        status, content = 200, json.dumps(family.first).encode()
    served.refusals += status >= 400
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content)
    await writer.drain()
    return True
