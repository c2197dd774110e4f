import asyncio
import json
import random
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.errors import IndexMismatch, LLMTimeout, LLMUnavailable, RetrievalError, RetrievalTimeout
from questwell.retrieval.conftest import COMMIT_EVERY, DOCUMENTS, WORDS, corpus_of_words, find, with_vectors
from questwell.retrieval.corpora.corpus import CorpusSpec
from questwell.retrieval.corpora.documents import Document
from questwell.retrieval.embedders.embedder import embedded_text
from questwell.retrieval.embedders.wordllama import WordLlama
from questwell.retrieval.index import hybrid
from questwell.retrieval.index.analysis import Analyzer
from questwell.retrieval.index.dense import ROWS, VectorFile, embed_index
from questwell.retrieval.index.hybrid import HybridIndex, mix
from questwell.retrieval.index.indexing import build_index
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.retrieval.index.neighbours import Neighbours
from questwell.retrieval.index.updating import update
from questwell.retrieval.index.vector_manifest import vectors_folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return corpus_of_words(tmp_path_factory.mktemp("corpus") / "c.jsonl")


@pytest.fixture(scope="module")
def embedder():
    return WordLlama()


@pytest.fixture(scope="module")
def folder(corpus, embedder, tmp_path_factory):
    """Not to be changed."""
    return with_vectors(corpus, tmp_path_factory.mktemp("hybrid"), embedder)


@pytest.fixture
def own(folder, tmp_path):
    """A copy that may be changed."""
    return shutil.copytree(folder, tmp_path / "own")


@pytest.fixture(scope="module")
def index(folder, embedder):
    return HybridIndex.open(folder, embedder)


@pytest.fixture(scope="module")
def dense_candidates(folder, embedder, tmp_path_factory):
    own = shutil.copytree(folder, tmp_path_factory.mktemp("legs") / "own")
    Neighbours.open_or_build(VectorFile.open(LexicalIndex.open(own), embedder.name))
    return HybridIndex.open(own, embedder, dense_candidates=True)


def ids(hits):
    return [hit.passage.id for hit in hits]


# --- ranking


def by_hand(index, query, k):
    """The design's formula over BM25's best 100, in plain Python."""
    pool = index.lexical.find(query, 100)
    words = {hit.passage.id: hit.score / pool[0].score for hit in pool}
    query_vector = index.embedder.vectors([query])[0]
    cosine = {
        hit.passage.id: float(np.float16(index.embedder.vectors([embedded_text(hit.passage)])[0]) @ query_vector)
        for hit in pool
    }
    low, high = min(cosine.values()), max(cosine.values())
    mixed = {key: 0.7 * words[key] + 0.3 * (cosine[key] - low) / (high - low) for key in words}
    return sorted(mixed.items(), key=lambda item: -item[1])[:k]


@pytest.mark.parametrize("query", ["amber reef", "onyx keel lagoon 17", "harbor", "item 12 dune basalt cobalt"])
def test_it_is_the_convex_mix_of_the_design(index, query):
    expected = by_hand(index, query, 20)
    found = {hit.passage.id: hit.score for hit in find(index, query, 20)}
    assert sum(key in found for key, _ in expected) >= 19  # half precision may turn a near tie round
    assert all(found[key] == pytest.approx(score, abs=2e-3) for key, score in expected if key in found)


def test_vectors_change_the_order_and_nothing_else_does(index):
    lexical = HybridIndex(index.lexical, index.vectors, index.embedder, weight=0.0)
    query = "amber reef onyx"
    assert ids(find(lexical, query)) == ids(index.lexical.find(query, 10))
    assert ids(find(index, query)) != ids(index.lexical.find(query, 10))
    dense = HybridIndex(index.lexical, index.vectors, index.embedder, weight=1.0)
    vector = index.embedder.vectors([query])[0]
    pool = [scored.ordinal for scored in index.lexical.rank(query, 100)]
    best = max(pool, key=lambda ordinal: float(index.vectors.rows[ordinal].astype(np.float32) @ vector))
    assert find(dense, query)[0].passage == index.passage_at(best)


@given(
    st.lists(st.tuples(st.floats(0, 50), st.one_of(st.just(float("nan")), st.floats(-1, 1))), min_size=1, max_size=30),
    st.floats(0, 1),
)
def test_a_mix_is_in_bounds_and_grows_with_both_scores(pairs, weight):
    lexical, dense = (np.array(column, float) for column in zip(*pairs, strict=True))
    mixed = mix(lexical, dense, weight)
    assert ((mixed >= 0) & (mixed <= 1 + 1e-9)).all()
    for i in range(len(pairs)):
        for j in range(len(pairs)):
            if lexical[i] >= lexical[j] and dense[i] >= dense[j]:
                assert mixed[i] >= mixed[j]


