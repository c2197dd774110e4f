"""`hf:NAME` against a local server of the hub's API, by the hub's own library in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import Repo, serving

pytest.importorskip("datasets")
FILES = {
    "README.md": b"---\nlicense: cc0-1.0\n---\n# Towns\n",
    "corpus.jsonl": b"".join(
        json.dumps({"_id": f"t{n}", "title": f"Town {n}", "text": f"Town {n} was founded by Ada."}).encode() + b"\n"
        for n in range(5)
    ),
}
READ = """
import sys
from questwell.retrieval.corpora.corpus import CorpusSpec, read_corpus
for passage in read_corpus(CorpusSpec(sys.argv[1])):
    print(passage.document_id, passage.title)
"""


def read(server, tmp_path, named):
    command = [sys.executable, "-c", READ, named]
    env = server.env(tmp_path)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False, cwd=Path.cwd())


@pytest.mark.slow
def test_a_data_set_is_fetched_once_and_read(tmp_path):
    with serving({"org/towns": Repo(dict(FILES))}) as server:
        done = read(server, tmp_path, "hf:org/towns@train")
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.splitlines() == [f"t{n} Town {n}" for n in range(5)]
        fetched = [path for method, path in server.asked if method == "GET" and path.endswith("/corpus.jsonl")]
        assert len(fetched) == 1
        again = read(server, tmp_path, "hf:org/towns@train")
        assert again.stdout == done.stdout
        assert [path for method, path in server.asked if method == "GET" and path.endswith("/corpus.jsonl")] == fetched
        missing = read(server, tmp_path, "hf:org/nowhere")
        assert "AssetError" in missing.stderr and "'org/nowhere' of the hub cannot be fetched" in missing.stderr
