"""Builds the ONNX graph of a BERT sentence encoder from its published weights: token ids in, one unit vector out.

The graph takes one text at a time, so there is no padding and a vector depends only on its own text. In a batch the
other texts would change it, because dynamic quantisation scales by the whole batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from questwell.retrieval.extras import optional

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

OPSET = 20
"""ONNX operator set of the graph; the first that has Gelu."""
IR_VERSION = 10

Weights = Mapping[str, npt.NDArray[np.float32]]
"""Tensors by their names in Hugging Face's BertModel."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Settings of the encoder that cannot be read off its tensors."""

    layers: int
    heads: int
    epsilon: float = 1e-12
    """Epsilon of layer normalisation."""


class _Graph:
    """A graph under construction. Each method adds nodes and returns the name of their result."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._onnx = optional("onnx", "dense")
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}

    def op(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:  # noqa: ANN401  as onnx has them
        output = to or f"v{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        self.constants[name] = self._onnx.numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def weight(self, name: str) -> npt.NDArray[np.float32]:
        return self._weights[name].astype(np.float32)

    def linear(self, x: str, name: str, kernel: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> str:
        product = self.op("MatMul", x, self.constant(f"{name}.kernel", kernel.T))
        return self.op("Add", product, self.constant(f"{name}.bias", bias))

    def dense(self, x: str, name: str) -> str:
        return self.linear(x, name, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"))

    def norm(self, x: str, name: str, epsilon: float) -> str:
        scale = self.constant(f"{name}.scale", self.weight(f"{name}.weight"))
        shift = self.constant(f"{name}.shift", self.weight(f"{name}.bias"))
        return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=epsilon)


def write_graph(weights: Weights, shape: Shape, path: Path) -> None:
    """Write the graph to `path`. Input: `ids` int64 (tokens,); output: `vector` float32 (width,) of length 1.

    Tokens are averaged, then the vector is scaled to length 1, as in sentence-transformers' all-MiniLM-L6-v2.
    """
    graph = _Graph(weights)
    x = _embedding(graph, shape.epsilon)
    for layer in range(shape.layers):
        x = _layer(graph, x, f"encoder.layer.{layer}", shape)
    mean = graph.op("ReduceMean", x, graph.constant("first axis", np.array([0], np.int64)), keepdims=0)
    length = graph.op("ReduceL2", mean, keepdims=1)
    graph.op("Div", mean, length, to="vector")
    onnx = optional("onnx", "dense")
    helper, kinds = onnx.helper, onnx.TensorProto
    width = weights["embeddings.word_embeddings.weight"].shape[1]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "sentence encoder",
            [helper.make_tensor_value_info("ids", kinds.INT64, ["tokens"])],
            [helper.make_tensor_value_info("vector", kinds.FLOAT, [width])],
            list(graph.constants.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})  # onnxruntime need not fold anything
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def _embedding(graph: _Graph, epsilon: float) -> str:
    """The sum of word, position and segment embeddings (the segment is always the first), normalised."""
    words = graph.constant("words", graph.weight("embeddings.word_embeddings.weight"))
    segment = graph.weight("embeddings.token_type_embeddings.weight")[0]
    places = graph.constant("places", graph.weight("embeddings.position_embeddings.weight") + segment)
    zero, one = (graph.constant(f"number {number}", np.array(number, np.int64)) for number in (0, 1))
    count = graph.op("Squeeze", graph.op("Shape", "ids"))
    order = graph.op("Range", zero, count, one)
    x = graph.op("Add", graph.op("Gather", words, "ids", axis=0), graph.op("Gather", places, order, axis=0))
    return graph.norm(x, "embeddings.LayerNorm", epsilon)


def _layer(graph: _Graph, x: str, name: str, shape: Shape) -> str:
    attended = _attention(graph, x, f"{name}.attention.self", shape.heads)
    attended = graph.dense(attended, f"{name}.attention.output.dense")
    x = graph.norm(graph.op("Add", x, attended), f"{name}.attention.output.LayerNorm", shape.epsilon)
    inner = graph.op("Gelu", graph.dense(x, f"{name}.intermediate.dense"))
    inner = graph.dense(inner, f"{name}.output.dense")
    return graph.norm(graph.op("Add", x, inner), f"{name}.output.LayerNorm", shape.epsilon)


def _attention(graph: _Graph, x: str, name: str, heads: int) -> str:
    """Self-attention. Query, key and value are one product; the scale of the scores is part of the query's weights."""
    kernels = [graph.weight(f"{name}.{part}.weight") for part in ("query", "key", "value")]
    biases = [graph.weight(f"{name}.{part}.bias") for part in ("query", "key", "value")]
    width = kernels[0].shape[0]
    scale = np.float32((width // heads) ** -0.5)
    kernels[0], biases[0] = kernels[0] * scale, biases[0] * scale
    joint = graph.linear(x, name, np.concatenate(kernels), np.concatenate(biases))
    split = graph.constant("split", np.array([0, 3, heads, width // heads], np.int64))
    whole = graph.constant("joined", np.array([0, width], np.int64))
    parts = graph.op("Transpose", graph.op("Reshape", joint, split), perm=[1, 2, 0, 3])  # part, head, token, column
    query, key, value = (
        graph.op("Gather", parts, graph.constant(f"part {part}", np.array(part, np.int64)), axis=0) for part in range(3)
    )
    scores = graph.op("Softmax", graph.op("MatMul", query, graph.op("Transpose", key, perm=[0, 2, 1])), axis=-1)
    mixed = graph.op("Transpose", graph.op("MatMul", scores, value), perm=[1, 0, 2])
    return graph.op("Reshape", mixed, whole)
