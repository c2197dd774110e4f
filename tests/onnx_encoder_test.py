"""Encoders from folders, with random weights and a tokenizer of a few words, against numpy; prefixes by model card.

The folders bear the names of e5, bge and Qwen3-Embedding; their weights are not theirs, which no registry carries.
"""

import numpy as np
import pytest

from questwell.errors import ConfigError
from questwell.recipes.corpus.embedders import connect_embedder
from questwell.retrieval.embedders.conftest import ids_of, write_model
from questwell.retrieval.embedders.onnx_encoder import OnnxEncoder
from questwell.retrieval.embedders.prefixes import TASK

POOL = {
    "mean_tokens": lambda states: states.mean(axis=0),
    "cls_token": lambda states: states[0],
    "lasttoken": lambda states: states[-1],
}


def unit(vector):
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("pooling", POOL)
async def test_vectors_are_those_of_the_graph(tmp_path, pooling):
    settings = {"1_Pooling/config.json": {f"pooling_mode_{one}": one == pooling for one in POOL}}
    weights = write_model(tmp_path / "m", 1, head=False, settings=settings)
    encoder = OnnxEncoder(tmp_path / "m")
    texts = ["tea is hot", "milk"]
    vectors = await encoder.embed(texts)
    for text, vector in zip(texts, vectors, strict=True):
        assert vector == pytest.approx(unit(POOL[pooling](weights.states(*ids_of(text)))), abs=1e-5)
    assert encoder.name.startswith("m-") and encoder.name.endswith(f".{encoder.pooling}")


def test_a_pooling_that_is_not_known_is_refused(tmp_path):
    write_model(tmp_path / "m", head=False, settings={"1_Pooling/config.json": {"pooling_mode_max_tokens": True}})
    with pytest.raises(ConfigError, match="pooling_mode_max_tokens"):
        OnnxEncoder(tmp_path / "m")


@pytest.mark.parametrize(
    ("folder", "prompts", "query", "document"),
    [
        ("e5-small-v2", None, "query: tea", "passage: tea"),
        ("multilingual-e5-base", None, "query: tea", "passage: tea"),
        ("bge-small-en-v1.5", None, "Represent this sentence for searching relevant passages: tea", "tea"),
        ("Qwen3-Embedding-0.6B", None, f"Instruct: {TASK}\nQuery:tea", "tea"),
        ("bge-m3", None, "tea", "tea"),
        ("mine", {"query": "query : ", "document": ""}, "query : tea", "tea"),
        ("e5-mine", {"query": "is ", "passage": "hot "}, "is tea", "hot tea"),
        ("e5-other", {"classification": "x"}, "query: tea", "passage: tea"),
    ],
)
async def test_queries_and_documents_get_their_models_prefixes(tmp_path, folder, prompts, query, document):
    settings = {"config_sentence_transformers.json": {"prompts": prompts}} if prompts else {}
    write_model(tmp_path / folder, 2, head=False, settings=settings)
    plain, found = OnnxEncoder(tmp_path / folder), connect_embedder(f"onnx:{tmp_path / folder}")
    asked = getattr(found, "embed_queries", found.embed)
    assert np.array_equal(await asked(["tea"]), await plain.embed([query]))
    assert np.array_equal(await found.embed(["tea"]), await plain.embed([document]))
    bare = connect_embedder(f"onnx:{tmp_path / folder}", "", "")
    assert np.array_equal(await bare.embed(["tea"]), await plain.embed(["tea"]))
