"""`OnnxFolder`: loads and runs a transformer that a folder contains as an ONNX graph with its tokenizer.

The folder has the layout of optimum, sentence-transformers and the hub: `model.onnx` (or `onnx/model.onnx`) and
`tokenizer.json`.

It runs one text at a time, so there is no padding and a result depends only on its own text.
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
"""Maximum number of characters of a text that are tokenized."""
USUAL_TOKENS = 512
"""Maximum number of tokens if the folder does not state the model's limit."""
_MOST_TOKENS = 1_000_000
"""Tokenizers state a number above this if they have no limit."""
_KINDS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_FED = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


class OnnxFolder:
    """A loaded graph and tokenizer from a folder."""

    def __init__(self, place: Path, threads: int | None = None) -> None:
        """Load graph and tokenizer.

        Args:
            place: the folder, or the graph file in it.
            threads: number of threads per text; None for two, or one on a single core.

        Raises:
            ConfigError: a file is missing or cannot be read, or the graph needs inputs that we do not know.
        """
        self.graph = graph_in(place)
        self.folder = self.graph.parent.parent if self.graph.parent.name == "onnx" else self.graph.parent
        tokenizer = _first(self.folder / "tokenizer.json", self.graph.parent / "tokenizer.json")
        if tokenizer is None:
            raise ConfigError(f"{self.folder} has no tokenizer.json: copy it from the model's page on the hub")
        try:
            self._tokenizer = optional("tokenizers", "dense").Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the library raises no narrower type
            raise ConfigError(f"{tokenizer} is not a tokenizer ({error})") from error
        self.most_tokens = _most_tokens(self.folder)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.most_tokens)
        try:
            self._session = open_session(self.graph, threads or min(2, os.cpu_count() or 1))
        except Exception as error:  # onnxruntime's own types are not public
            raise ConfigError(f"{self.graph} is not a graph that onnxruntime can run ({error})") from error
        self._inputs = {one.name: _KINDS.get(one.type) for one in self._session.get_inputs()}
        if unknown := [name for name, kind in self._inputs.items() if name not in _FED or kind is None]:
            raise ConfigError(f"{self.graph} needs the inputs {', '.join(unknown)}; supported are {', '.join(_FED)}")
        self.outputs: tuple[str, ...] = tuple(one.name for one in self._session.get_outputs())
        parts = [self.graph, *sorted(self.graph.parent.glob(f"{self.graph.name}[_.]data")), tokenizer]
        self.digest = digest_files([(part.name, part) for part in parts])[:8]
        """First 8 hex digits of a hash of the graph, its weights and the tokenizer."""

    def run(self, text: str, pair: str | None = None) -> list[npt.NDArray[np.float32]]:
        """The graph's outputs for one text, or for a pair read together; the longer of a pair is shortened first."""
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
    """The graph file `place`, or the one in the folder `place`: model.onnx, or the only graph.

    Raises:
        ConfigError: there is no graph, or there are several.
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
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # it takes cores from others
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _first(*paths: Path) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _most_tokens(folder: Path) -> int:
    """Maximum number of tokens of the model, as stated in the folder."""
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        stated = read_settings(folder / name).get(key)
        if isinstance(stated, int | float) and 1 <= stated < _MOST_TOKENS:
            return int(stated)
    return USUAL_TOKENS


def read_settings(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if there is no such file.

    Raises:
        ConfigError: the file contains something other than a JSON object.
    """
    try:
        held: object = json.loads(path.read_bytes()) if path.is_file() else {}
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read ({error})") from error
    if not isinstance(held, dict):
        raise ConfigError(f"{path} contains no JSON object")
    return cast(dict[str, Any], held)
