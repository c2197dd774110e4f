"""`CrossEncoder`: runs a reranking model in this process, with onnxruntime, from a folder or file (extra `dense`).

The model's graph must return one number for a query and a text (ms-marco-MiniLM, bge-reranker, jina-reranker), or two
numbers for no and yes.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from questwell.errors import ConfigError, RetrievalError
from questwell.retrieval.embedders.onnx_folder import OnnxFolder
from questwell.retrieval.rerankers.reranker import Scores


class CrossEncoder:
    """Scores texts with the model in a folder. Implements `Reranker`; it costs nothing."""

    priced = True

    def __init__(self, place: Path) -> None:
        """Load the model in `place`.

        Raises:
            ConfigError: there is no model in `place`, or the extra `dense` is not installed.
        """
        self._model = OnnxFolder(place)
        names = self._model.outputs
        self._output = names.index("logits") if "logits" in names else 0

    @property
    def name(self) -> str:
        """Name of the folder and a hash of the graph, its weights and the tokenizer."""
        return f"{self._model.folder.resolve().name}-{self._model.digest}"

    async def score(self, query: str, texts: Sequence[str]) -> Scores:
        """The score of each text, as `Reranker.score`; each is run on its own, so it does not depend on the others."""
        return await asyncio.to_thread(lambda: Scores(tuple(self._score(query, text) for text in texts), 0.0))

    async def aclose(self) -> None:
        """Release nothing; there is nothing to close."""

    def _score(self, query: str, text: str) -> float:
        numbers = np.asarray(self._model.run(query, text)[self._output], np.float64).reshape(-1)
        if numbers.size not in (1, 2):
            raise ConfigError(
                f"{self._model.graph} gives {numbers.size} numbers for a query and a text; a reranker gives one or two"
            )
        score = float(numbers[-1] if numbers.size == 1 else numbers[1] - numbers[0])
        if not np.isfinite(score):
            raise RetrievalError(f"{self.name} gave a score that is not a number")
        return score
