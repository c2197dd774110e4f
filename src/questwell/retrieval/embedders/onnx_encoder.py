"""`OnnxEncoder`: a sentence encoder (e5, bge, Qwen3-Embedding, ...) from a folder, run by onnxruntime.

The folder has the layout of sentence-transformers and optimum: the graph, `tokenizer.json`, and
`1_Pooling/config.json`, which says how the states of the tokens become one vector.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from questwell.errors import ConfigError
from questwell.retrieval.embedders.embedder import Vectors
from questwell.retrieval.embedders.onnx_folder import OnnxFolder, read_settings

POOLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}
"""Pooling functions by their names in the folder's settings; the first that is true is used."""


class OnnxEncoder:
    """Embeds texts with the encoder in a folder. Implements `Embedder`."""

    weight = 0.5
    """Weight of the vectors in a hybrid ranking, in [0, 1]; the same for every transformer."""
    batch = 16
    in_flight = 1

    def __init__(self, place: Path) -> None:
        """Load the encoder in `place`.

        Raises:
            ConfigError: there is no model, its pooling is not supported, or the extra `dense` is not installed.
        """
        self._model = OnnxFolder(place)
        settings = read_settings(self._model.folder / "1_Pooling" / "config.json")
        asked = [key for key, value in settings.items() if key.startswith("pooling_mode_") and value is True]
        if unknown := [key for key in asked if key not in POOLINGS]:
            raise ConfigError(f"{self._model.folder} pools by {', '.join(unknown)}; supported: {', '.join(POOLINGS)}")
        self.pooling = next((name for key, name in POOLINGS.items() if key in asked), "mean")
        whole = "sentence_embedding"
        self._output = self._model.outputs.index(whole) if whole in self._model.outputs else 0
        held = read_settings(self._model.folder / "config_sentence_transformers.json").get("prompts")
        self.prompts: dict[str, str] = cast(dict[str, str], held) if isinstance(held, dict) else {}
        """Prefixes of queries and documents that the folder states."""

    @property
    def model(self) -> str:
        """Name of the folder."""
        return self._model.folder.resolve().name

    @property
    def name(self) -> str:
        """Name of the folder, a hash of its files, and the pooling."""
        return f"{self.model}-{self._model.digest}.{self.pooling}"

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of `texts`, one row per text; each text is run on its own."""
        return await asyncio.to_thread(lambda: np.array([self._vector(text) for text in texts], np.float32))

    async def aclose(self) -> None:
        """Release nothing; there is nothing to close."""

    def _vector(self, text: str) -> npt.NDArray[np.float32]:
        given = self._model.run(text)[self._output][0]
        pooled = {"mean": lambda: given.mean(axis=0), "cls": lambda: given[0], "last": lambda: given[-1]}
        vector = given if given.ndim == 1 else pooled[self.pooling]()
        length = float(np.linalg.norm(vector))
        return vector / length if length > 0 else vector
