"""Implements `questwell push`: uploads an unchanged dataset to the Hugging Face hub in one commit.

It refuses files that have changed, and items that a review now excludes: it reads the runs again before it uploads. The
repository is private unless the user asks for a public one.
"""

# huggingface_hub is typed in part only.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2

from questwell.datasets.croissant import croissant
from questwell.datasets.manifest import Manifest
from questwell.errors import AssetError, ConfigError, StoreError
from questwell.evaluation.browsecomp import decrypt
from questwell.http.loopback import let_hub_libraries_pass_proxies
from questwell.recipes.dataset.build import CROISSANT, PLACES, read_manifest
from questwell.recipes.dataset.parquet import read_columns
from questwell.recipes.reports.items import Edited, Policy, ReviewedBy, each_item
from questwell.recipes.runs.description import info_of
from questwell.store.reader import RunReader

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_OURS = re.compile(r"(data|sealed|verl|trl|sharegpt|sft|beir|grpo|search-r1|slime|alpaca)/.+|(dropped|overlaps)\.jsonl")
"""Files of an earlier version of the dataset, deleted if the new version lacks them."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file to upload."""

    path: str
    """Path in the repository."""
    content: bytes | Path
    """The content, or the file that holds it."""
    size: int
    """Size in bytes."""


@dataclass(frozen=True, slots=True)
class Push:
    """The files to push, all checked."""

    repository: str
    public: bool
    manifest: Manifest
    parcels: Sequence[Parcel]

    @property
    def bytes(self) -> int:
        """Size of all files in bytes."""
        return sum(parcel.size for parcel in self.parcels)


@dataclass(frozen=True, slots=True)
class Pushed:
    """The result of a push."""

    url: str
    """Address of the dataset's page."""
    commit: str
    removed: Sequence[str]
    """Files of an earlier version that the new one does not have."""


def prepare(folder: Path, repository: str, *, public: bool = False, runs: Sequence[Path] = ()) -> Push:
    """Check the dataset in `folder` and return it ready for upload; sends nothing.

    Args:
        folder: folder that `questwell dataset` made.
        repository: name on the hub, OWNER/NAME.
        public: whether everyone may read the repository.
        runs: new locations of its runs, if they have moved.

    Raises:
        ConfigError: `repository` is not a valid name, or a run has moved, so its reviews are unknown.
        StoreError: a file has changed, or a review now excludes an item.
    """
    if not _NAME.fullmatch(repository):
        raise ConfigError(f"{repository!r} is not a valid name on the hub; use OWNER/NAME")
    manifest = read_manifest(folder)
    refused = _refused(folder, manifest, _places(folder, runs))
    if refused:
        few = ", ".join(refused[:3]) + (" ..." if len(refused) > 3 else "")
        raise StoreError(
            f"{len(refused)} items of the dataset are not to be published by the reviews as they are now: {few}; "
            "make the dataset again with questwell dataset"
        )
    page = f"{_endpoint()}/datasets/{repository}"
    document = json.dumps(croissant(manifest, page), ensure_ascii=False, indent=1) + "\n"
    parcels = [_unchanged(folder, file.path, file.sha256) for file in manifest.files]
    small = {name: _read(folder / name) for name in ("README.md", "manifest.json")}
    small[CROISSANT] = document.encode()
    parcels += [Parcel(name, content, len(content)) for name, content in small.items()]
    return Push(repository, public, manifest, parcels)


def send(push: Push) -> Pushed:
    """Create the repository if it does not exist, and commit everything at once.

    Raises:
        ConfigError: no token; the repository is public but the dataset should be private, or the other
            way round; or a repository with data that Questwell did not push.
        AssetError: the hub refuses, or cannot be reached.
    """
    if os.environ.get("QUESTWELL_OFFLINE") or os.environ.get("HF_HUB_OFFLINE"):
        raise ConfigError("push needs the hub, and QUESTWELL_OFFLINE or HF_HUB_OFFLINE is set")
    try:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise ConfigError("push needs huggingface_hub: pip install 'questwell[hub]'") from error
    if not get_token():
        raise ConfigError("push needs a token with the right to write: set HF_TOKEN, or run hf auth login")
    let_hub_libraries_pass_proxies()
    hub, repository = HfApi(endpoint=_endpoint()), push.repository
    kind = "dataset"
    try:
        hub.create_repo(repository, repo_type=kind, private=not push.public, exist_ok=True)
        found = hub.repo_info(repository, repo_type=kind)
        there = hub.list_repo_files(repository, repo_type=kind)
        _may_be_written(push, there, private=bool(found.private))
        stale = [path for path in there if _OURS.fullmatch(path) and path not in {one.path for one in push.parcels}]
        operations = [CommitOperationAdd(one.path, one.content) for one in push.parcels]
        commit = hub.create_commit(
            repository,
            [*operations, *map(CommitOperationDelete, stale)],
            commit_message=f"{push.manifest.name}, made with Questwell {push.manifest.questwell}",
            repo_type=kind,
        )
    except (HfHubHTTPError, httpx2.HTTPError, OSError, RuntimeError) as error:
        # A failed upload raises RuntimeError in the hub's library; its cause is the hub's response.
        raise AssetError(f"the hub did not take {repository}: {_refusal(error)}") from error
    return Pushed(f"{_endpoint()}/datasets/{repository}", commit.oid, stale)


