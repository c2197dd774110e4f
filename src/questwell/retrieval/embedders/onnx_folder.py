"""A transformer as an ONNX graph with its tokenizer, from a folder.

The folder is laid out as by optimum, sentence-transformers and the hub: `model.onnx` (or `onnx/model.onnx`) and
`tokenizer.json`.

One text at a time. So nothing is padded, and what a text gives depends on that text alone.
"""

import json
import os
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from questwell.errors import ConfigError
from questwell.retrieval.digests import digest_files
from questwell.retrieval.extras import optional
from questwell.text.unicode import without_surrogates

LONGEST = 50_000
"""Characters of a text that are tokenized."""
USUAL_TOKENS = 512
"""Maximum number of tokens if the folder does not state the model's limit."""
_MOST_TOKENS = 1_000_000
"""Tokenizers without a limit state a number far beyond this."""
_KINDS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_FED = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


class OnnxFolder:
    """The graph and the tokenizer in a folder."""

    def __init__(self, place: Path, threads: int | None = None) -> None:
        """Load them.

        Args:
            place: the folder, or the graph in it.
            threads: of one text; None: two, or the one there is.

        Raises:
            ConfigError: something is not there, cannot be read, or wants inputs that are not known here.
        """
        self.graph = graph_in(place)
        self.folder = self.graph.parent.parent if self.graph.parent.name == "onnx" else self.graph.parent
        tokenizer = _first(self.folder / "tokenizer.json", self.graph.parent / "tokenizer.json")
        if tokenizer is None:
            raise ConfigError(f"{self.folder} has no tokenizer.json: copy it from the model's page on the hub")
        try:
            self._tokenizer = optional("tokenizers", "dense").Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the library raises nothing narrower
            raise ConfigError(f"{tokenizer} is not a tokenizer ({error})") from error
        self.most_tokens = _most_tokens(self.folder)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.most_tokens)
        try:
            self._session = open_session(self.graph, threads or min(2, os.cpu_count() or 1))
        except Exception as error:  # onnxruntime's own are not public
            raise ConfigError(f"{self.graph} is not a graph that onnxruntime can run ({error})") from error
        self._inputs = {one.name: _KINDS.get(one.type) for one in self._session.get_inputs()}
        if unknown := [name for name, kind in self._inputs.items() if name not in _FED or kind is None]:
            raise ConfigError(f"{self.graph} wants the inputs {', '.join(unknown)}; known are {', '.join(_FED)}")
        self.outputs: tuple[str, ...] = tuple(one.name for one in self._session.get_outputs())
        parts = [self.graph, *sorted(self.graph.parent.glob(f"{self.graph.name}[_.]data")), tokenizer]
        self.digest = digest_files([(part.name, part) for part in parts])[:8]
        """Digest of the graph, its weights and the tokenizer."""

    def run(self, text: str, pair: str | None = None) -> list[npt.NDArray[np.float32]]:
        """The graph's outputs for one text, or for two texts that are read together; the longer one is cut first."""
        both = (text,) if pair is None else (text, pair)
        encoding = self._tokenizer.encode(*(without_surrogates(one[:LONGEST]) for one in both))
        given = {
            "input_ids": encoding.ids,
            "attention_mask": [1] * len(encoding.ids),
            "token_type_ids": encoding.type_ids,
            "position_ids": range(len(encoding.ids)),
        }
        feed = {name: np.array([given[name]], kind) for name, kind in self._inputs.items()}
        return cast(list[npt.NDArray[np.float32]], self._session.run(None, feed))


def graph_in(place: Path) -> Path:
    """The graph that `place` is, or that is in the folder `place`: model.onnx, or the only one.

    Raises:
        ConfigError: there is none, or there are several.
    """
    if place.is_file():
        return place
    if (usual := _first(place / "model.onnx", place / "onnx" / "model.onnx")) is not None:
        return usual
    found = sorted([*place.glob("*.onnx"), *place.glob("onnx/*.onnx")])
    if not found:
        raise ConfigError(f"there is no model.onnx in {place}: export one, as with `optimum-cli export onnx`")
    if len(found) > 1:
        names = ", ".join(str(one.relative_to(place)) for one in found)
        raise ConfigError(f"{place} has several graphs ({names}): name the one to use")
    return found[0]


def open_session(path: Path, threads: int) -> Any:  # noqa: ANN401  onnxruntime has no types
    """The graph at `path`, ready to run on a CPU."""
    ort = optional("onnxruntime", "dense")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning takes cores from everyone else
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _first(*paths: Path) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _most_tokens(folder: Path) -> int:
    """Tokens that the model takes, as the folder states them."""
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        stated = read_settings(folder / name).get(key)
        if isinstance(stated, int | float) and 1 <= stated < _MOST_TOKENS:
            return int(stated)
    return USUAL_TOKENS


def read_settings(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty where there is no such file.

    Raises:
        ConfigError: it holds something else.
    """
    try:
        held: object = json.loads(path.read_bytes()) if path.is_file() else {}
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read ({error})") from error
    if not isinstance(held, dict):
        raise ConfigError(f"{path} contains no JSON object")
    return cast(dict[str, Any], held)
