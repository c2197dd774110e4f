"""Checkpoints: folders, written atomically, that contain everything that the next step depends on.

`step-000010/` holds `state.pt` (weights, optimisers, schedules, random numbers, position) and `model/`, the policy as a
Hugging Face folder, adapter merged in: serve it with vLLM or name it to `--llm`.
"""

# torch is only partly typed; what this file exports is annotated by hand.
# pyright: reportUnknownMemberType=false

import os
import pickle
import random
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from questwell.errors import CheckpointError
from questwell.text.whole import to_disk

_NAME = re.compile(r"step-(\d{6,})")
State = Mapping[str, Any]
SaveModel = Callable[[Path], None]


def write(folder: Path, step: int, state: State, save_model: SaveModel, keep: int, best: int | None = None) -> Path:
    """Write the checkpoint of `step`, delete all but the newest `keep` and that of step `best`; return its path."""
    final = folder / f"step-{step:06d}"
    fresh = folder / f".{final.name}.{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    torch.save(dict(state), fresh / "state.pt")
    save_model(fresh / "model")
    for path in [*fresh.rglob("*"), fresh]:
        to_disk(path)
    if final.exists():  # left by an earlier run in the same folder
        shutil.rmtree(final)
    fresh.rename(final)
    to_disk(folder)
    for old in steps(folder)[:-keep]:
        if old == best:
            continue
        shutil.rmtree(folder / f"step-{old:06d}")
    for left in folder.glob(".step-*"):  # left by processes that were killed
        shutil.rmtree(left, ignore_errors=True)
    return final


def write_model(folder: Path, save_model: SaveModel) -> None:
    """Write a model folder atomically."""
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    save_model(fresh)
    for path in [*fresh.rglob("*"), fresh]:
        to_disk(path)
    fresh.rename(folder)
    to_disk(folder.parent)


def read(folder: Path) -> State:
    """Return the state in the newest checkpoint of `folder`.

    Raises:
        CheckpointError: there is no checkpoint, or it cannot be read.
    """
    found = steps(folder)
    if not found:
        raise CheckpointError(f"{str(folder)!r} contains no checkpoint to continue from")
    path = folder / f"step-{found[-1]:06d}" / "state.pt"
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, LookupError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from error


def steps(folder: Path) -> list[int]:
    """Return the steps that have a checkpoint in `folder`, ascending."""
    names = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))


def random_state() -> State:
    """Return the state of every random number generator: Python, NumPy, torch, CUDA."""
    kind, keys, position, has_gauss, gauss = cast(tuple[str, Any, int, int, float], np.random.get_state())
    version, numbers, following = random.getstate()
    return {
        "python": [version, list(numbers), following],
        "numpy": [kind, keys.tolist(), position, has_gauss, gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: State) -> None:
    """Restore the random number generators to a state from `random_state`."""
    version, numbers, following = state["python"]
    random.setstate((version, tuple(numbers), following))
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
