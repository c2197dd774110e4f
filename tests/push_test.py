"""`questwell push` against a local server of the hub's API; Croissant read back by MLCommons' own library."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import world
from hub_server import HubServer, Repo, serving
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.errors import AssetError, ConfigError, StoreError
from questwell.recipes.dataset.build import build, read_manifest
from questwell.recipes.dataset.config import DatasetConfig
from questwell.recipes.dataset.parquet import read_parquet
from questwell.recipes.dataset.push import prepare, send
from questwell.recipes.generate.loop import generate
from questwell.recipes.reports.items import items
from questwell.recipes.reports.reviewing import review
from questwell.recipes.runs.config import resolve
from questwell.types.dataset import Item
from questwell.types.review import Decision


@pytest.fixture(scope="module")
def played(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = world.config(library, seeds=36)
    asyncio.run(generate(config, folder, world.setup(config)))
    return folder


@pytest.fixture
def run(played: Path, tmp_path: Path) -> Path:
    return shutil.copytree(played, tmp_path / "run")


@pytest.fixture
def made(run: Path, library: Path, tmp_path: Path) -> Path:
    values = {"prompts": library / "prompts", "sealed": "test", "exports": "sft,grpo"}
    build([run], tmp_path / "bridges", resolve(DatasetConfig, values))
    return tmp_path / "bridges"


def questwell(server: HubServer, home: Path, *arguments: str, token: str | None = "hf_right") -> tuple[int, str]:
    command = [sys.executable, "-m", "questwell", *arguments]
    env = {**server.env(home, token), "COLUMNS": "300"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_dataset_is_pushed_as_it_was_made_and_privately(made: Path, tmp_path: Path) -> None:
    with serving({}) as server:
        code, told = questwell(server, tmp_path, "push", str(made), "me/bridges")
        assert code == 0, told
        assert "to me/bridges, private" in told and "/datasets/me/bridges" in told
        repo = server.repos["me/bridges"]
        assert repo.private and len(repo.commits) == 1
        local = {str(path.relative_to(made)): path.read_bytes() for path in made.rglob("*") if path.is_file()}
        assert repo.files.keys() == local.keys() - {".sources.json"}  # paths of this machine stay here
        page = f"http://127.0.0.1:{server.server_port}/datasets/me/bridges"
        sent = json.loads(repo.files["croissant.json"])
        assert sent == {**json.loads(local["croissant.json"]), "url": page}
        del local[".sources.json"], local["croissant.json"]
        assert {name: repo.files[name] for name in local} == local
        assert str(tmp_path) not in "".join(content.decode(errors="ignore") for content in repo.files.values())


def test_a_dry_run_names_every_file_and_asks_nobody(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({}) as server, monkeypatch.context() as patched:
        patched.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        shown = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["push", str(made), "me/bridges", "--dry-run"])
        assert shown.exit_code == 0 and server.asked == []
    told = shown.output
    for file in read_manifest(made).files:
        assert file.path in told
    count = len(read_manifest(made).files) + 3
    assert f"Would send {count} files" in told and "me/bridges, private" in told
    assert ".sources.json" not in told


def test_a_public_repository_is_only_written_when_asked_and_stale_files_go(made: Path, tmp_path: Path) -> None:
    ours = {"manifest.json": b"{}", "croissant.json": b"{}", "data/test.parquet": b"plain", "grpo/test.jsonl": b"plain"}
    before = {**ours, "notes.md": b"mine", ".gitattributes": b""}
    with serving({"me/bridges": Repo(dict(before), private=False)}) as server:
        code, told = questwell(server, tmp_path, "push", str(made), "me/bridges")
        assert code == 2 and "everyone can read it: say --public" in told
        assert server.repos["me/bridges"].files == before
        code, told = questwell(server, tmp_path, "push", str(made), "me/bridges", "--public")
        assert code == 0 and "me/bridges, public" in told
        files = server.repos["me/bridges"].files
        assert {"notes.md", ".gitattributes", "sealed/test.csv"} <= files.keys()
        assert {"data/test.parquet", "grpo/test.jsonl"}.isdisjoint(files)  # else the sealed split stood there in plain
        assert "data/test.parquet, grpo/test.jsonl" in told


BY_ITS_LIBRARY = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
"""What the hub's own library does with httpx."""


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A server that this process takes for the hub."""
    with serving({}) as server:
        for key, value in server.env(tmp_path, "hf_right").items():
            monkeypatch.setenv(key, value)
        for key in ("HF_HUB_OFFLINE", "QUESTWELL_OFFLINE"):
            monkeypatch.delenv(key, raising=False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)  # read once, perhaps before this test
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
        yield server


@BY_ITS_LIBRARY
@pytest.mark.parametrize(
    ("at", "status", "why"),
    [
        ("/repos/create", 403, "give it the right to write"),
        ("/commit/", 401, "HF_TOKEN is not valid or has expired"),
        ("/commit/", 409, "run the same command again"),
        ("/commit/", 429, "run the same command again in a few minutes"),
        ("/commit/", 500, "run the same command again"),
        ("/preupload/", 502, "run the same command again"),
        ("/lfs/", 500, "run the same command again"),
    ],
)
def test_a_refusal_at_any_step_leaves_nothing_and_the_same_command_ends_it(
    made: Path, inside: HubServer, at: str, status: int, why: str
) -> None:
    push = prepare(made, "me/bridges")
    inside.refusals[at] = status
    with pytest.raises(AssetError, match=rf"did not take me/bridges: {status}, .*no part of it is there; .*{why}"):
        send(push)
    assert all(not repo.files and not repo.commits for repo in inside.repos.values())
    inside.refusals.clear()
    done = send(push)
    assert done.removed == [] and inside.repos["me/bridges"].files.keys() == {one.path for one in push.parcels}


def test_a_hub_that_does_not_answer(made: Path, inside: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    inside.shutdown()
    inside.server_close()
    with pytest.raises(AssetError, match=r"did not take me/bridges: .*refused.*run the same command again"):
        send(prepare(made, "me/bridges"))


@BY_ITS_LIBRARY
def test_a_repository_of_something_else_is_left_alone(made: Path, inside: HubServer) -> None:
    theirs = {"README.md": b"mine", "data/train.parquet": b"mine", "manifest.json": b"{}"}
    inside.repos["me/bridges"] = Repo(dict(theirs), private=True)
    with pytest.raises(ConfigError, match=r"did not push \(data/train.parquet\): name another"):
        send(prepare(made, "me/bridges"))
    with pytest.raises(ConfigError, match="private: make it public on the hub, or leave --public out"):
        send(prepare(made, "me/bridges", public=True))
    assert inside.repos["me/bridges"].files == theirs
    inside.repos["me/bridges"] = Repo({"README.md": b"", ".gitattributes": b""}, private=True)  # as the hub makes one
    assert send(prepare(made, "me/bridges")).removed == []


@pytest.mark.slow
def test_a_hub_that_refuses_is_an_error_that_says_why(made: Path, tmp_path: Path) -> None:
    with serving({}) as server:
        code, told = questwell(server, tmp_path, "push", str(made), "me/bridges", token=None)
        assert code == 2 and "set HF_TOKEN" in told and server.asked == []
        code, told = questwell(server, tmp_path, "push", str(made), "me/bridges", token="hf_wrong")
        assert code == 1 and "the hub did not take me/bridges" in told and "401" in told
        assert server.repos == {}


def test_what_reviews_keep_out_by_now_is_not_pushed(run: Path, made: Path) -> None:
    assert len(prepare(made, "me/bridges").parcels) > 5
    train = read_parquet(made / "data" / "train.parquet", Item)
    sealed = {one.id for one in items(run)} - {one.id for name in ("train", "dev") for one in _plain(made, name)}
    for number, one in enumerate((train[0], next(item for item in items(run) if item.id in sealed)), 1):
        seed = one.id.rpartition("-")[2]
        review(run, seed, (one.question, one.answer, one.aliases), Decision.REJECT, reviewer="ann", supersedes=0)
        with pytest.raises(StoreError, match=rf"{number} items .* not to be published .*{one.id}"):
            prepare(made, "me/bridges")


def _plain(made: Path, name: str) -> list[Item]:
    return read_parquet(made / "data" / f"{name}.parquet", Item)


def test_an_edit_after_the_dataset_was_made_keeps_the_old_words_out(run: Path, made: Path) -> None:
    one = _plain(made, "dev")[0]
    pair = (one.question, one.answer, one.aliases)
    edited = ("When was the first of the bridges opened?", one.answer, ())
    review(run, one.id.rpartition("-")[2], pair, Decision.EDIT, reviewer="ann", supersedes=0, edited=edited)
    with pytest.raises(StoreError, match=one.id):
        prepare(made, "me/bridges")


def test_a_run_that_is_not_there_is_asked_for(run: Path, made: Path, tmp_path: Path) -> None:
    moved = run.rename(tmp_path / "moved")
    with pytest.raises(ConfigError, match="is not where it was, so its reviews are not known; say where it is: --run"):
        prepare(made, "me/bridges")
    assert prepare(made, "me/bridges", runs=[moved]).parcels


def test_a_file_that_was_changed_is_not_pushed(made: Path) -> None:
    path = made / "grpo" / "train.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("bridge", "brigde"), encoding="utf-8")
    with pytest.raises(StoreError, match=r"grpo/train.jsonl was changed"):
        prepare(made, "me/bridges")
    path.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        prepare(made, "me/bridges")
    with pytest.raises(ConfigError, match="'bridges' is not a valid name on the hub"):
        prepare(made, "bridges")


@pytest.mark.filterwarnings("ignore")  # of the library and of what it reads parquet with
def test_mlcommons_library_reads_the_croissant_document(made: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    document = json.loads((made / "croissant.json").read_text(encoding="utf-8"))
    read = mlcroissant.Dataset(jsonld=str(made / "croissant.json"))
    assert not read.metadata.ctx.issues.errors
    assert read.metadata.data_limitations and read.metadata.machine_annotation_tools
    missing = {key for key in document if key.startswith("rai:")} - {
        f"rai:{_camel(name)}" for name, value in vars(read.metadata).items() if value
    }
    assert missing == set()  # no name of ours that the vocabulary does not have
    for name in ("train", "dev"):
        rows = list(read.records(record_set=name))
        plain = _plain(made, name)
        assert [row[f"{name}/question"].decode() for row in rows] == [item.question for item in plain]
        assert [row[f"{name}/difficulty"] for row in rows] == [item.difficulty for item in plain]
        titles = [[title.decode() for title in row[f"{name}/evidence_titles"]] for row in rows]
        assert titles == [list(item.evidence_titles) for item in plain]
    assert len(list(read.records(record_set="test"))) == read_manifest(made).splits["test"].items
    hashes = {one["contentUrl"]: one["sha256"] for one in document["distribution"]}
    assert hashes.items() <= {file.path: file.sha256 for file in read_manifest(made).files}.items()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
