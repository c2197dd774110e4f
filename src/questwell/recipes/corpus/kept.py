"""Implements `questwell index --list` and `--prune`: lists cached indexes, and deletes unusable ones."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from questwell.assets.cache import home, is_locked
from questwell.errors import QuestwellError, RetrievalError
from questwell.retrieval.index.manifest import Manifest


@dataclass(frozen=True, slots=True)
class KeptIndex:
    """An index in the cache folder."""

    folder: Path
    corpus: str
    """Name of its corpus, if known."""
    passages: int | None
    """Number of passages; None if the index is incomplete or cannot be read."""
    size: int
    """Size on disk in bytes, vectors included."""
    useless: str
    """Why `--prune` deletes it; empty if it is usable."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """The deleted indexes."""

    deleted: tuple[KeptIndex, ...]
    size: int
    """Number of freed bytes."""


@dataclass(frozen=True, slots=True)
class KeptReport:
    """State of the cache folder after the command."""

    kept: tuple[KeptIndex, ...]
    deleted: tuple[KeptIndex, ...]


def kept_indexes() -> tuple[KeptIndex, ...]:
    """Return the indexes in the cache folder, by name. Indexes in other folders are not listed."""
    folder = home() / "indexes"
    return tuple(_look(path) for path in sorted(folder.iterdir()) if path.is_dir()) if folder.is_dir() else ()


def prune_indexes() -> Pruned:
    """Delete the indexes that cannot be opened: unfinished ones, or those of another version. Skips one in use.

    Raises:
        RetrievalError: an index cannot be deleted.
    """
    gone: list[KeptIndex] = []
    for kept in kept_indexes():
        if kept.useless and not is_locked(kept.folder / "lock"):
            try:
                shutil.rmtree(kept.folder)
            except OSError as error:
                raise RetrievalError(f"index {kept.folder} cannot be deleted: {error.strerror}") from error
            gone.append(kept)
    return Pruned(tuple(gone), sum(kept.size for kept in gone))


def _look(folder: Path) -> KeptIndex:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    name = folder.name.rsplit("-", 3)[0]
    try:
        manifest = Manifest.read(folder)
    except QuestwellError as error:
        return KeptIndex(folder, name, None, size, f"it cannot be opened: {error}")
    if manifest is None:
        return KeptIndex(folder, name, None, size, "its build was not finished")
    return KeptIndex(folder, manifest.corpus, manifest.passages, size, "")