def _may_be_written(push: Push, there: Sequence[str], *, private: bool) -> None:
    name = push.repository
    if private and push.public:
        raise ConfigError(f"{name} is there already, and private: make it public on the hub, or leave --public out")
    if not private and not push.public:
        raise ConfigError(f"{name} is there already, and everyone can read it: say --public, or name another")
    theirs = [path for path in there if _OURS.fullmatch(path)]
    if theirs and not {"manifest.json", CROISSANT} <= set(there):
        few = ", ".join(theirs[:3]) + (" ..." if len(theirs) > 3 else "")
        raise ConfigError(f"{name} holds data that Questwell did not push ({few}): name another repository")


def _refusal(error: Exception) -> str:
    """Return the hub's response, and advice."""
    said = error.__cause__ if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception) else error
    status = getattr(getattr(said, "response", None), "status_code", None)
    told = getattr(said, "server_message", None) or str(said).partition("\n")[0] or type(said).__name__
    match status:
        case 401:
            advice = "HF_TOKEN is not valid or has expired: make another one"
        case 403:
            advice = "the token may not write there: give it the right to write, or name another repository"
        case 429:
            advice = "too many requests: run the same command again in a few minutes"
        case _:
            advice = "run the same command again"
    answer = told if status is None else f"{status}, {told}"
    return f"{answer.rstrip('. ')}. Everything goes in one commit, so no part of it is there; {advice}"


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _places(folder: Path, runs: Sequence[Path]) -> dict[str, Path]:
    """Return the location of each run, by id."""
    try:
        known: Mapping[str, str] = json.loads((folder / PLACES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    places = {name: Path(place) for name, place in known.items() if Path(place).is_dir()}
    for run in runs:
        places[_id_of(run)] = run
    return places


def _id_of(run: Path) -> str:
    with RunReader(run) as reader:
        return info_of(reader).run_id


def _refused(folder: Path, manifest: Manifest, places: Mapping[str, Path]) -> list[str]:
    """Return the ids of items that the same command would now exclude or write differently."""
    settings = manifest.settings
    policy = Policy(ReviewedBy(str(settings.get("reviewed", "any"))), Edited(str(settings.get("edited", "rechecked"))))
    allowed = set[bytes]()
    for source in manifest.sources:
        if source.run_id not in places or _id_of(places[source.run_id]) != source.run_id:
            raise ConfigError(
                f"run {source.run_id} is not where it was, so its reviews are not known; say where it is: --run RUN"
            )
        allowed |= {_digest(one.id, one.question, one.answer) for one in each_item(places[source.run_id], policy)}
    return [found[0] for found in _pairs(folder, manifest) if _digest(*found) not in allowed]


def _pairs(folder: Path, manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    """Yield id, question and answer of each item, including those of sealed splits."""
    for name in manifest.splits:
        if name not in manifest.sealed:
            for row in read_columns(folder / "data" / f"{name}.parquet", ("id", "question", "answer")):
                yield row["id"], row["question"], row["answer"]
            continue
        with (folder / "sealed" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                question, answer = (decrypt(row[key], row["canary"]) for key in ("problem", "answer"))
                yield row["id"], question, answer


def _digest(*texts: str) -> bytes:
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).digest()


def _unchanged(folder: Path, path: str, sha256: str) -> Parcel:
    try:
        with (folder / path).open("rb") as file:
            now = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        raise _unreadable(folder / path, error) from error
    if now != sha256:
        raise StoreError(f"{path} was changed since the dataset was made; make it again with questwell dataset")
    return Parcel(path, folder / path, size)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{str(path)!r} of the dataset cannot be read: {error.strerror or error}")
