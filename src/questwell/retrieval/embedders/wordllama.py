"""`WordLlama`: an embedder without a neural network: means of token vectors (l2_supercat, 256 numbers).

The vectors are read from the files in the wheel `wordllama`. The package itself is not imported, because it
reconfigures Python's logging and looks for its tokenizer on the network.
"""

import asyncio
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from questwell.errors import ConfigError
from questwell.retrieval.embedders.embedder import Vectors
from questwell.retrieval.extras import optional
from questwell.text.unicode import without_surrogates

WEIGHTS = "weights/l2_supercat_256.safetensors"
TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
LONGEST = 20_000
"""Maximum number of characters of a text that are read."""


class WordLlama:
    """The embedder that --embedder wordllama names."""

    name = "wordllama-l2-supercat-256"
    weight = 0.3
    """Weight in a hybrid ranking; the best of those tried for static vectors."""
    batch = 256
    in_flight = 1

    def __init__(self) -> None:
        """Load the vectors: 16 MB, in half a second.

        Raises:
            ConfigError: the package is not installed, or contains unexpected files.
        """
        found = importlib.util.find_spec("wordllama")
        folder = Path(found.origin).parent if found and found.origin else Path()
        if not (folder / WEIGHTS).is_file() or not (folder / TOKENIZER).is_file():
            raise ConfigError("the package wordllama is missing or incomplete: run `pip install 'questwell[dense]'`")
        load_file = optional("safetensors.numpy", "dense").load_file
        self._rows: Vectors = load_file(folder / WEIGHTS)["embedding.weight"].astype(np.float32)
        self._tokenizer = optional("tokenizers", "dense").Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of `texts`, one row per text."""
        return self.vectors(texts) if len(texts) < 2 else await asyncio.to_thread(self.vectors, texts)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Vectors of `texts`, computed in this thread; zero for a text without a token."""
        read = [without_surrogates(text[:LONGEST]) for text in texts]
        vectors = np.zeros((len(read), self._rows.shape[1]), np.float32)
        encodings = self._tokenizer.encode_batch_fast(read, add_special_tokens=False)
        for row, encoding in zip(vectors, encodings, strict=True):
            if encoding.ids:
                mean = self._rows[encoding.ids].mean(axis=0)
                row[:] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        return vectors

    async def aclose(self) -> None:
        """Release nothing; there is nothing to close."""
