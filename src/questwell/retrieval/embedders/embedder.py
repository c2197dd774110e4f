"""The `Embedder` protocol: texts in, unit vectors out.

`minilm.py`, `wordllama.py` and `llm/embeddings.py` implement it.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from questwell.types.corpus import Passage

Vectors = npt.NDArray[np.float32]
"""Shape (texts, dimensions); each row has length 1, or is zero where the text has nothing to embed."""


class Embedder(Protocol):
    """Makes vectors that are near for texts that mean the same. Safe to call from many tasks at once."""

    @property
    def name(self) -> str:
        """The model and everything else that decides the vectors: vectors of two names are never compared."""
        ...

    @property
    def weight(self) -> float:
        """Share of the vectors in a hybrid ranking, a fraction."""
        ...

    @property
    def batch(self) -> int:
        """Texts that are best embedded by one call."""
        ...

    @property
    def in_flight(self) -> int:
        """Calls that are best made at once."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of `texts`, a row each; a text's vector does not depend on the other texts.

        Raises:
            LLMError: a model behind an endpoint gave no vectors.
        """
        ...

    async def aclose(self) -> None:
        """Release connections."""
        ...


@runtime_checkable
class QueryEmbedder(Protocol):
    """An embedder that makes the vectors of queries in another way than those of documents."""

    @property
    def query_name(self) -> str:
        """What decides the vectors of queries, beyond `Embedder.name`."""
        ...

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """As `Embedder.embed`, of queries."""
        ...


def embedded_text(passage: Passage) -> str:
    """The text of a passage that is embedded."""
    return f"{passage.title}\n{passage.text}" if passage.title else passage.text
