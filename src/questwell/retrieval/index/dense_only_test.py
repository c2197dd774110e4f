"""Prefixes of embedders, dense-only search, and a filter that every search goes through."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from questwell.retrieval.corpora.corpus import CorpusSpec
from questwell.retrieval.embedders.prefixes import Prefixes, prefixed, prefixes_of
from questwell.retrieval.index.dense import embed_index
from questwell.retrieval.index.dense_only import DenseIndex
from questwell.retrieval.index.hybrid import HybridIndex
from questwell.retrieval.index.indexing import build_index
from questwell.retrieval.index.lexical import LexicalIndex

COUNT = 40


class Hashed:
    """Vectors that only the text decides; remembers the texts."""

    name, weight, batch, in_flight = "hashed", 0.5, 16, 1

    def __init__(self) -> None:
        self.seen: list[str] = []

    def vector(self, text: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
        found = np.random.default_rng(seed).normal(size=16).astype(np.float32)
        return found / np.linalg.norm(found)

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.seen += texts
        return np.array([self.vector(text) for text in texts], np.float32).reshape(len(texts), 16)

    async def aclose(self) -> None:
        pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        {"id": f"d{n}", "text": f"amber stone {n}.", "metadata": {"lang": ["en", "de"][n % 2], "year": 2000 + n % 4}}
        for n in range(COUNT)
    ]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    build_index(CorpusSpec(str(tmp_path / "c.jsonl")), tmp_path / "index")
    return tmp_path / "index"


@pytest.mark.parametrize(
    ("model", "query", "document"),
    [
        ("intfloat/e5-base-v2", "query: ", "passage: "),
        ("intfloat/multilingual-e5-large", "query: ", "passage: "),
        ("BAAI/bge-base-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("BAAI/bge-m3", "", ""),
        ("nomic-ai/nomic-embed-text-v1.5", "search_query: ", "search_document: "),
        ("minilm", "", ""),
    ],
)
def test_prefixes_go_by_the_models_name(model: str, query: str, document: str) -> None:
    assert prefixes_of(model) == Prefixes(query, document)
    assert prefixes_of(model, "q ", "") == Prefixes("q ", "")


def test_instructions_of_instructed_models_end_as_their_cards_say() -> None:
    assert prefixes_of("Qwen/Qwen3-Embedding-0.6B").query.endswith("answer the query\nQuery:")
    assert prefixes_of("intfloat/multilingual-e5-large-instruct").query.endswith("answer the query\nQuery: ")
    assert prefixes_of("intfloat/multilingual-e5-large-instruct").document == ""


async def test_queries_and_documents_get_their_own_prefix(folder: Path) -> None:
    plain = Hashed()
    embedder = prefixed(plain, Prefixes("query: ", "passage: "))
    await embed_index(LexicalIndex.open(folder), embedder)
    assert "passage: amber stone 3." in plain.seen
    index = HybridIndex.open(folder, embedder)
    await index.search("amber", 3)
    assert plain.seen[-1] == "query: amber"
    names = {
        prefixed(plain, Prefixes(*pair)).name + getattr(prefixed(plain, Prefixes(*pair)), "query_name", "")
        for pair in (("", ""), ("q", ""), ("", "d"), ("q", "d"), ("q2", ""))
    }
    assert len(names) == 5
    assert prefixed(plain, Prefixes("q", "")).name == plain.name  # its vectors are those without a prefix
    assert index.embedded_by in index.name


async def test_dense_search_ranks_every_passage_by_cosine(folder: Path) -> None:
    embedder = Hashed()
    await embed_index(LexicalIndex.open(folder), embedder)
    index = DenseIndex.open(folder, embedder)
    query = embedder.vector("words that no passage has")
    cosines = {f"d{n}": float(embedder.vector(f"amber stone {n}.") @ query) for n in range(COUNT)}
    expected = sorted(cosines, key=lambda name: -cosines[name])
    hits = await index.search("words that no passage has", COUNT)
    assert [hit.passage.id for hit in hits] == expected
    assert hits[0].score == pytest.approx(cosines[expected[0]], abs=2e-3)
    assert [hit.passage.id for hit in await index.search("words that no passage has", 3)] == expected[:3]
    (german,) = await index.search_where(["words that no passage has"], 5, {"lang": "de"})
    assert [hit.passage.id for hit in german] == [name for name in expected if int(name[1:]) % 2][:5]
    assert await index.search("", 3) == ()
    assert "dense" in index.name and index.name != HybridIndex.open(folder, embedder).name


async def test_a_narrowed_index_is_searched_and_scanned_as_if_it_held_nothing_else(folder: Path) -> None:
    index = LexicalIndex.open(folder).narrow({"lang": "en", "year": ["2000", "2002"]})
    found = {int(hit.passage.id[1:]) for hit in index.find("amber stone", 100)}
    assert found == {n for n in range(COUNT) if not n % 2}
    assert {int(passage.id[1:]) for passage in index.scan(3)} == found
    only = index.narrow({"year": "2001"})
    assert {int(passage.id[1:]) % 4 for passage in only.scan(3)} == {1}
    assert only.find("amber", 100, {"lang": "en"}) == ()
    assert only.name != LexicalIndex.open(folder).name
