"""Checks what a run needs from this machine: disk, a writable folder, extras, GPUs and prompts. `doctor` prints it."""

import importlib.util
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from questwell.agents.prompts import Prompts
from questwell.errors import ConfigError, StoreError
from questwell.recipes.runs import description
from questwell.recipes.runs.config import nearest
from questwell.recipes.runs.extras import EXTRAS, command

_SPARE_BYTES = 1_000_000_000
"""Free space below which a run is likely to fill the disk."""


class Health(StrEnum):
    """Result of one check."""

    OK = "ok"
    ABSENT = "absent"
    """It is missing, but nothing that was asked for needs it."""
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """What was checked, what was found, and what to do."""

    name: str
    health: Health
    found: str
    advice: str = ""
    takes: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the endpoint does with each part of a role's request: stop, tools, schema, temperature, length."""


def disk(folder: Path, name: str = "disk") -> Check:
    """Check whether there is space for `folder`."""
    free = shutil.disk_usage(_there(folder)).free
    found = f"{free / 1e9:.1f} GB free for {folder}"
    if free < _SPARE_BYTES:
        return Check(name, Health.WARNING, found, "free some space, or name another folder by QUESTWELL_HOME")
    return Check(name, Health.OK, found)


def out(folder: Path) -> Check:
    """Check whether a run can be written to `folder`, by writing a temporary file there."""
    there, advice = _there(folder), "name another folder by --out"
    try:
        if not there.is_dir():
            raise NotADirectoryError(20, "it is a file")
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"questwell")
        saved = description.read(folder) if folder.is_dir() else None
    except OSError as error:
        why = f"{str(there)!r} cannot be written: {error.strerror or error}"
        return Check("out", Health.FAILED, why, advice)
    except StoreError as error:
        return Check("out", Health.FAILED, str(error), advice)
    if saved is not None:
        found = f"{folder} can be written; it contains a run of {saved.kind}"
        return Check("out", Health.OK, found, f"questwell resume {folder} continues it")
    return Check("out", disk(folder).health, f"{folder} can be written, {disk(folder).found.partition(' for ')[0]}")


def extras(asked: Collection[str] = ()) -> list[Check]:
    """Check each extra: whether it is installed, its purpose, and how to install it. Missing ones in `asked` fail."""
    if unknown := [name for name in asked if name not in EXTRAS]:
        raise ConfigError(f"there is no extra {unknown[0]!r}{nearest(unknown[0], EXTRAS)}; use {', '.join(EXTRAS)}")
    rows: list[Check] = []
    for name, extra in EXTRAS.items():
        missing = extra.missing()
        if not missing:
            rows.append(Check(f"extra {name}", Health.OK, f"installed; for {extra.purpose}"))
            continue
        health = Health.FAILED if name in asked else Health.ABSENT
        why = f"not installed ({', '.join(missing)}); for {extra.purpose}"
        rows.append(Check(f"extra {name}", health, why, command(name)))
    return rows


def gpu(*, asked: bool = False) -> Check:
    """Check which GPUs torch sees; fails if one was `asked` for and there is none."""
    none = Health.FAILED if asked else Health.ABSENT
    if importlib.util.find_spec("torch") is None:
        return Check("gpu", none, "not looked for: torch is not installed", command("train") if asked else "")
    from questwell.training.accelerators import gpus

    found = gpus()
    if not found:
        return Check("gpu", none, "none: torch sees no GPU; training and model folders run on the CPU")
    return Check("gpu", Health.OK, ", ".join(found))


def prompts(folder: Path | None) -> Check:
    """Check whether the prompt files in `folder` are usable, and which available values they leave out."""
    try:
        used = Prompts(folder)
    except ConfigError as error:
        return Check("prompts", Health.FAILED, str(error), "correct the file; docs/agents.md lists prompts and values")
    if folder is None:
        return Check("prompts", Health.OK, f"the packaged ones (hash {used.hash})")
    if not used.replaced:
        advice = "put files there such as proposer.md, named as the packaged ones"
        return Check("prompts", Health.WARNING, f"no .md file in {folder}: the packaged prompts are used", advice)
    left_out = {name: values for name, values in used.replaced.items() if values}
    found = f"{folder} replaces {', '.join(used.replaced)} (hash {used.hash})"
    if left_out:
        named = "; ".join(f"{name}: {', '.join(f'${one}' for one in sorted(of))}" for name, of in left_out.items())
        return Check("prompts", Health.WARNING, found, f"the model is not shown what the packaged file shows: {named}")
    return Check("prompts", Health.OK, found)


def _there(folder: Path) -> Path:
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
