import json
import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from questwell.errors import CorpusError, RetrievalError
from questwell.retrieval.corpora.corpus import CorpusSpec
from questwell.retrieval.corpora.documents import Document
from questwell.retrieval.corpora.passages import passages_of
from questwell.retrieval.index.indexing import build_index
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.retrieval.index.manifest import JOURNAL, Manifest
from questwell.retrieval.index.updating import Updated, update

LONG = " ".join(f"Sentence number {number} says a thing." for number in range(60))


def build(folder, count=20):
    lines = [
        {
            "id": f"d{number}",
            "title": f"Item {number}",
            "text": f"amber stone {number}.",
            "metadata": {"parity": number % 2, "tags": ["all", f"t{number % 3}"], "old": number < 5, "none": None},
        }
        for number in range(count)
    ]
    (folder / "c.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    build_index(CorpusSpec(str(folder / "c.jsonl")), folder / "index")
    return folder / "index"


@pytest.fixture
def folder(tmp_path):
    return build(tmp_path)


def held(folder):
    """Every passage by its id; each can be had by place, by id and by what it says."""
    index = LexicalIndex.open(folder)
    places = [index.passage_at(place) for place in range(len(index))]
    assert len({passage.id for passage in places}) == len(places) == index.manifest.passages
    assert all(index.get(passage.id) == passage for passage in places)
    assert {hit.passage.id for hit in index.find("amber stone sentence beryl item", 1000)} <= {p.id for p in places}
    return {passage.id: passage for passage in places}


def test_documents_are_added_replaced_and_deleted(folder):
    before, open_before = held(folder), LexicalIndex.open(folder)
    new = [Document("d3", "Item 3", "beryl stone."), Document("n", "New", LONG), Document("d4", "", "  ")]
    done = update(folder, new, deletes=["d7", "nowhere"])
    manifest = done.manifest
    assert (done.added, done.replaced, done.removed, done.unchanged, done.absent) == (1, 1, 2, 0, 1)
    after = held(folder)
    added = {passage.id for passage in passages_of(new[1])}
    assert len(added) > 1
    assert set(after) == (set(before) | added) - {"d4", "d7"}
    assert after["d3"].text == "beryl stone."
    assert all(after[key] == before[key] for key in set(before) & set(after) - {"d3"})
    assert (manifest.documents, manifest.passages) == (19, len(after))
    assert done.snapshot_before == manifest.origin
    assert manifest.snapshot != manifest.origin == open_before.manifest.snapshot
    assert [hit.passage.id for hit in LexicalIndex.open(folder).find("beryl", 5)] == ["d3"]
    assert "d7" not in {hit.passage.document_id for hit in LexicalIndex.open(folder).find("7 item", 50)}
    assert len(open_before.find("amber", 50)) == 20  # an open reader sees what it opened
    assert open_before.get("n#0") is None and LexicalIndex.open(folder).get("n#0") is not None
    assert open_before.get("d7") is not None and LexicalIndex.open(folder).get("d7") is None


def test_a_replaced_document_moves_to_the_end_and_its_ordinal_is_not_given_again(folder):
    update(folder, [Document("d0", "", "beryl one.")])
    index = LexicalIndex.open(folder)
    assert index.passage_at(0).id == "d1"
    assert (index.passage_at(19).id, index.ordinal_of("d0")) == ("d0", 20)
    assert update(folder, [Document("d0", "", "beryl two.")]).manifest.removed == (0, 20)
    assert LexicalIndex.open(folder).ordinal_of("d0") == 21


def test_an_upsert_is_idempotent_by_id(folder):
    once = update(folder, [Document("n", "New", LONG), Document("d1", "Item 1", "beryl.")])
    again = update(folder, [Document("d1", "Item 1", "beryl."), Document("n", "New", LONG)], ["x"])
    assert again == Updated(
        once.manifest, once.manifest.snapshot, added=0, replaced=0, removed=0, unchanged=2, absent=1
    )
    assert Manifest.read(folder) == once.manifest


def test_of_two_documents_with_one_id_the_later_counts(folder):
    update(folder, [Document("n", "", "first beryl."), Document("n", "", "second beryl.")])
    assert [hit.passage.text for hit in LexicalIndex.open(folder).find("beryl", 5)] == ["second beryl."]


def test_an_index_is_never_emptied(tmp_path):
    folder = build(tmp_path, 2)
    with pytest.raises(CorpusError, match="nothing would be left"):
        update(folder, deletes=["d0", "d1"])
    assert len(held(folder)) == 2
    with pytest.raises(RetrievalError, match="no complete index"):
        update(tmp_path / "none", deletes=["d0"])


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.integers(0, 8), st.sampled_from(["", "amber.", "beryl.", LONG]), max_size=4), max_size=4
    )
)
def test_any_updates_leave_what_a_dictionary_would_hold(tmp_path_factory, batches):
    folder = build(tmp_path_factory.mktemp("any"), 6)
    model = {passage.document_id: passage.text for passage in held(folder).values()}
    for batch in batches:
        update(
            folder,
            [Document(f"d{key}", "", text) for key, text in batch.items() if text] + [Document("z", "", "z")],
            [f"d{key}" for key, text in batch.items() if not text],
        )
        model["z"] = "z"
        model.update({f"d{key}": text for key, text in batch.items()})
    texts = {}
    for passage in held(folder).values():
        texts.setdefault(passage.document_id, []).append(passage.text)
    assert {key: " ".join(parts) for key, parts in texts.items()} == {key: text for key, text in model.items() if text}


