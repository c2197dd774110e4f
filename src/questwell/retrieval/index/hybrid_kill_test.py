"""Building an index with vectors, killed again and again."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from questwell.retrieval.conftest import DOCUMENTS, WORDS, corpus_of_words, find, with_vectors
from questwell.retrieval.embedders.wordllama import WordLlama
from questwell.retrieval.index.dense import ROWS, VectorFile
from questwell.retrieval.index.hybrid import HybridIndex
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.retrieval.index.vector_manifest import VectorManifest, vectors_folder

KILLED = """
# Forks a process for each kill, so that imports are paid once. Each reads a line: where, and at which call.
import asyncio, os, signal, sys
from pathlib import Path
from questwell.retrieval.index import dense
from questwell.retrieval.index import indexing
from questwell.retrieval.index import neighbours
from questwell.retrieval.index import vector_manifest
from questwell.retrieval.corpora.corpus import CorpusSpec
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.retrieval.embedders.wordllama import WordLlama
corpus, folder = sys.argv[1], Path(sys.argv[2])
calls = 0
for line in sys.stdin:
    where, count = line.split()[0], int(line.split()[1])
    if (child := os.fork()) == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit(0)
def deadly(call):
    def counted(*arguments, **named):
        global calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)
    return counted
def torn(call):
    def counted(self, *arguments):
        global calls
        calls += 1
        if calls == count:
            with (self_rows()).open("ab") as file:
                file.write(b"torn bytes")
                file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return call(self, *arguments)
    return counted
def self_rows():
    return next(folder.glob("vectors/*/rows.f16"))
if where == "pack": indexing.pack = deadly(indexing.pack)
elif where == "checkpoint": indexing.write_whole = deadly(indexing.write_whole)
elif where == "manifest": indexing.Manifest.write = deadly(indexing.Manifest.write)
elif where == "embed": WordLlama.vectors = deadly(WordLlama.vectors)
elif where == "fsync": dense.os.fsync = deadly(dense.os.fsync)
elif where == "keep": vector_manifest.write_whole = deadly(vector_manifest.write_whole)
elif where == "torn": WordLlama.vectors = torn(WordLlama.vectors)
WordLlama.batch = 7
indexing.build_index(CorpusSpec(corpus), folder, commit_every=50)
asyncio.run(dense.embed_index(LexicalIndex.open(folder), WordLlama(), commit_every=5))
"""

KILLS = [
    ("pack", 30),
    ("pack", 170),
    ("checkpoint", 2),
    ("manifest", 1),
    ("embed", 1),
    ("embed", 2),
    ("embed", 3),
    ("embed", 9),
    ("embed", 14),
    ("fsync", 1),
    ("fsync", 5),
    ("fsync", 8),
    ("keep", 1),
    ("keep", 2),
    ("keep", 3),
    ("torn", 2),
    ("torn", 5),
    ("torn", 7),
    ("keep", 2),
    ("embed", 4),
]


@pytest.mark.parametrize("kills", [KILLS[::3], pytest.param(KILLS, marks=pytest.mark.slow)], ids=["few", "all"])
def test_kills_while_building_with_vectors_leave_what_was_committed(tmp_path, kills):
    """Each kill is made on what the one before left. After each, what is there is right, and nothing is lost again."""
    corpus, embedder = corpus_of_words(tmp_path / "c.jsonl"), WordLlama()
    folder = with_vectors(corpus, tmp_path / "whole", embedder)
    whole = VectorFile.open(LexicalIndex.open(folder), embedder.name)
    reached = 0
    arguments = [sys.executable, "-c", KILLED, corpus.source, str(tmp_path / "index")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    builder = subprocess.Popen(arguments, **pipes)
    for where, count in kills:
        builder.stdin.write(f"{where} {count}\n")
        builder.stdin.flush()
        assert int(builder.stdout.readline()) == -signal.SIGKILL, (where, count)
        manifest = VectorManifest.read(vectors_folder(tmp_path / "index", embedder.name))
        if manifest is None:
            continue
        index = HybridIndex.open(tmp_path / "index", embedder)
        rows = index.vectors.manifest.rows
        assert rows >= reached and rows % 5 == 0
        assert np.array_equal(index.vectors.rows, whole.rows[:rows])
        assert len(find(index, "amber reef", 9)) == 9
        reached = rows
    builder.communicate()
    assert builder.returncode == 0
    assert 0 < reached < DOCUMENTS
    with_vectors(corpus, tmp_path / "index", embedder)
    survivor = HybridIndex.open(tmp_path / "index", embedder)
    assert survivor.name == HybridIndex.open(folder, embedder).name
    assert (survivor.vectors.folder / ROWS).read_bytes() == (whole.folder / ROWS).read_bytes()
    for query in (*WORDS, "amber island 17", "keel lagoon dune onyx", "北京"):
        assert find(survivor, query, 25) == find(HybridIndex.open(folder, embedder), query, 25)
