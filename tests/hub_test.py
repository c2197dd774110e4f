"""A model by its name on the hub, from a loopback server that speaks as much of the hub's API as is needed."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from questwell.errors import ConfigError
from questwell.llm.hub import hub_folder, is_hub_name
from questwell.llm.pretrained import Pretrained, load, size_of
from questwell.recipes.runs.agents import policy_weights
from questwell.toy.model import toy_model, toy_tokenizer
from questwell.toy.world import ToyWorld

NAME, COMMIT = "someone/tiny-model", "a" * 40


class Hub:
    """Serves one repository: the files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        hub = self
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        files["modeling_tiny.py"] = b"raise SystemExit('code of a stranger')"

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                hub.asked.append(self.path)
                path = self.path.partition("?")[0]
                if not path.removeprefix("/api/models").startswith(f"/{NAME}/"):
                    return self.says(404, b"{}", {"X-Error-Code": "RepoNotFound"})
                if "/revision/" in path:
                    found = {"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
                    return self.says(200, json.dumps(found).encode())
                if "/tree/" in path:
                    entries = [
                        {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                        for name, body in files.items()
                    ]
                    return self.says(200, json.dumps(entries).encode())
                body = files[path.rpartition("/")[2]]
                return self.says(200, body, {"ETag": hashlib.sha1(body).hexdigest(), "X-Repo-Commit": COMMIT})

            do_HEAD = do_GET

            def says(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    tokenizer = toy_tokenizer(ToyWorld().words)
    Pretrained("tiny", toy_model(tokenizer, width=16, layers=1), tokenizer).save(tmp_path / "tiny")
    served = Hub(tmp_path / "tiny")
    threading.Thread(target=served.server.serve_forever, daemon=True).start()
    for name in ("QUESTWELL_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", served.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    yield served
    served.server.shutdown()
    served.server.server_close()


def test_a_model_is_fetched_once_and_found_when_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    size = size_of(NAME)
    assert not any("safetensors" in path for path in hub.asked)
    start = load(NAME)
    assert (start.name, start.model.num_parameters()) == (NAME, size.parameters)
    assert policy_weights(NAME) == {"policy weights": COMMIT}
    assert not any("/resolve/" in path and path.endswith(".py") for path in hub.asked)
    monkeypatch.setenv("QUESTWELL_OFFLINE", "1")
    before = len(hub.asked)
    assert load(NAME).model.num_parameters() == size.parameters
    assert len(hub.asked) == before


def test_what_cannot_be_had_says_what_to_do(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"someone/else.*no model on the hub"):
        load("someone/else")
    monkeypatch.setenv("QUESTWELL_OFFLINE", "1")
    with pytest.raises(ConfigError, match=f"hf download {NAME}"):
        load(NAME)


@pytest.mark.parametrize("other", ["local", "model.gguf", "folder/model.gguf", "../up", "/root/model", "a/b/c", "./a"])
def test_other_forms_are_no_hub_names(other: str) -> None:
    assert not is_hub_name(other)


def test_a_folder_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / NAME).mkdir(parents=True)
    assert is_hub_name(NAME)
    monkeypatch.chdir(tmp_path)
    assert not is_hub_name(NAME)


def test_a_commit_is_the_last_part_of_the_path(hub: Hub) -> None:
    assert hub_folder(NAME).name == COMMIT