def test_a_passage_without_a_vector_keeps_its_lexical_score():
    lexical, dense = np.array([4.0, 3.0, 2.0]), np.array([0.1, np.nan, 0.9])
    assert mix(lexical, dense, 0.5).tolist() == [0.5, 0.75, 0.75]
    assert mix(lexical, np.array([np.nan] * 3), 0.5).tolist() == [1.0, 0.75, 0.5]
    assert mix(lexical, np.array([0.3] * 3), 0.5).tolist() == [1.0, 0.75, 0.5]
    assert mix(np.zeros(2), np.array([0.1, 0.2]), 0.5).tolist() == [0.0, 0.5]


# --- the contract of a retriever


def hostile():
    """200 strings: syntax of query languages, controls, every script, noncharacters, surrogates, lengths."""
    rng = random.Random(5)
    syntax = ['"', "(", ")", "[1 TO", "]", "{", "}", "AND", "OR", "NOT", "+", "-", "^2", "~", "*", "?", ":", "\\", "/"]
    fixed = [
        "",
        " ",
        "\0",
        "\ud800",
        "\udfff amber",
        "\ufeff",
        "\u202e amber",
        "a\u0301" * 300,
        "🏴\U000e0067\U000e007f",
        "x" * 100_000,
        "reef " * 30_000,
        "'; DROP TABLE passages; --",
        "title:amber^1e999",
        "../../etc/passwd",
        "%s%n{0}${jndi:ldap://x}",
        "<script>alert(1)</script>",
        "中国" * 200,
        "\u0e01\u0e33\u0e25\u0e31\u0e07",
        "𝕒𝕞𝕓𝕖𝕣",
        "١٢٣ amber",
    ]
    while len(fixed) < 110:
        fixed.append(" ".join(rng.choice([*syntax, *WORDS]) for _ in range(rng.randint(1, 12))))
    while len(fixed) < 200:
        fixed.append("".join(chr(rng.choice([rng.randrange(0x110000), rng.randrange(0x3000)])) for _ in range(30)))
    return fixed


def test_two_hundred_hostile_strings_are_queries_like_any_other(index, dense_candidates):
    strings = hostile()
    assert len(set(strings)) == 200
    for query in strings:
        for searched in (index, dense_candidates, index.lexical):
            hits = searched.find(query, 7) if searched is index.lexical else find(searched, query, 7)
            assert len(hits) <= 7 and len(set(ids(hits))) == len(hits)
            assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
            keys = [(-hit.score, index.lexical.ordinal_of(hit.passage.id)) for hit in hits]
            assert keys == sorted(keys) and all(np.isfinite(hit.score) for hit in hits)


@pytest.mark.parametrize("query", ["", " ", "?!…", "(", "\x00", "\ud800 ✓"])
async def test_a_query_without_a_term_finds_nothing_and_is_not_embedded(index, dense_candidates, query):
    for searched in (index, dense_candidates):
        asked = Watched(searched.embedder)
        other = HybridIndex(searched.lexical, searched.vectors, asked, searched.neighbours)
        assert await other.search(query, 5) == () == await other.search("amber", 0)
        assert asked.texts == []
        assert searched.find(query, 5, np.ones(256, np.float32)) == ()


@given(st.lists(st.sampled_from([*WORDS, "17"]), min_size=1, max_size=5).map(" ".join), st.integers(1, 99))
def test_fewer_hits_are_the_beginning_of_more(index, query, k):
    assert find(index, query, k) == find(index, query, 100)[:k]


async def test_the_same_query_gives_the_same_hits_alone_in_a_batch_and_in_threads(index, folder, monkeypatch):
    queries = ["amber reef", "keel", "", "dune 17 lagoon"]
    alone = [await index.search(query, 5) for query in queries]
    assert await index.search_many(queries, 5) == alone
    monkeypatch.setattr(hybrid, "INLINE_PASSAGES", 0)
    assert list(await asyncio.gather(*(index.search(query, 5) for query in queries))) == alone
    assert await index.search_many(queries, 5) == alone
    again = HybridIndex.open(folder, WordLlama())
    assert [await again.search(query, 5) for query in queries] == alone
    assert again.name == index.name


def test_equal_scores_are_in_the_order_of_the_corpus(tmp_path, embedder):
    names = [f"d{number}" for number in random.Random(1).sample(range(100), 30)]
    lines = [{"id": name, "text": "a reef of coral" if place % 3 else "coral"} for place, name in enumerate(names)]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with_vectors(CorpusSpec(str(tmp_path / "c.jsonl")), tmp_path / "index", embedder)
    Neighbours.open_or_build(VectorFile.open(LexicalIndex.open(tmp_path / "index"), embedder.name))
    for dense_candidates in (False, True):
        found = ids(
            find(HybridIndex.open(tmp_path / "index", embedder, dense_candidates=dense_candidates), "coral", 30)
        )
        short = [f"{name}" for place, name in enumerate(names) if not place % 3]
        assert found == short + [f"{name}" for name in names if f"{name}" not in short]


