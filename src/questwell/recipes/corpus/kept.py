"""Behind `questwell index --list` and `--prune`: the indexes in the cache folder, and which of them are useless."""

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
    """Name of its corpus, as far as it is known."""
    passages: int | None
    """Number of passages; None if the index is incomplete or cannot be read."""
    size: int
    """Size on disk in bytes, vectors included."""
    useless: str
    """Why `--prune` deletes it; empty if it can be opened."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """The deleted indexes."""

    deleted: tuple[KeptIndex, ...]
    size: int
    """Number of freed bytes."""


@dataclass(frozen=True, slots=True)
class KeptReport:
    """The cache folder after a command."""

    kept: tuple[KeptIndex, ...]
    deleted: tuple[KeptIndex, ...]


def kept_indexes() -> tuple[KeptIndex, ...]:
    """The indexes in the cache folder, by name; those in folders of your own are not known."""
    folder = home() / "indexes"
    return tuple(_look(path) for path in sorted(folder.iterdir()) if path.is_dir()) if folder.is_dir() else ()


def prune_indexes() -> Pruned:
    """Delete the indexes that cannot be opened: begun and not finished, or of another version. One in use is left.

    Raises:
        RetrievalError: one could not be deleted.
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
        return KeptIndex(folder, name, None, size, "it was begun and not finished")
    return KeptIndex(folder, manifest.corpus, manifest.passages, size, "")
