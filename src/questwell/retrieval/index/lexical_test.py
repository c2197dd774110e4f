import asyncio
import functools
import json
import math
import random
import shutil
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.errors import CorpusError, IndexMismatch, RetrievalError
from questwell.retrieval.corpora.corpus import CorpusSpec, ReadReport, read_corpus
from questwell.retrieval.index import lexical
from questwell.retrieval.index.analysis import Analyzer, Terms
from questwell.retrieval.index.indexing import build_index, default_folder, open_or_build
from questwell.retrieval.index.lexical import LexicalIndex

WORDS = (
    "amber",
    "basalt",
    "cobalt",
    "dune",
    "ember",
    "fjord",
    "harbor",
    "island",
    "keel",
    "lagoon",
    "onyx",
    "reef",
)
DOCUMENTS = 300
COMMIT_EVERY = 50


def write_corpus(path):
    rng = random.Random(7)
    with path.open("w") as file:
        for number in range(DOCUMENTS):
            words = rng.choices(WORDS, weights=range(1, len(WORDS) + 1), k=rng.randint(3, 9))
            record = {"id": f"d{number:03}", "title": f"Item {number} ({words[0]})", "text": " ".join(words) + "."}
            file.write(json.dumps(record) + "\n")
        file.write(json.dumps({"id": "北", "title": "北京大学", "text": "在中国的首都。the the the"}) + "\n")
    return CorpusSpec(str(path))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus") / "c.jsonl")


