"""What ends the building of an index: a corpus that changes, and one that holds no text."""

from pathlib import Path

import pytest

from questwell.errors import CorpusError
from questwell.retrieval.corpora.corpus import CorpusSpec
from questwell.retrieval.index.indexing import build_index


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path_factory.mktemp("home")))


def test_a_corpus_that_changes_while_it_is_indexed_gives_no_index(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"

    def grow(done: int, total: int) -> None:
        with path.open("ab") as more:
            more.write(f'{{"id": "n{done}", "text": "x"}}\n'.encode())

    path.write_bytes(b"".join(b'{"id": %d, "text": "x"}\n' % number for number in range(1_500)))
    with pytest.raises(CorpusError, match="changed while it was being indexed"):
        build_index(CorpusSpec(str(path)), tmp_path / "index", progress=grow)
    assert not (tmp_path / "index" / "manifest.json").exists()


def test_a_corpus_of_which_all_is_passed_over_says_why(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b'{"id": "a", "text": ""}\n{"id": "b"}\n')
    with pytest.raises(
        CorpusError, match=r"contains no text \(1 documents without text and 1 malformed records, the first in"
    ):
        build_index(CorpusSpec(str(path), skip_bad=True), tmp_path / "index")
