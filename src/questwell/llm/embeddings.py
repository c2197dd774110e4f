"""An embedder (`retrieval/embedders/embedder.py`) that calls an OpenAI-compatible `/embeddings` endpoint.

It has the same limiter, retries and deadlines as completions. We ask for vectors in base64, a quarter of the bytes;
endpoints that do not know the field answer with lists of numbers, which are read too.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ValidationError

from questwell.errors import LLMError, LLMRefused, MalformedReply
from questwell.http.retrying import Failure
from questwell.llm.endpoint import Endpoint, EndpointOptions
from questwell.llm.limiter import Limiter
from questwell.llm.refusals import quote
from questwell.text.unicode import without_surrogates

Vectors = npt.NDArray[np.float32]
"""One row per text, of length 1."""
_ADVICE = "check that base_url is that of an OpenAI-compatible server and that the model makes embeddings"


class _Item(BaseModel):
    index: int
    embedding: str | list[float]


class _Body(BaseModel):
    data: list[_Item]


class EndpointEmbedder:
    """A client of one embedding model at one endpoint. Belongs to one event loop."""

    weight = 0.5
    """Weight of the vectors in a hybrid ranking, in [0, 1]; the same for every transformer."""
    batch = 64
    """Number of texts per call."""

    def __init__(
        self,
        model: str,
        base_url: str,
        api_key: str | None = None,
        *,
        max_in_flight: int = 8,
        options: EndpointOptions | None = None,
    ) -> None:
        """Use `model` at `base_url` (without `/embeddings`); raises the same errors as `Endpoint`."""
        self._model = model
        self._endpoint = Endpoint(model, base_url, api_key, Limiter(max_in_flight), options or EndpointOptions())
        self.in_flight = max_in_flight

    @property
    def name(self) -> str:
        """Name of the model, without its address, which may change."""
        return self._model

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, one per text.

        Raises:
            LLMError: no usable vectors after all retries, as for `Endpoint.post`.
        """
        if not texts:
            return np.empty((0, 0), np.float32)
        clean = [without_surrogates(text) or " " for text in texts]
        body = json.dumps({"model": self._model, "input": clean, "encoding_format": "base64"}).encode()
        answered = await self._endpoint.post("embeddings", body, lambda content: read_vectors(content, len(texts)))
        return answered.result

    async def aclose(self) -> None:
        """Close the connections."""
        await self._endpoint.aclose()


def read_vectors(content: bytes, count: int) -> Vectors | Failure[LLMError]:
    """The `count` vectors in a successful answer, scaled to length 1, in the order of the texts."""
    try:
        items = sorted(_Body.model_validate_json(content).data, key=lambda item: item.index)
        rows = [_row(item.embedding) for item in items]
    except (ValidationError, binascii.Error, ValueError):
        return _malformed("a reply without embeddings", content)
    if [item.index for item in items] != list(range(count)):
        return _malformed(f"{len(items)} embeddings for {count} texts", content)
    if len({row.size for row in rows}) != 1 or not rows[0].size:
        return _malformed("embeddings of different lengths", content)
    vectors = np.stack(rows)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        return Failure(LLMRefused, "an embedding that is zero or not a number", _ADVICE, retriable=False)
    return cast(Vectors, (vectors / lengths).astype(np.float32))


def _row(embedding: str | list[float]) -> npt.NDArray[np.float64]:
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float64)
    return np.array(embedding, np.float64)


def _malformed(what: str, content: bytes) -> Failure[LLMError]:
    return Failure(MalformedReply, f"{what}: {quote(content)}", _ADVICE, retriable=True)
