"""The `Embedder` protocol: texts in, unit vectors out.

`minilm.py`, `wordllama.py` and `llm/embeddings.py` implement it.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from questwell.types.corpus import Passage

Vectors = npt.NDArray[np.float32]
"""Shape (texts, dimensions). Each row has length 1, or is zero if the text has nothing to embed."""


class Embedder(Protocol):
    """Turns texts into vectors that are close if the texts mean the same. Safe to call from many tasks at once."""

    @property
    def name(self) -> str:
        """Names the model and all else that decides the vectors. Vectors of different names are never compared."""
        ...

    @property
    def weight(self) -> float:
        """Weight of the vectors in a hybrid ranking, in [0, 1]."""
        ...

    @property
    def batch(self) -> int:
        """Best number of texts per call."""
        ...

    @property
    def in_flight(self) -> int:
        """Best number of calls at the same time."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of `texts`, one row per text. A text's vector does not depend on the other texts.

        Raises:
            LLMError: a model at an endpoint returned no vectors.
        """
        ...

    async def aclose(self) -> None:
        """Release connections."""
        ...


@runtime_checkable
class QueryEmbedder(Protocol):
    """An embedder that embeds queries differently from documents."""

    @property
    def query_name(self) -> str:
        """Names what decides the vectors of queries, in addition to `Embedder.name`."""
        ...

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of queries, one row per query; otherwise like `Embedder.embed`."""
        ...


def embedded_text(passage: Passage) -> str:
    """The text to embed for a passage."""
    return f"{passage.title}\n{passage.text}" if passage.title else passage.text
