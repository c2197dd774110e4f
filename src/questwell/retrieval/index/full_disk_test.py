"""A disk that is full while an index is built: one clear error, and the next run goes on.

A limit on the size of files stands for the full disk: writes fail in the same way, by an error of the system.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from questwell.errors import RetrievalError
from questwell.retrieval.corpora.corpus import CorpusSpec
from questwell.retrieval.index.indexing import build_index
from questwell.retrieval.index.manifest import writing

resource = pytest.importorskip("resource")
BUILD = """
import resource, sys
from pathlib import Path
from questwell.errors import RetrievalError
from questwell.retrieval.corpora.corpus import CorpusSpec
from questwell.retrieval.index.indexing import build_index
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    build_index(CorpusSpec(sys.argv[1]), Path(sys.argv[2]), commit_every=1000)
except RetrievalError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [100, 20_000])
def test_a_full_disk_ends_in_a_clear_error_and_the_next_build_ends_well(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUESTWELL_HOME", str(tmp_path / "home"))
    corpus = tmp_path / "c.jsonl"
    rows = [{"id": str(number), "text": f"amber stone {number} " * 40} for number in range(2000)]
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(corpus), str(tmp_path / "index"), str(limit)],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert "cannot be written" in done.stdout and "disk is full" in done.stdout, done.stderr
    assert build_index(CorpusSpec(str(corpus)), tmp_path / "index").passages >= len(rows)


def test_what_went_wrong_is_told(tmp_path: Path) -> None:
    with pytest.raises(RetrievalError, match="No space left on device"), writing(tmp_path):
        raise OSError(28, "No space left on device")
