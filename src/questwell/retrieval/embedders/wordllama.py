"""Static vectors as an embedder: the mean of token vectors (WordLlama l2_supercat, 256 numbers), no neural network.

Read from the files in the wheel `wordllama`. The package itself is not imported: it reconfigures Python's logging, and
would look for its tokenizer on the network.
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
"""Characters of a text that are read."""


class WordLlama:
    """The embedder `wordllama`."""

    name = "wordllama-l2-supercat-256"
    weight = 0.3
    """Best of the weights tried for static vectors."""
    batch = 256
    in_flight = 1

    def __init__(self) -> None:
        """Load it: 16 MB, half a second.

        Raises:
            ConfigError: the package is not there, or holds other files than it should.
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
        """As `Embedder.embed`."""
        return self.vectors(texts) if len(texts) < 2 else await asyncio.to_thread(self.vectors, texts)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Vectors of `texts`, made in this thread; zero for a text without a token."""
        read = [without_surrogates(text[:LONGEST]) for text in texts]
        vectors = np.zeros((len(read), self._rows.shape[1]), np.float32)
        encodings = self._tokenizer.encode_batch_fast(read, add_special_tokens=False)
        for row, encoding in zip(vectors, encodings, strict=True):
            if encoding.ids:
                mean = self._rows[encoding.ids].mean(axis=0)
                row[:] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        return vectors

    async def aclose(self) -> None:
        """Nothing to release."""
