"""A run's held-out evaluations: a line of `evaluations.jsonl` for each, and which step was the best so far."""

from collections.abc import Sequence
from pathlib import Path

from questwell.training.metrics import Metrics, read_metrics

FILE = "evaluations.jsonl"


def read_evaluations(folder: Path) -> list[dict[str, float]]:
    """The held-out evaluations of the run in `folder`, in the order in which they were made."""
    path = folder / FILE
    return read_metrics(path) if path.is_file() else []


def curves(folder: Path) -> list[dict[str, float]]:
    """Every step of the run in `folder`, then every held-out evaluation: what its charts are drawn from."""
    path, held_out = folder / "metrics.jsonl", read_evaluations(folder)
    return [*(read_metrics(path) if path.is_file() or not held_out else ()), *held_out]


def best_of(evaluations: Sequence[Metrics]) -> Metrics | None:
    """The evaluation with the highest held-out reward; of several that are equal, the earliest.

    The earlier policy of two equal ones has moved less from where it started. Step 0 is the policy before training.
    """
    known = [row for row in evaluations if "held_out_reward" in row]
    return max(known, key=lambda row: (row["held_out_reward"], -row["step"]), default=None)


def checkpoint_model(folder: Path, step: int | None) -> Path | None:
    """The Hugging Face folder of the checkpoint of `step`; None where there is none."""
    model = folder / "checkpoints" / f"step-{step or 0:06d}" / "model"
    return model if model.is_dir() else None
