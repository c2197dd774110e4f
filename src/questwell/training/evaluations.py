"""Reads the held-out evaluations of a run (`evaluations.jsonl`, one line each) and picks the best step."""

from collections.abc import Sequence
from pathlib import Path

from questwell.training.metrics import Metrics, read_metrics

FILE = "evaluations.jsonl"


def read_evaluations(folder: Path) -> list[dict[str, float]]:
    """Return the held-out evaluations of the run in `folder`, in the order in which they were made."""
    path = folder / FILE
    return read_metrics(path) if path.is_file() else []


def curves(folder: Path) -> list[dict[str, float]]:
    """Return the metrics of every step of the run in `folder`, then every held-out evaluation, for charts."""
    path, held_out = folder / "metrics.jsonl", read_evaluations(folder)
    return [*(read_metrics(path) if path.is_file() or not held_out else ()), *held_out]


def best_of(evaluations: Sequence[Metrics]) -> Metrics | None:
    """Return the evaluation with the highest held-out reward; the earliest of equal ones; None if there are none.

    Of two equal policies the earlier one has changed less from the initial policy. Step 0 is before training.
    """
    known = [row for row in evaluations if "held_out_reward" in row]
    return max(known, key=lambda row: (row["held_out_reward"], -row["step"]), default=None)


def checkpoint_model(folder: Path, step: int | None) -> Path | None:
    """Return the Hugging Face folder of the checkpoint of `step`; None if there is none."""
    model = folder / "checkpoints" / f"step-{step or 0:06d}" / "model"
    return model if model.is_dir() else None
