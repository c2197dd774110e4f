import asyncio
import base64

import numpy as np
import pytest

from questwell.errors import ConfigError, LLMRefused, LLMTimeout, LLMUnavailable, MalformedReply
from questwell.http.retrying import Failure
from questwell.llm.embeddings import EndpointEmbedder, read_vectors
from questwell.llm.endpoint import EndpointOptions

PATIENCE = EndpointOptions(backoff_s=0.001, max_wait_s=0.05, max_retries=2, timeout_s=5.0)


def packed(*numbers):
    return base64.b64encode(np.array(numbers, "<f4").tobytes()).decode()


def body(*embeddings):
    return {"object": "list", "data": [{"index": i, "embedding": one} for i, one in enumerate(embeddings)]}


async def embed(endpoint, texts, key=None, **options):
    patience = EndpointOptions(**{name: getattr(PATIENCE, name) for name in PATIENCE.__dataclass_fields__} | options)
    embedder = EndpointEmbedder("m/e-1", endpoint.base_url, key, options=patience)
    try:
        return await embedder.embed(texts)
    finally:
        await embedder.aclose()


async def test_vectors_come_in_order_as_base64_or_numbers_and_are_scaled(endpoint):
    for sent in (body(packed(3, 4), packed(0, 2)), body([3.0, 4.0], [0, 2])):
        endpoint._answers.clear()
        endpoint.sends(200, {**sent, "data": sent["data"][::-1]})
        vectors = await embed(endpoint, ["one", "two"], key="sk-1")
        assert vectors.dtype == np.float32
        assert np.allclose(vectors, [[0.6, 0.8], [0, 1]])
    assert endpoint.requests[-1] == {"model": "m/e-1", "input": ["one", "two"], "encoding_format": "base64"}
    asked = endpoint.asked[-1]
    assert (asked.method, asked.path, asked.headers["authorization"]) == ("POST", "/v1/embeddings", "Bearer sk-1")


async def test_no_text_is_no_call_and_hostile_text_is_sent_as_data(endpoint):
    assert len(await embed(endpoint, [])) == 0 and not endpoint.requests
    endpoint.sends(200, body([1.0], [1.0]))
    await embed(endpoint, ["", "\ud800 a\0"])
    assert endpoint.requests[-1]["input"] == [" ", "\ufffd a\0"]


async def test_what_may_pass_is_tried_again_by_the_one_retry_layer(endpoint):
    endpoint.sends(503, "busy").sends(429, "slow down", headers={"retry-after": "0"}).sends(200, body([1.0, 0.0]))
    assert (await embed(endpoint, ["a"])).tolist() == [[1.0, 0.0]]
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize(
    ("status", "sent", "error", "calls"),
    [
        (500, "x", LLMUnavailable, 3),
        (401, "bad key", LLMRefused, 1),
        (404, "no model", LLMRefused, 1),
        (200, b"<html>", MalformedReply, 3),
        (200, {"choices": []}, MalformedReply, 3),
        (200, body([1.0]), MalformedReply, 3),
        (200, body([1.0], [1.0, 2.0]), MalformedReply, 3),
        (200, body([1.0], [0.0]), LLMRefused, 1),
        (200, body(packed(1), packed(float("nan"))), LLMRefused, 1),
        (200, body(packed(1), "!!!"), MalformedReply, 3),
        (200, body([], []), MalformedReply, 3),
        (200, {"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}, MalformedReply, 3),
    ],
)
async def test_no_usable_vector_is_a_typed_error(endpoint, status, sent, error, calls):
    endpoint.sends(status, sent)
    with pytest.raises(error, match="m/e-1"):
        await embed(endpoint, ["a", "b"])
    assert len(endpoint.requests) == calls


async def test_an_endpoint_that_hangs_is_a_time_out(endpoint):
    endpoint.hangs()
    with pytest.raises(LLMTimeout):
        await embed(endpoint, ["a"], timeout_s=0.05, max_retries=0)


async def test_a_failing_try_never_shows_the_key(endpoint):
    endpoint.sends(401, "key sk-secret is wrong")
    with pytest.raises(LLMRefused) as caught:
        await embed(endpoint, ["a"], key="sk-secret")
    assert "sk-secret" not in str(caught.value)


async def test_calls_in_flight_are_limited(endpoint):
    endpoint.sends(200, body([1.0]), delay_s=0.02)
    embedder = EndpointEmbedder("m", endpoint.base_url, max_in_flight=3, options=PATIENCE)
    await asyncio.gather(*(embedder.embed(["a"]) for _ in range(12)))
    await embedder.aclose()
    assert endpoint.most_in_flight == 3


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="base_url"):
        EndpointEmbedder("m", "nowhere")


def test_an_unknown_kind_of_embedding_is_malformed():
    assert isinstance(read_vectors(b'{"data": [{"index": 0, "embedding": {"a": 1}}]}', 1), Failure)
