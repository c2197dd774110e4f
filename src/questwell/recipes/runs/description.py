"""Reads and writes the description of a run, wherever its command stores it.

Commands that record calls store it in the run file, so that there is one file to copy. Commands that work in steps
store it in `run.json`.
"""

from dataclasses import replace as replaced
from pathlib import Path

from pydantic import ValidationError

from questwell.errors import StoreError
from questwell.recipes.runs.files import replace
from questwell.store.query import begun
from questwell.store.reader import RunReader
from questwell.store.records import RunInfo
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


def write(folder: Path, info: RunInfo) -> None:
    """Save the description, for a command that works in steps."""
    replace(folder / FILE_NAME, adapter(RunInfo).dump_json(info, indent=2) + b"\n")


def _read_json(path: Path) -> RunInfo:
    try:
        return adapter(RunInfo).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise StoreError(f"{str(path)!r} is not the description of a run: {what}") from error
