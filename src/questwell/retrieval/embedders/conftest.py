"""Models as the hub lays them out, small and of random weights: a tokenizer of a few words and an ONNX graph."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "tea", "is", "hot", "milk", "white", "query", "passage", "instruct", ":")
WIDTH = 8


def write_tokenizer(path, *, pairs=True):
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = [(word, vocabulary[word]) for word in ("[CLS]", "[SEP]")]
    pair = {"pair": "[CLS] $A [SEP] $B:1 [SEP]:1"} if pairs else {}
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special, **pair)
    tokenizer.save(str(path))


class Weights:
    """Random ones; `states` and `logits` say by numpy what the graphs give."""

    def __init__(self, seed, labels=1):
        rng = np.random.default_rng(seed)
        self.words = rng.normal(size=(len(WORDS), WIDTH)).astype(np.float32)
        self.kinds = rng.normal(size=(2, WIDTH)).astype(np.float32)
        self.head = rng.normal(size=(WIDTH, labels)).astype(np.float32)

    def states(self, ids, kinds):
        return np.tanh(self.words[list(ids)] + self.kinds[list(kinds)])

    def logits(self, ids, kinds):
        return self.states(ids, kinds).mean(axis=0) @ self.head


def write_graph(
    path, weights, *, head, inputs=("input_ids", "attention_mask", "token_type_ids"), kind=TensorProto.INT64
):
    """With `head`, logits of the mean state (a cross-encoder); without, the states of all tokens (an encoder)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    constants = {"words": weights.words, "kinds": weights.kinds, "head": weights.head, "axis": np.array([1], np.int64)}
    nodes = [helper.make_node("Gather", ["words", "input_ids"], ["word"])]
    if "token_type_ids" in inputs:
        nodes += [
            helper.make_node("Gather", ["kinds", "token_type_ids"], ["type"]),
            helper.make_node("Add", ["word", "type"], ["sum"]),
        ]
    nodes.append(helper.make_node("Tanh", ["sum" if "token_type_ids" in inputs else "word"], ["last_hidden_state"]))
    out, shape = "last_hidden_state", [1, "tokens", WIDTH]
    if head:
        nodes += [
            helper.make_node("ReduceMean", ["last_hidden_state", "axis"], ["mean"], keepdims=0),
            helper.make_node("MatMul", ["mean", "head"], ["logits"]),
        ]
        out, shape = "logits", [1, weights.head.shape[1]]
    graph = helper.make_graph(
        nodes,
        "random",
        [helper.make_tensor_value_info(name, kind, [1, "tokens"]) for name in inputs],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))


def write_model(folder, seed=0, *, head=True, labels=1, graph="onnx/model.onnx", settings=None, **more):
    """A model in `folder`; its weights. `settings`: files of JSON by name."""
    weights = Weights(seed, labels)
    write_graph(folder / graph, weights, head=head, **more)
    write_tokenizer(folder / "tokenizer.json")
    for name, held in (settings or {}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(held))
    return weights


def ids_of(text, pair=None):
    """(token ids, kinds) of small known words."""
    first = [2, *(WORDS.index(word) for word in text.split()), 3]
    second = [] if pair is None else [*(WORDS.index(word) for word in pair.split()), 3]
    return first + second, [0] * len(first) + [1] * len(second)
