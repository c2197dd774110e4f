"""A reply of an endpoint does not take memory: it is read within a limit, packed or not."""

import gzip
import json
import tracemalloc

import pytest

from questwell.errors import MalformedReply
from questwell.http import connections
from questwell.http.conftest import Answer, Loopback, serving
from questwell.llm.client import Message, Request
from questwell.llm.embeddings import EndpointEmbedder
from questwell.llm.openai import OpenAIClient, OpenAIOptions

ASK = Request((Message("user", "Who?"),))
QUICK = OpenAIOptions(max_retries=2, backoff_s=0.01, max_wait_s=0.05)


def completion(text):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "1", "object": "chat.completion", "model": "m", "choices": [choice]}).encode()


class Endpoint(Loopback):
    def __init__(self, body, encoding=None, status=200):
        super().__init__()
        headers = {"content-encoding": encoding} if encoding else {}
        self.held = Answer(status, body, headers)

    def answer(self, asked):
        return self.held


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("encoding", ["gzip", None])
async def test_a_huge_reply_is_refused_and_not_read(monkeypatch, encoding, status):
    monkeypatch.setattr(connections, "MOST_BYTES", 1_000_000)
    huge = gzip.compress(completion("x" * 200_000_000)) if encoding else completion("x" * 30_000_000)
    async with serving(Endpoint(huge, encoding, status)) as fake:
        client = OpenAIClient("m", f"{fake.url}/v1", options=QUICK)
        tracemalloc.start()
        with pytest.raises(MalformedReply, match="a reply of more than 1000000 bytes"):
            await client.complete(ASK)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert not encoding or peak < 12_000_000
        assert len(fake.asked) == 1  # it is paid for, and would be as large again
        await client.aclose()


async def test_a_packed_reply_is_read(monkeypatch):
    packed = gzip.compress(completion("Ada"))
    async with serving(Endpoint(packed, "gzip")) as fake:
        client = OpenAIClient("m", f"{fake.url}/v1", options=QUICK)
        assert (await client.complete(ASK)).text == "Ada"
        assert fake.asked[0].headers["accept-encoding"] == "gzip, deflate"
        await client.aclose()


async def test_what_is_packed_otherwise_is_malformed_and_tried_again():
    async with serving(Endpoint(b"no brotli", "br")) as fake:
        client = OpenAIClient("m", f"{fake.url}/v1", options=QUICK)
        with pytest.raises(MalformedReply, match="not asked for"):
            await client.complete(ASK)
        assert len(fake.asked) == 3
        await client.aclose()


async def test_embeddings_are_read_within_the_same_limit(monkeypatch):
    monkeypatch.setattr(connections, "MOST_BYTES", 1_000)
    async with serving(Endpoint(json.dumps({"data": [0.0] * 1_000}).encode())) as fake:
        embedder = EndpointEmbedder("m", f"{fake.url}/v1", options=QUICK)
        with pytest.raises(MalformedReply, match="more than 1000 bytes"):
            await embedder.embed(["x"])
        await embedder.aclose()
