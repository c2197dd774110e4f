"""An OpenAI-compatible endpoint that answers everything after a fixed time, and says when it did.

A process of its own over a plain `asyncio.Protocol` with a canned reply: it is not what is measured. It notes each
reply's time, so that any client is measured by the same clock, and how late the reply was, which shows whether the
endpoint itself was short of CPU.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from dataclasses import asdict, dataclass, field

MODEL = "fixed"
_SEEN = b"GET /seen "


@dataclass
class Seen:
    """What an endpoint has seen since it started."""

    requests: list[float] = field(default_factory=list[float])
    """Time of each request in seconds."""
    replies: list[float] = field(default_factory=list[float])
    """Time of each reply in seconds."""
    late_s: float = 0.0
    """Total lateness of the replies in seconds."""
    most_in_flight: int = 0
    cpu_s: float = 0.0
    """CPU time of the endpoint in seconds."""


class FixedLatency(asyncio.Protocol):
    """HTTP/1.1 keep-alive: one canned completion after a fixed time, and a list of models."""

    def __init__(self, latency_s: float, seen: Seen) -> None:
        self._latency_s = latency_s
        self._seen = seen
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in the buffer."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end])
            size = end + 4 + content_length(head)
            if len(self._buffer) < size:
                return
            del self._buffer[:size]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        if head.startswith(b"GET "):
            self._transport.write(_http(asdict(self._seen)) if head.startswith(_SEEN) else MODELS)
            return
        now, seen = self._loop.time(), self._seen
        seen.requests.append(now)
        seen.most_in_flight = max(seen.most_in_flight, self._count(1))
        if self._latency_s:
            self._loop.call_at(now + self._latency_s, self._reply, now + self._latency_s)
        else:
            self._reply(now)

    def _reply(self, due: float) -> None:
        now = self._loop.time()
        self._seen.replies.append(now)
        self._seen.late_s += now - due
        self._seen.cpu_s = sum(os.times()[:2])
        self._count(-1)
        self._transport.write(REPLY)

    def _count(self, change: int) -> int:
        FixedLatency.in_flight += change
        return FixedLatency.in_flight

    in_flight = 0
    """Requests that wait for their reply, over all connections."""


def content_length(head: bytes) -> int:
    """Length of the body of a request or reply with this head; 0 if the head does not say."""
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


def _http(body: object) -> bytes:
    content = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content) + content


def _completion() -> dict[str, object]:
    message = {"role": "assistant", "content": "hello world " * 20}
    usage = {"prompt_tokens": 1000, "completion_tokens": 40, "total_tokens": 1040}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    about = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": MODEL}
    return {**about, "choices": [choice], "usage": usage}


REPLY = _http(_completion())
MODELS = _http({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "nobody"}]})


async def serve(latency_s: float) -> None:
    """Serve until killed; prints the port."""
    seen = Seen()
    server = await asyncio.get_running_loop().create_server(
        lambda: FixedLatency(latency_s, seen), "127.0.0.1", 0, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def endpoint(latency_s: float) -> Generator[tuple[str, int]]:
    """The address of an endpoint that runs in its own process."""
    with subprocess.Popen([sys.executable, __file__, str(latency_s)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield "127.0.0.1", int(process.stdout.readline())
        finally:
            process.kill()


def seen_by(address: tuple[str, int]) -> Seen:
    """What the endpoint at `address` has seen."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{address[0]}:{address[1]}/seen") as reply:
        return Seen(**json.load(reply))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(float(sys.argv[1])))