def test_a_filter_narrows_both_legs(index, dense_candidates):
    for searched in (index, dense_candidates):
        for hit in find(searched, "amber reef", 50, {"parity": "1"}):
            assert hit.passage.metadata == (("parity", "1"),)


class Watched:
    """An embedder that says what it was asked; may fail, or never answer."""

    def __init__(self, embedder, error=None, hangs=False):
        self.name, self.weight, self.batch, self.in_flight = embedder.name, embedder.weight, 16, embedder.in_flight
        self.texts, self._embedder, self._error, self._hangs = [], embedder, error, hangs

    async def embed(self, texts):
        if self._hangs:
            await asyncio.Event().wait()
        if self._error:
            raise self._error
        self.texts += texts
        return self._embedder.vectors(texts)

    async def aclose(self):
        pass


async def test_an_embedder_that_fails_is_an_error_of_the_search_and_one_that_hangs_a_time_out(index):
    def of(**how):
        return HybridIndex(index.lexical, index.vectors, Watched(index.embedder, **how), timeout_s=0.05)

    with pytest.raises(RetrievalError, match="no route"):
        await of(error=LLMUnavailable("no route")).search("amber", 3)
    with pytest.raises(RetrievalTimeout):
        await of(error=LLMTimeout("slow")).search("amber", 3)
    with pytest.raises(RetrievalTimeout, match=r"within 0\.05 s"):
        await of(hangs=True).search("amber", 3)


def test_vectors_of_another_length_are_refused(index):
    with pytest.raises(IndexMismatch, match="another model"):
        index.find("amber", 3, np.ones(384, np.float32))


# --- the vectors on disk


def test_every_vector_is_that_of_its_passage(index):
    assert index.vectors.rows.dtype == np.float16
    for ordinal in (0, 19, 20, 57, DOCUMENTS):
        vector = index.embedder.vectors([embedded_text(index.passage_at(ordinal))])[0]
        assert np.array_equal(index.vectors.rows[ordinal], vector.astype(np.float16))


def test_vectors_may_lag_and_the_name_says_so(own, embedder, index):
    whole = index.name
    lexical = LexicalIndex.open(own)
    path = vectors_folder(own, embedder.name) / "manifest.json"
    path.write_text(path.read_text().replace(f'"rows": {DOCUMENTS + 1}', '"rows": 100'))
    lagging = HybridIndex.open(own, embedder)
    assert lagging.name == whole + "[100]"
    hits = find(lagging, "amber reef onyx", 100)
    best = max(hit.score for hit in lexical.find("amber reef onyx", 1))
    scores = {hit.passage.id: hit.score for hit in lexical.find("amber reef onyx", 100)}
    late = [hit for hit in hits if lexical.ordinal_of(hit.passage.id) >= 100]
    assert late and len(late) < len(hits)
    assert all(hit.score == pytest.approx(scores[hit.passage.id] / best, abs=1e-5) for hit in late)
    asked = Watched(embedder)
    asyncio.run(embed_index(lexical, asked, commit_every=COMMIT_EVERY))
    assert len(asked.texts) - 1 == DOCUMENTS + 1 - 100  # and one to learn the width
    assert HybridIndex.open(own, embedder).name == whole


def test_the_vectors_of_another_embedder_are_refused(own, embedder):
    other = Watched(embedder)
    other.name = "another/model:1"
    with pytest.raises(IndexMismatch, match="holds vectors of wordllama-l2-supercat-256, none of another/model:1"):
        HybridIndex.open(own, other)
    asyncio.run(embed_index(LexicalIndex.open(own), other))
    assert find(HybridIndex.open(own, WordLlama()), "amber") and HybridIndex.open(own, other).name


def test_another_analyser_and_no_vectors_are_refused(own, corpus, embedder, tmp_path):
    with pytest.raises(IndexMismatch, match="'en', not 'multi'"):
        HybridIndex.open(own, embedder, analyzer=Analyzer.MULTI)
    build_index(corpus, tmp_path / "bare")
    with pytest.raises(RetrievalError, match="no vectors"):
        HybridIndex.open(tmp_path / "bare", embedder)
    with pytest.raises(RetrievalError, match="no neighbour index"):
        HybridIndex.open(own, embedder, dense_candidates=True)


