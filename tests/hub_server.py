"""A local server of the hub's API for data sets: reading, creating, and committing, plain files and LFS.

The routes are those that huggingface_hub asks for: /api/datasets/NAME with its revisions, trees and paths,
/datasets/NAME/resolve/REVISION/FILE with ETag and X-Repo-Commit, /api/repos/create, preupload, commit (NDJSON), and
git-lfs' batch API with a PUT per object.
"""

import base64
import hashlib
import http.server
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

COMMIT = "a" * 40


@dataclass
class Repo:
    files: dict[str, bytes] = field(default_factory=dict)
    private: bool = False
    commits: list[str] = field(default_factory=list)


class HubServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, repos: dict[str, Repo], token: str = "hf_right") -> None:
        super().__init__(("127.0.0.1", 0), _Hub)
        self.repos = repos
        self.token = token
        self.asked: list[tuple[str, str]] = []
        self.objects: dict[str, bytes] = {}
        self.refusals: dict[str, int] = {}
        """Status with which requests are answered whose path has this in it."""

    def env(self, home: Path, token: str | None = None) -> dict[str, str]:
        """The environment of a process that takes this server for the hub."""
        plain = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
        return {
            **plain,
            "HF_ENDPOINT": f"http://127.0.0.1:{self.server_port}",
            "HF_HOME": str(home / "hub"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            "QUESTWELL_HOME": str(home / "home"),
            "NO_PROXY": "127.0.0.1",
            **({"HF_TOKEN": token} if token else {}),
        }


@contextmanager
def serving(repos: dict[str, Repo]) -> Iterator[HubServer]:
    with HubServer(repos) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class _Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.server.asked.append((self.command, path))
        name, repo, rest = self._repo(path)
        if repo is None:
            self._answer(b'{"error": "Entry not found"}', 404, **{"x-error-code": "EntryNotFound"})
        elif path.startswith("/api/") and (not rest or rest.startswith("revision/")):
            siblings = [{"rfilename": one} for one in repo.files]
            told = {"id": name, "sha": COMMIT, "siblings": siblings, "private": repo.private, "gated": False}
            self._tell({**told, "disabled": False, "downloads": 0, "likes": 0, "tags": []})
        elif path.startswith("/api/") and rest.startswith("tree/"):
            self._tell([_entry(one, content) for one, content in repo.files.items()])
        elif rest.startswith("resolve/") and (file := rest.split("/", 2)[2]) in repo.files:
            etag = hashlib.sha1(repo.files[file], usedforsecurity=False).hexdigest()
            self._answer(repo.files[file], etag=f'"{etag}"', **{"x-repo-commit": COMMIT})
        else:
            self._answer(b'{"error": "Entry not found"}', 404, **{"x-error-code": "EntryNotFound"})

    do_HEAD = do_GET

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = self.path.partition("?")[0]
        self.server.asked.append((self.command, path))
        name, repo, rest = self._repo(path)
        if self._refused(path):
            return
        if repo is not None and rest.startswith("paths-info/"):
            wanted = json.loads(raw)["paths"] if raw.startswith(b"{") else []
            self._tell([_entry(one, repo.files[one]) for one in wanted if one in repo.files])
        elif self.headers.get("authorization") != f"Bearer {self.server.token}":
            self._answer(b'{"error": "Invalid credentials"}', 401)
        elif path == "/api/validate-yaml":
            front = yaml.safe_load(json.loads(raw)["content"].split("---\n")[1])
            problems = [] if isinstance(front.get("license"), str) else [{"message": "license is missing"}]
            self._tell({"errors": problems, "warnings": []})
        elif path == "/api/repos/create":
            self._create(json.loads(raw))
        elif repo is None:
            self._answer(b"{}", 404, **{"x-error-code": "RepoNotFound"})
        elif rest.startswith("preupload/"):
            files = [one["path"] for one in json.loads(raw)["files"]]
            modes = [(one, "lfs" if one.endswith(".parquet") else "regular") for one in files]
            self._tell({"files": [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes]})
        elif rest == "git/info/lfs/objects/batch":
            at = f"http://127.0.0.1:{self.server.server_port}/lfs/"
            objects = [
                {**one, "actions": {"upload": {"href": at + one["oid"], "header": {}}}}
                for one in json.loads(raw)["objects"]
            ]
            self._tell({"transfer": "basic", "objects": objects})
        elif rest.startswith("commit/"):
            self._commit(name, repo, [json.loads(line) for line in raw.splitlines()])
        else:
            self._answer(b"{}", 404)

    def do_PUT(self):
        self.server.asked.append((self.command, self.path))
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self._refused(self.path):
            return
        self.server.objects[self.path.rpartition("/")[2]] = content
        self._answer(b"")

    def _refused(self, path):
        status = next((status for part, status in self.server.refusals.items() if part in path), None)
        if status is not None:
            self._answer(b'{"error": "as the test wants it"}', status)
        return status is not None

    def _create(self, wanted):
        owner = wanted["organization"] or "me"
        name = f"{owner}/{wanted['name']}"
        if name in self.server.repos:
            told = {"error": "You already created this dataset repo", "url": self._page(wanted["type"], name)}
            self._answer(json.dumps(told).encode(), 409)
            return
        private = wanted.get("private") or wanted.get("visibility") == "private"
        self.server.repos[name] = Repo(private=bool(private))
        self._tell({"url": self._page(wanted["type"], name)})

    def _page(self, kind, name):
        return f"http://127.0.0.1:{self.server.server_port}/{kind}s/{name}"

    def _commit(self, name, repo, lines):
        files = dict(repo.files)
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                summary = value["summary"]
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                content = self.server.objects[value["oid"]]
                assert hashlib.sha256(content).hexdigest() == value["oid"] and len(content) == value["size"]
                files[value["path"]] = content
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        repo.files = files
        repo.commits.append(summary)
        self._tell({"commitUrl": f"{self._page('dataset', name)}/commit/{COMMIT}", "commitOid": COMMIT})

    def _repo(self, path):
        """Name, repository and the rest of a path; None where there is none."""
        parts = path.removeprefix("/api").removeprefix("/datasets/").split("/", 2)
        owner, bare, rest = (*parts, "", "")[:3]
        if bare.endswith(".git"):
            bare, rest = bare.removesuffix(".git"), f"git/{rest}"
        name = f"{owner}/{bare}"
        return name, self.server.repos.get(name), rest

    def _tell(self, value):
        self._answer(json.dumps(value).encode())

    def _answer(self, body, status=200, **headers):
        self.send_response(status)
        sent = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def _entry(name, content):
    oid = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return {"type": "file", "path": name, "size": len(content), "oid": oid}
