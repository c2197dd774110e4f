"""`hf:NAME` against a local server of the hub's API, by the hub's own library in a process of its own.

The routes are those that huggingface_hub asks for: /api/datasets/NAME with its revisions, trees and paths, and
/datasets/NAME/resolve/REVISION/FILE with ETag and X-Repo-Commit.
"""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("datasets")
COMMIT = "a" * 40
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


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.server.asked.append((self.command, path))
        base = "/api/datasets/org/towns"
        if path in (base, f"{base}/revision/main", f"{base}/revision/{COMMIT}"):
            siblings = [{"rfilename": name} for name in FILES]
            told = {"id": "org/towns", "sha": COMMIT, "siblings": siblings, "private": False, "gated": False}
            self.answer(json.dumps({**told, "disabled": False, "downloads": 0, "likes": 0, "tags": []}).encode())
        elif path.startswith(f"{base}/tree/"):
            self.answer(json.dumps([self.entry(name) for name in FILES]).encode())
        elif path.startswith("/datasets/org/towns/resolve/") and (name := path.rpartition("/")[2]) in FILES:
            etag = hashlib.sha1(FILES[name], usedforsecurity=False).hexdigest()
            self.answer(FILES[name], etag=f'"{etag}"', **{"x-repo-commit": COMMIT})
        else:
            self.answer(b'{"error": "Entry not found"}', 404, **{"x-error-code": "EntryNotFound"})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.asked.append((self.command, self.path))
        if "/paths-info/" in self.path:
            wanted = json.loads(raw)["paths"] if raw.startswith(b"{") else []
            self.answer(json.dumps([self.entry(name) for name in wanted if name in FILES]).encode())
        else:
            self.answer(b"{}", 404)

    do_HEAD = do_GET

    def entry(self, name):
        oid = hashlib.sha1(FILES[name], usedforsecurity=False).hexdigest()
        return {"type": "file", "path": name, "size": len(FILES[name]), "oid": oid}

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        sent = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def read(server, tmp_path, named):
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))},
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "QUESTWELL_HOME": str(tmp_path / "home"),
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-c", READ, named]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False, cwd=Path.cwd())


@pytest.mark.slow
def test_a_data_set_is_fetched_once_and_read(tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.daemon_threads = True
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = read(server, tmp_path, "hf:org/towns@train")
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.splitlines() == [f"t{n} Town {n}" for n in range(5)]
        fetched = [path for method, path in server.asked if method == "GET" and path.endswith("/corpus.jsonl")]
        assert len(fetched) == 1
        again = read(server, tmp_path, "hf:org/towns@train")
        assert again.stdout == done.stdout
        assert [path for method, path in server.asked if method == "GET" and path.endswith("/corpus.jsonl")] == fetched
        missing = read(server, tmp_path, "hf:org/nowhere")
        assert "AssetError" in missing.stderr and "'org/nowhere' of the hub cannot be had" in missing.stderr
        server.shutdown()