KILLED = """
import os, signal, sys
from pathlib import Path
from questwell.retrieval.index import updating
from questwell.retrieval.corpora.documents import Document
where, folder = sys.argv[1], Path(sys.argv[2])
def die(*arguments): os.kill(os.getpid(), signal.SIGKILL)
class Deadly:
    def __init__(self, writer): self.writer = writer
    def __getattr__(self, name):
        return die if where == name else getattr(self.writer, name)
if where == "announce": updating.Manifest.announce = die
if where == "write": updating.Manifest.write = die
opened = updating.open_files
class Files:
    def __init__(self, *arguments): self.index = opened(*arguments)
    def writer(self, *arguments): return Deadly(self.index.writer(*arguments))
updating.open_files = Files
updating.update(folder, [Document("d3", "", "beryl."), Document("n", "", "beryl new.")], ["d5"])
"""


@pytest.mark.parametrize("where", ["add_document", "announce", "commit", "wait_merging_threads", "write"])
def test_a_killed_update_happened_or_did_not_and_can_be_made_again(folder, tmp_path, where):
    before = held(folder)
    done = subprocess.run([sys.executable, "-c", KILLED, where, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    made = where in ("wait_merging_threads", "write")
    assert (folder / JOURNAL).exists() == (where in ("commit", "wait_merging_threads", "write"))
    now = held(folder)
    assert (set(now) ^ set(before) == {"n", "d5"}) if made else now == before
    update(folder, [Document("d3", "", "beryl."), Document("n", "", "beryl new.")], ["d5"])
    assert not (folder / JOURNAL).exists()
    (tmp_path / "other").mkdir()
    other = build(tmp_path / "other")
    update(other, [Document("d3", "", "beryl."), Document("n", "", "beryl new.")], ["d5"])
    assert held(folder) == held(other)
    assert Manifest.read(folder) == Manifest.read(other)
    found = [LexicalIndex.open(one).find("beryl amber stone new", 9) for one in (folder, other)]
    assert found[0] == found[1]


def test_a_filter_narrows_and_leaves_the_scores(folder):
    index = LexicalIndex.open(folder)
    every = {hit.passage.id: hit.score for hit in index.find("amber stone", 50)}
    for where, wanted in (
        ({"parity": "1"}, range(1, 20, 2)),
        ({"parity": "1", "tags": "t0"}, range(3, 20, 6)),
        ({"tags": ["t0", "t1"], "old": "true"}, (0, 1, 3, 4)),
        ({"tags": []}, ()),
        ({"parity": "2"}, ()),
        ({"none": "None"}, ()),
        ({"par\ud800ity": "\x1f"}, ()),
    ):
        found = {hit.passage.id: hit.score for hit in index.find("amber stone", 50, where)}
        assert set(found) == {f"d{number}" for number in wanted}
        assert all(score == every[key] for key, score in found.items())
    assert len(index.find("amber", 3, {"parity": "0"})) == 3
    assert index.get("d4").metadata == (("parity", "0"), ("tags", "all"), ("tags", "t1"), ("old", "true"))


def test_scan_gives_every_passage_once_in_an_order_of_its_seed(folder):
    index = LexicalIndex.open(folder)
    one, again, other = ([passage.id for passage in index.scan(seed)] for seed in (1, 1, 2))
    assert one == again != other
    assert sorted(one) == sorted(other) == sorted(held(folder))


def test_scores_of_given_passages_are_those_of_the_search(folder):
    index = LexicalIndex.open(folder)
    ranked = {scored.ordinal: scored.score for scored in index.rank("item 17", 50)}
    scored = {found.ordinal: found.score for found in index.score("item 17", [3, 5, 17, 99])}
    assert scored == {3: ranked[3], 5: ranked[5], 17: ranked[17]}
    assert {found.score for found in index.score("nowhere", [3, 5])} == {0.0}
    assert [found.ordinal for found in index.score("item", [3, 4], {"parity": "0"})] == [4]
