"""Cross-encoders from folders as the hub has them, with random weights, against numpy."""

import numpy as np
import onnx
import pytest

from questwell.errors import ConfigError
from questwell.retrieval.embedders.conftest import ids_of, write_graph, write_model
from questwell.retrieval.rerankers.cross_encoder import CrossEncoder

TEXTS = ["tea is hot", "milk is white", "milk"]


@pytest.mark.parametrize("graph", ["model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx"])
async def test_scores_are_those_of_the_graph(tmp_path, graph):
    weights = write_model(tmp_path / "ms-marco", 1, graph=graph)
    found = CrossEncoder(tmp_path / "ms-marco")
    scored = await found.score("hot tea", TEXTS)
    expected = [float(weights.logits(*ids_of("hot tea", text))[0]) for text in TEXTS]
    assert scored.scores == pytest.approx(expected, abs=1e-5)
    assert (scored.cost_usd, found.priced) == (0.0, True)
    (alone,) = (await found.score("hot tea", TEXTS[1:2])).scores
    assert alone == scored.scores[1]  # whatever else is scored with it
    assert await found.score("tea", []) == type(scored)((), 0.0)


async def test_two_numbers_are_no_and_yes(tmp_path):
    weights = write_model(tmp_path / "two", 2, labels=2)
    no, yes = weights.logits(*ids_of("tea", "milk"))
    assert (await CrossEncoder(tmp_path / "two").score("tea", ["milk"])).scores == pytest.approx((yes - no,), abs=1e-5)
    write_model(tmp_path / "three", 2, labels=3)
    with pytest.raises(ConfigError, match="gives 3 numbers"):
        await CrossEncoder(tmp_path / "three").score("tea", ["milk"])


async def test_graphs_that_want_other_inputs(tmp_path):
    plain = write_model(tmp_path / "roberta", 3, inputs=("input_ids", "attention_mask"))
    (score,) = (await CrossEncoder(tmp_path / "roberta").score("tea", ["milk"])).scores
    ids, _ = ids_of("tea", "milk")
    assert score == pytest.approx(float((np.tanh(plain.words[ids]).mean(axis=0) @ plain.head)[0]), abs=1e-5)
    small = write_model(tmp_path / "small", 3, kind=onnx.TensorProto.INT32)
    assert (await CrossEncoder(tmp_path / "small").score("tea", ["milk"])).scores == pytest.approx(
        tuple(small.logits(*ids_of("tea", "milk"))), abs=1e-5
    )
    write_model(tmp_path / "decoder", 3, inputs=("input_ids", "past_key_values.0.key"))
    with pytest.raises(ConfigError, match=r"needs the inputs past_key_values\.0\.key"):
        CrossEncoder(tmp_path / "decoder")


async def test_long_texts_are_cut_at_what_the_folder_states(tmp_path):
    write_model(tmp_path / "m", 4, settings={"tokenizer_config.json": {"model_max_length": 6}})
    found = CrossEncoder(tmp_path / "m")
    long, cut = (await found.score("tea", ["milk is white milk milk", "milk is"])).scores
    assert long == cut  # [CLS] tea [SEP] milk is [SEP]
    write_model(tmp_path / "n", 4, settings={"tokenizer_config.json": {"model_max_length": 1e30}})
    unlimited = CrossEncoder(tmp_path / "n")
    (whole,) = (await unlimited.score("tea", ["milk is white milk milk"])).scores
    assert whole != long


def test_the_name_is_that_of_folder_and_content(tmp_path):
    for name, seed in (("a/bge", 5), ("b/bge", 5), ("c/bge", 6)):
        write_model(tmp_path / name, seed)
    a, b, c = (CrossEncoder(tmp_path / place / "bge").name for place in "abc")
    assert a == b != c
    assert a.startswith("bge-")
    assert CrossEncoder(tmp_path / "a/bge/onnx/model.onnx").name == a


def test_what_is_no_model(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no model\.onnx"):
        CrossEncoder(tmp_path)
    weights = write_model(tmp_path, graph="one.onnx")
    write_graph(tmp_path / "two.onnx", weights, head=True)
    with pytest.raises(ConfigError, match=r"several graphs \(one\.onnx, two\.onnx\)"):
        CrossEncoder(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ConfigError, match="not a graph that onnxruntime can run"):
        CrossEncoder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match="is not a tokenizer"):
        CrossEncoder(tmp_path / "one.onnx")
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"has no tokenizer\.json"):
        CrossEncoder(tmp_path / "one.onnx")