@pytest.fixture(scope="module")
def index(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    build_index(corpus, folder, commit_every=COMMIT_EVERY)
    return LexicalIndex.open(folder)


def ids(hits):
    return [hit.passage.id for hit in hits]


@functools.cache
def places(index):
    return {index.passage_at(ordinal).id: ordinal for ordinal in range(len(index))}


SYNTAX = st.from_regex(r'[(\[{"+\-:^~*\\ANDOR ]{0,20}')


@given(query=st.text(st.characters(codec=None)) | SYNTAX, k=st.integers(-2, 400))
def test_any_string_is_a_query_and_hits_are_in_total_order(index, query, k):
    hits = index.find(query, k)
    assert len(hits) <= max(k, 0)
    assert len(set(ids(hits))) == len(hits)
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    keys = [(-hit.score, places(index)[hit.passage.id]) for hit in hits]
    assert keys == sorted(keys)


@pytest.mark.parametrize("query", ["", " ", "?!…", "(", "\x00", "zzzunknown"])
def test_a_query_without_a_known_term_finds_nothing(index, query):
    assert index.find(query, 5) == ()


@given(st.lists(st.sampled_from([*WORDS, "item", "17"]), min_size=1, max_size=6).map(" ".join), st.integers(1, 40))
def test_fewer_hits_are_the_beginning_of_more(index, query, k):
    assert index.find(query, k) == index.find(query, DOCUMENTS)[:k]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Two builds of a corpus in which thousands of passages tie, in other segments, and the names in corpus order."""
    folder = tmp_path_factory.mktemp("template")
    names = [f"d{number:04}" for number in range(3000)]
    random.Random(1).shuffle(names)
    lines = (
        {"id": name, "text": f"the same words{' again' if name > 'd2900' else ''}", "title": name} for name in names
    )
    (folder / "c.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    spec = CorpusSpec(str(folder / "c.jsonl"))
    build_index(spec, folder / "one")
    build_index(spec, folder / "many", commit_every=300)
    return LexicalIndex.open(folder / "one"), LexicalIndex.open(folder / "many"), names


@pytest.mark.parametrize("k", [1, 7, 64, 99, 100, 300, 3000])
def test_equal_scores_are_in_the_order_of_the_corpus_whatever_the_segments(template, k):
    one, many, names = template
    rare = [name for name in names if name > "d2900"]
    for index in (one, many):
        assert ids(index.find("same words", 3000)[:1]) == ids(index.find("same words", 1))
        assert ids(index.find("same words", k)) == ids(index.find("same words", 3000))[:k]
        assert ids(index.find("again", k)) == [f"{name}" for name in rare[:k]]
        assert ids(index.find("same again", k))[: len(rare)] == [f"{name}" for name in rare[:k]]
    assert one.find("same words", k) == many.find("same words", k)
    assert one.find("d0007 same words", k) == many.find("d0007 same words", k)


def test_only_the_hits_are_loaded_however_long_the_tie(template, monkeypatch):
    loads, looks = [], []
    load, best = LexicalIndex._load, LexicalIndex._best
    monkeypatch.setattr(LexicalIndex, "_load", lambda self, address: loads.append(1) or load(self, address))
    monkeypatch.setattr(LexicalIndex, "_best", lambda self, *of: looks.append(r := best(self, *of)) or r)
    template[0].find("same words", 3)
    assert len(loads) == 3
    assert sum(map(len, looks)) <= (3 + lexical.SPARE) * (1 + math.log2(3000))


def test_scores_are_those_of_bm25(index, corpus):
    """Okapi BM25 (k1 1.2, b 0.75) by hand for one rare term that stands in a title only: a title is text too."""
    (hit,) = index.find("17", 1)
    assert hit.passage.document_id == "d017"
    passages = list(read_corpus(corpus))
    titles = [passage.title for passage in passages]
    texts = [f"{passage.title} {passage.text}" for passage in passages]

    def bm25(fields: list[str]) -> float:
        # tantivy keeps lengths up to 40 exactly, so that the formula holds to rounding
        lengths = [len(Terms(index.manifest.analyzer).of(field)) for field in fields]
        idf = math.log(1 + (len(fields) - 1 + 0.5) / 1.5)
        return idf * 2.2 / (1 + 1.2 * (0.25 + 0.75 * lengths[17] / (sum(lengths) / len(fields))))

    expected = lexical.TITLE_WEIGHT * bm25(titles) + bm25(texts)
    assert hit.score == pytest.approx(expected, abs=1e-3)


def test_the_commonest_terms_are_dropped_beyond_what_a_query_may_read_but_never_the_two_rarest(index, monkeypatch):
    every = ("17", "keel", "onyx", "reef", "item")
    texts = [f"{index.passage_at(place).title} {index.passage_at(place).text}" for place in range(len(index))]
    held = [set(Terms(index.manifest.analyzer).of(text)) for text in texts]
    counts = [sum(term in terms for terms in held) for term in every]
    assert counts == sorted(counts)
    assert index.query_terms("item reef onyx keel 17 item REEF") == every  # a small corpus is read whole
    for most in range(sum(counts) + 2):
        monkeypatch.setattr(lexical, "POSTINGS", most)
        monkeypatch.setattr(lexical, "POSTINGS_SHARE", 0.0)
        fits = max(2, sum(sum(counts[:size]) <= most for size in range(1, 6)))
        assert index.query_terms("item reef onyx keel 17") == every[:fits]
        monkeypatch.setattr(lexical, "POSTINGS", 0)
        monkeypatch.setattr(lexical, "POSTINGS_SHARE", most / len(index))
        assert len(index.query_terms("item reef onyx keel 17")) == fits
    assert index.query_terms("item reef") == ("reef", "item")


def test_of_a_long_query_the_beginning_and_the_rarest_terms_are_searched(index):
    every = " ".join(map(str, range(DOCUMENTS)))
    assert len(index.query_terms(every)) == lexical.MOST_TERMS
    assert index.query_terms(" " * lexical.QUERY_CHARS + "amber") == ()


def test_the_words_that_ask_do_not_outweigh_what_is_asked_for(tmp_path):
    """Few passages contain "what" or "which", so BM25 would take them for the rarest names."""
    told = ["What is it? Which is the one that was?", *(f"{name}: Area 5. Capital Ostia." for name in WORDS)]
    lines = [json.dumps({"id": f"d{at}", "title": "", "text": text}) + "\n" for at, text in enumerate(told)]
    (tmp_path / "c.jsonl").write_text("".join(lines))
    for analyzer, found in ((Analyzer.EN, ["d1"]), (Analyzer.MULTI, ["d0"])):
        build_index(CorpusSpec(str(tmp_path / "c.jsonl")), tmp_path / analyzer, analyzer=analyzer)
        index = LexicalIndex.open(tmp_path / analyzer)
        assert ids(index.find("What is the area of Amber, and which is it?", 1)) == found
        assert ids(index.find("What is it?", 1)) == ["d0"]


def test_chinese_is_found_by_a_part_of_it(index):
    assert ids(index.find("北京", 5)) == ["北"]
    assert ids(index.find("中国首都", 5)) == ["北"]


@pytest.mark.parametrize("query", ["reef " * 130_000, " ".join(map(str, range(150_000))), "x" * 1_000_000])
def test_a_megabyte_of_query_is_answered_at_once(index, query):
    start = time.process_time()
    assert len(index.find(query, 5)) <= 5
    assert time.process_time() - start < 1


async def test_search_is_safe_from_many_tasks_and_in_threads(index, monkeypatch):
    expected = index.find("amber island", 5)
    for limit in (lexical.INLINE_PASSAGES, 0):
        monkeypatch.setattr(lexical, "INLINE_PASSAGES", limit)
        answers = await asyncio.gather(*(index.search("amber island", 5) for _ in range(50)))
        assert set(answers) == {expected}
    await index.aclose()


def test_it_stores_every_passage_as_it_was_read(index, corpus):
    passages = list(read_corpus(corpus))
    assert len(index) == len(passages) == DOCUMENTS + 1
    assert [index.passage_at(ordinal) for ordinal in range(len(index))] == passages
    assert [index.get(passage.id) for passage in passages] == passages


def test_what_is_not_there(index):
    assert index.get("nope") is None
    assert index.get("d000#0") is None
    assert index.get("\ud800") is None
    for ordinal in (-1, len(index)):
        with pytest.raises(IndexError):
            index.passage_at(ordinal)


def test_another_analyser_is_refused(corpus, tmp_path):
    multi = build_index(corpus, tmp_path, analyzer=Analyzer.MULTI)
    with pytest.raises(IndexMismatch, match="'multi', not 'en'"):
        LexicalIndex.open(tmp_path, Analyzer.EN)
    with pytest.raises(IndexMismatch, match="name another folder"):
        build_index(corpus, tmp_path, analyzer=Analyzer.EN)
    assert multi.snapshot != build_index(corpus, tmp_path / "en").snapshot


def test_another_corpus_is_refused(corpus, tmp_path):
    build_index(corpus, tmp_path / "index")
    other = tmp_path / "o.jsonl"
    other.write_text('{"id": "x", "text": "t"}')
    with pytest.raises(IndexMismatch, match="name another folder"):
        build_index(CorpusSpec(str(other)), tmp_path / "index")


def test_another_version_is_refused(corpus, tmp_path):
    build_index(corpus, tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": "3', '"version": "0'))
    with pytest.raises(IndexMismatch, match="has version 0"):
        LexicalIndex.open(tmp_path)


def test_an_incomplete_or_damaged_index_is_refused(corpus, tmp_path):
    with pytest.raises(RetrievalError, match="no complete index"):
        LexicalIndex.open(tmp_path / "none")
    build_index(corpus, tmp_path)
    manifest = tmp_path / "manifest.json"
    whole = manifest.read_text()
    manifest.write_text(whole.replace(f'"passages": {DOCUMENTS + 1}', '"passages": 9'))
    with pytest.raises(RetrievalError, match="its manifest says 9"):
        LexicalIndex.open(tmp_path)
    manifest.write_text(whole[:50])
    with pytest.raises(RetrievalError, match="cannot be read"):
        LexicalIndex.open(tmp_path)


def test_the_default_folder_follows_the_content(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path))
    first = open_or_build(corpus)
    assert default_folder(corpus).is_relative_to(tmp_path / "indexes")
    assert default_folder(corpus, Analyzer.MULTI) != default_folder(corpus)
    report = ReadReport()
    assert open_or_build(corpus, report=report).name == first.name
    assert report.documents == 0  # nothing was read again


def test_a_corpus_without_text_gives_no_index(tmp_path):
    (tmp_path / "c.jsonl").write_text('{"id": "x", "text": " "}')
    with pytest.raises(CorpusError, match="contains no text"):
        build_index(CorpusSpec(str(tmp_path / "c.jsonl")), tmp_path / "index")
    assert not (tmp_path / "index" / "manifest.json").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from questwell.retrieval.index import indexing
corpus, folder, where, count = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
calls = 0
def deadly(call, before):
    def counted(*arguments):
        global calls
        calls += 1
        if before and calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = call(*arguments)
        if not before and calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    return counted
if where == "passage":
    indexing.pack = deadly(indexing.pack, True)
elif where == "checkpoint":
    indexing.write_whole = deadly(indexing.write_whole, True)
else:
    indexing.Manifest.write = deadly(indexing.Manifest.write, True)
indexing.build_index(indexing.CorpusSpec(corpus), folder, commit_every=50)
"""


@pytest.mark.parametrize(
    ("where", "count", "kept"),
    [
        ("passage", 1, 0),
        ("passage", 50, 0),
        ("passage", 51, 50),
        ("passage", 275, 250),
        ("checkpoint", 1, 0),  # committed, and the checkpoint not written: starts anew
        ("checkpoint", 3, 150),  # committed beyond the checkpoint: what is committed counts
        ("manifest", 1, 301),
    ],
)
def test_a_killed_build_goes_on_and_ends_the_same(corpus, index, tmp_path, monkeypatch, where, count, kept):
    arguments = [sys.executable, "-c", KILLED, corpus.source, str(tmp_path), where, str(count)]
    assert subprocess.run(arguments, check=False).returncode == -9
    with pytest.raises(RetrievalError, match="no complete index"):
        LexicalIndex.open(tmp_path)
    added = []
    monkeypatch.setattr("questwell.retrieval.index.indexing.document", spy(added))
    manifest = build_index(corpus, tmp_path, commit_every=COMMIT_EVERY)
    assert added == list(range(kept, DOCUMENTS + 1))
    assert manifest == index.manifest
    resumed = LexicalIndex.open(tmp_path)
    for query in (*WORDS, "amber island 17", "keel lagoon dune onyx", "北京"):
        assert resumed.find(query, 25) == index.find(query, 25)


def test_an_interrupted_build_with_another_analyser_is_not_continued(corpus, tmp_path):
    arguments = [sys.executable, "-c", KILLED, corpus.source, str(tmp_path), "passage", "60"]
    subprocess.run(arguments, check=False)
    manifest = build_index(corpus, tmp_path, analyzer=Analyzer.MULTI)
    assert (manifest.analyzer, manifest.passages) == (Analyzer.MULTI, DOCUMENTS + 1)


def spy(added):
    from questwell.retrieval.index import indexing

    real = indexing.document

    def document(passage, stored, ordinal):
        added.append(ordinal)
        return real(passage, stored, ordinal)

    return document


def test_a_part_of_another_text_is_never_continued(corpus, tmp_path, monkeypatch):
    """As when the code that cuts passages changed between the two builds."""
    arguments = [sys.executable, "-c", KILLED, corpus.source, str(tmp_path), "passage", "60"]
    subprocess.run(arguments, check=False)
    other = tmp_path / "other.jsonl"
    shutil.copy(corpus.source, other)
    other.write_text(other.read_text().replace('"d007"', '"e007"'))
    monkeypatch.setattr(
        "questwell.retrieval.index.indexing.read_corpus",
        lambda spec, report: read_corpus(CorpusSpec(str(other)), report),
    )
    with pytest.raises(CorpusError, match="has changed since its indexing began"):
        build_index(corpus, tmp_path, commit_every=COMMIT_EVERY)
    assert build_index(corpus, tmp_path, commit_every=COMMIT_EVERY).passages == DOCUMENTS + 1
    assert LexicalIndex.open(tmp_path).get("e007") is not None
