"""What a run is: its kind, and the config it was started with."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from questwell.errors import StoreError
from questwell.store.reader import RunReader
from questwell.store.records import RunInfo


def info_of(run: RunReader, kind: str = "generate") -> RunInfo:
    """What the run is; StoreError when it was killed before it had saved that, or when another verb made it."""
    info = run.info()
    if info is None:
        raise StoreError(f"the run in {str(run.folder)!r} ended before it began; start it again with --resume")
    if info.kind != kind:
        raise StoreError(f"{str(run.folder)!r} holds a run of {info.kind}, not of {kind}; questwell status reads it")
    return info


def kind_of(folder: Path) -> str:
    """The verb that made the run in `folder`; StoreError when there is none, or it ended before it began."""
    with RunReader(folder) as run:
        info = run.info()
    return "generate" if info is None else info.kind


def config_of(info: RunInfo) -> Mapping[str, object]:
    """The saved config."""
    return cast(Mapping[str, object], info.config)
