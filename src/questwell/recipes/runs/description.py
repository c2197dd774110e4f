"""Reads and writes the description of a run, wherever its command stores it.

Commands that record calls store it in the run file, so that there is one file to copy. Commands that work in steps
store it in `run.json`.
"""

from collections.abc import Mapping
from dataclasses import replace as replaced
from pathlib import Path
from typing import cast

from questwell.errors import StoreError
from questwell.recipes.runs.files import replace
from questwell.store.query import begun
from questwell.store.reader import RunReader
from questwell.store.records import RunInfo
from questwell.store.run_info import read_info
from questwell.text.adapters import adapter

FILE_NAME = "run.json"
_OLD_SELFPLAY = "selfplay.json"
_UNNAMED = "generate"
"""The kind that older versions gave every run that was not an evaluation."""
_MARKS = {"of run": "gates", "recheck of": "recheck"}
"""Fingerprint entries that identify the command that made an old run."""


def read(folder: Path) -> RunInfo | None:
    """Read the description of the run in `folder`; None if there is no run or it was killed before saving one.

    Raises:
        StoreError: the description cannot be read.
    """
    for name, older in ((FILE_NAME, "train"), (_OLD_SELFPLAY, "selfplay")):
        if (folder / name).is_file():
            info = _read_json(folder / name)
            return replaced(info, kind=older) if info.kind == _UNNAMED else info
    if not begun(folder):
        return None
    with RunReader(folder) as run:
        return of(run)


def of(run: RunReader) -> RunInfo | None:
    """Return the description in an open run file; None if it was not saved yet."""
    info = run.info()
    if info is not None and info.kind == _UNNAMED:
        kind = next((kind for entry, kind in _MARKS.items() if entry in info.fingerprint), _UNNAMED)
        return replaced(info, kind=kind)
    return info


PLAYED = ("generate", "harden", "recheck")
"""Commands whose runs contain plays: seeds with rounds, verdicts and items."""


def info_of(run: RunReader, *kinds: str) -> RunInfo:
    """Return the run's description; StoreError if it has none yet, or is not of one of `kinds` (default `PLAYED`)."""
    info = of(run)
    if info is None:
        raise StoreError(
            f"the run in {str(run.folder)!r} was killed before it had started; start it again with --resume"
        )
    kinds = kinds or PLAYED
    if info.kind not in kinds:
        wanted = " or ".join(kinds)
        raise StoreError(
            f"{str(run.folder)!r} contains a run of {info.kind}, not of {wanted}; questwell status reads it"
        )
    return info


def kind_of(folder: Path) -> str:
    """Return the name of the command that made the run in `folder`.

    Raises:
        StoreError: there is no run, or it was killed before it started.
    """
    info = read(folder)
    if info is None:
        with RunReader(folder) as run:  # raises with what is missing
            return info_of(run).kind
    return info.kind


def config_of(info: RunInfo) -> Mapping[str, object]:
    """Return the saved config."""
    return cast(Mapping[str, object], info.config)


def write(folder: Path, info: RunInfo) -> None:
    """Save the description, for a command that works in steps."""
    replace(folder / FILE_NAME, adapter(RunInfo).dump_json(info, indent=2) + b"\n")


def _read_json(path: Path) -> RunInfo:
    try:
        return read_info(path.read_bytes(), path)
    except OSError as error:
        raise StoreError(f"{str(path)!r} is not the description of a run: {error}") from error