def test_vectors_of_another_index_are_never_used(own, embedder, tmp_path):
    (tmp_path / "c.jsonl").write_text('{"id": "x", "text": "a reef"}\n{"id": "y", "text": "a dune"}\n')
    build_index(CorpusSpec(str(tmp_path / "c.jsonl")), tmp_path / "other")
    Neighbours.open_or_build(VectorFile.open(LexicalIndex.open(own), embedder.name))
    path = vectors_folder(own, embedder.name)
    next(path.glob("*.usearch")).rename(path / "neighbours.1.usearch")
    shutil.copytree(own / "vectors", tmp_path / "other" / "vectors")
    with pytest.raises(IndexMismatch, match="for the index"):
        HybridIndex.open(tmp_path / "other", embedder)
    assert asyncio.run(embed_index(LexicalIndex.open(tmp_path / "other"), embedder)).rows == 2
    with pytest.raises(RetrievalError, match="no neighbour index"):
        HybridIndex.open(tmp_path / "other", embedder, dense_candidates=True)


def test_an_endpoint_that_serves_another_model_is_noticed(own, embedder):
    update(own, [Document("new", "New", "coral.")])
    wider = Watched(embedder)
    wider._embedder = type("Wide", (), {"vectors": staticmethod(lambda texts: np.ones((len(texts), 384)))})
    with pytest.raises(IndexMismatch, match="gives 384 numbers per text"):
        asyncio.run(embed_index(LexicalIndex.open(own), wider))


def test_damaged_vectors_are_refused(own, embedder):
    rows = vectors_folder(own, embedder.name) / ROWS
    rows.write_bytes(rows.read_bytes()[:-1])
    with pytest.raises(RetrievalError, match="shorter than its manifest says"):
        HybridIndex.open(own, embedder)
    (rows.parent / "manifest.json").write_text("{")
    with pytest.raises(RetrievalError, match="cannot be read"):
        HybridIndex.open(own, embedder)


def test_updated_documents_get_vectors_of_their_own(own, embedder):
    before = HybridIndex.open(own, embedder)
    update(own, [Document("d003", "Item 3", "coral atoll."), Document("n", "New", "coral bay.")], ["d005"])
    lagging = HybridIndex.open(own, embedder)
    assert lagging.name.endswith(f"[{DOCUMENTS + 1}]")
    asked = Watched(embedder)
    asyncio.run(embed_index(LexicalIndex.open(own), asked))
    assert asked.texts == ["a text", "Item 3\ncoral atoll.", "New\ncoral bay."]
    now = HybridIndex.open(own, embedder)
    assert set(ids(find(now, "coral", 10))) == {"d003", "n"}
    assert "d005" not in ids(find(now, "item 5", 200))
    assert find(before, "item 5", 1)[0].passage.id == "d005"  # what is open stays as it was


# --- the second leg


def test_neighbours_are_the_nearest_by_brute_force(dense_candidates):
    rows = np.asarray(dense_candidates.vectors.rows, np.float32)
    right = 0
    for query in [" ".join(WORDS[start : start + 3]) for start in range(10)]:
        vector = dense_candidates.embedder.vectors([query])[0]
        exact = set(np.argsort(-(rows @ vector))[:10])
        right += len(exact & set(dense_candidates.neighbours.nearest(vector, 10)))
    assert right >= 95


def test_the_second_leg_finds_what_shares_no_word(dense_candidates, index):
    """`stone` and `basalt` are near in meaning; no passage holds the word `stones`."""
    assert find(index, "stones") == ()
    hits = find(dense_candidates, "stones", 5)
    assert len(hits) == 5
    rows = np.asarray(dense_candidates.vectors.rows, np.float32)
    best = int(np.argmax(rows @ dense_candidates.embedder.vectors(["stones"])[0]))
    assert hits[0].passage == dense_candidates.passage_at(best)


def test_neighbours_grow_with_the_vectors_and_skip_what_was_removed(own, embedder):
    Neighbours.open_or_build(VectorFile.open(LexicalIndex.open(own), embedder.name))
    vector = embedder.vectors(["stones"])[0]
    first = find(HybridIndex.open(own, embedder, dense_candidates=True), "stones", 1)[0].passage
    update(own, [Document("stones", "", "many rocks and pebbles")], [first.document_id])
    lexical = LexicalIndex.open(own)
    asyncio.run(embed_index(lexical, embedder))
    grown = Neighbours.open_or_build(VectorFile.open(lexical, embedder.name))
    assert grown.rows == DOCUMENTS + 2
    assert len(list(vectors_folder(own, embedder.name).glob("*.usearch"))) == 1
    assert first.id not in ids(find(HybridIndex.open(own, embedder, dense_candidates=True), "stones", 50))
    assert DOCUMENTS + 1 in grown.nearest(vector, 3)
