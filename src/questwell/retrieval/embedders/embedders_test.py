import importlib.util
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from questwell.errors import ConfigError
from questwell.retrieval.embedders import minilm
from questwell.retrieval.embedders.minilm import SAMPLE, MiniLM, Precision
from questwell.retrieval.embedders.wordllama import WordLlama
from questwell.retrieval.extras import optional

TEXTS = [*SAMPLE, "", " ", "?!", "北京大学", "\ud800", "x" * 50_000, "a\0b", "[CLS] [SEP] [PAD]"]


@pytest.fixture(scope="module")
def wordllama():
    return WordLlama()


@pytest.fixture(scope="module")
def small():
    return MiniLM(threads=1)


def test_an_extra_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(ConfigError, match=r"this needs usearch: run `pip install 'questwell\[dense\]'`"):
        optional("usearch.index", "dense")


# --- wordllama


def test_wordllamas_vectors_are_those_of_the_package(wordllama):
    level, handlers = logging.root.level, list(logging.root.handlers)
    from wordllama import WordLlama as Package

    logging.root.setLevel(level)  # the package configures the root logger
    logging.root.handlers[:] = handlers
    folder = Path(importlib.util.find_spec("wordllama").origin).parent
    oracle = Package.load(cache_dir=folder, disable_download=True).embed(list(SAMPLE), norm=True)
    assert np.allclose(wordllama.vectors(SAMPLE), oracle, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(st.characters(codec=None), max_size=60), max_size=5))
def test_any_text_has_a_vector_of_length_one_or_zero_that_does_not_depend_on_others(wordllama, texts):
    together = wordllama.vectors(texts)
    assert together.shape == (len(texts), 256) and together.dtype == np.float32
    for text, vector in zip(texts, together, strict=True):
        assert np.array_equal(wordllama.vectors([text])[0], vector)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5) or not vector.any()


async def test_embedding_in_a_thread_gives_the_same(wordllama):
    assert np.array_equal(await wordllama.embed(TEXTS), wordllama.vectors(TEXTS))
    assert (await wordllama.embed([])).shape == (0, 256)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"questwell\[dense\]"):
        WordLlama()


# --- MiniLM: the published weights, fetched once


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_minilms_vectors_are_those_of_torch():
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    load_file = pytest.importorskip("safetensors.torch").load_file
    exact = MiniLM(Precision.FP32, threads=1)
    config = transformers.BertConfig(
        vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    )
    model = transformers.BertModel(config, add_pooling_layer=False).eval()
    weights = load_file(str(minilm.WEIGHTS.fetch()))
    missing, left = model.load_state_dict(weights, strict=False)
    assert not missing and set(left) <= {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}
    for text in SAMPLE:
        ids = exact._tokenizer.encode(text).ids
        with torch.no_grad():
            mean = model(torch.tensor([ids])).last_hidden_state[0].mean(0)
        oracle = (mean / mean.norm()).numpy()
        assert float(oracle @ exact.vectors([text])[0]) > 0.99999


@pytest.mark.slow
def test_minilm_keeps_its_meaning_in_eight_bits(small):
    exact, rounded = MiniLM(Precision.FP32, threads=1), MiniLM(Precision.INT8, threads=1)
    assert small.name == rounded.name == "all-minilm-l6-v2-int8.1" != exact.name
    cosines = (exact.vectors(SAMPLE) * rounded.vectors(SAMPLE)).sum(axis=1)
    assert cosines.mean() > minilm.LEAST_COSINE and cosines.min() > 0.98


@pytest.mark.slow
async def test_minilm_takes_any_text_and_gives_each_its_own_vector(small):
    together = await small.embed(TEXTS)
    assert together.shape == (len(TEXTS), 384)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-4)
    for text, vector in zip(TEXTS, together, strict=True):
        assert np.array_equal((await small.embed([text]))[0], vector)
    assert (await small.embed([])).shape[0] == 0


@pytest.mark.slow
def test_what_means_the_same_is_near(small):
    texts = ["How old is the earth?", "The age of our planet is 4.5 billion years.", "He bakes bread on Sundays."]
    question, answer, other = small.vectors(texts)
    assert question @ answer > 0.5 > 0.2 > question @ other


@pytest.mark.slow
def test_without_exact_eight_bits_the_weights_stay_as_published(small, monkeypatch):
    monkeypatch.setattr(minilm, "LEAST_COSINE", 1.01)
    assert MiniLM(threads=1).precision is Precision.FP32
