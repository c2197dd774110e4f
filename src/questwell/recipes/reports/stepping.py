"""Status of step-based runs: train and self-play."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from questwell.errors import StoreError, TrainingError
from questwell.recipes.reports.ledger import Ledger, ledgers
from questwell.recipes.runs import description
from questwell.recipes.runs.description import config_of
from questwell.recipes.selfplay.record import Record
from questwell.store.records import RunInfo
from questwell.text.files import read_jsonl
from questwell.training.evaluations import best_of, checkpoint_model, read_evaluations
from questwell.training.metrics import read_metrics

_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class StepStatus:
    """Status of a step-based run."""

    info: RunInfo
    steps: int
    """Number of steps made. A resume repeats those after the newest checkpoint."""
    wanted: int | None
    """Number of requested steps; None if the run does not save it."""
    saved: int
    """Step of the newest checkpoint; 0 before the first."""
    model: Path | None
    """Folder of the checkpoint's policy, in Hugging Face format."""
    newest: Mapping[str, float | None]
    """Metrics of the newest step, by name; None if unknown."""
    alarms: Sequence[str]
    """Signs of collapse at the newest step with any, one sentence each; train runs do not store them."""
    ledgers: Sequence[Ledger]
    """Usage of judge and verifier, one entry per process that called them; empty if no model was called."""
    evaluations: Sequence[Mapping[str, float]] = ()
    """The held-out evaluations of train, in chronological order."""
    best: Mapping[str, float] | None = None
    """Evaluation with the highest held-out reward, the earliest if tied; None before the first."""
    best_model: Path | None = None
    """Hugging Face folder of the best policy; None if that is the policy before training."""


@dataclass(frozen=True, slots=True)
class TrainAttempt:
    """An attempt that a train run saved for people to read."""

    step: int
    question: str
    answers: tuple[str, ...]
    reward: float | None
    """Reward; None if the attempt errored or could not be judged, and so was not trained on."""
    answer: str | None
    stop: str
    turns: tuple[tuple[str, str | None], ...]
    """Pairs of (what the model wrote, what it saw after that)."""


_ATTEMPT = TypeAdapter(TrainAttempt)


class _Saved(BaseModel):
    model_config = ConfigDict(extra="ignore")
    step: int


_SAVED = TypeAdapter(_Saved)


class _Asked(BaseModel):
    model_config = ConfigDict(extra="ignore")
    steps: int | None = None


def train_status(folder: Path) -> StepStatus:
    """Return the status of the train run in `folder`; raises StoreError if it cannot be read."""
    rows = train_rows(folder)
    found = _status(folder, len(rows), rows[-1] if rows else {}, ())
    evaluations = _readable(folder, lambda: read_evaluations(folder))
    best = best_of(evaluations)
    model = checkpoint_model(folder, int(best["step"])) if best else None
    return replace(found, evaluations=evaluations, best=best, best_model=model)


def selfplay_status(folder: Path) -> StepStatus:
    """Return the status of the self-play run in `folder`; raises StoreError if it cannot be read."""
    rows = Record(folder).rows()
    newest: dict[str, float | None] = {"step": rows[-1].step, **rows[-1].values} if rows else {}
    held_out = next((row for row in rows[::-1] if row.values.get("held_out_accuracy") is not None), None)
    if held_out is not None:  # it is measured now and then
        newest["held_out_accuracy"] = held_out.values["held_out_accuracy"]
    alarms = next((row.alarms for row in rows[::-1] if row.alarms), ())
    return _status(folder, max((row.step for row in rows), default=0), newest, alarms)


def train_rows(folder: Path) -> list[dict[str, float]]:
    """Return the metrics of each train step."""
    path = folder / "metrics.jsonl"
    return _readable(folder, lambda: read_metrics(path) if path.is_file() else [])


def _readable(folder: Path, read: Callable[[], list[dict[str, float]]]) -> list[dict[str, float]]:
    try:
        return read()
    except TrainingError as error:
        raise StoreError(f"the metrics of {str(folder)!r} cannot be read: {error}") from error


def train_attempts(folder: Path, step: int) -> list[TrainAttempt]:
    """Return the saved attempts of a train step; raises StoreError if there is no such step."""
    steps = [int(row["step"]) for row in train_rows(folder)]
    if step not in steps:
        last = f"the last one is {steps[-1]}" if steps else "it has none yet"
        raise StoreError(f"the run in {str(folder)!r} has no step {step}; {last}")
    path = folder / "attempts.jsonl"
    if not path.is_file():
        return []
    return [one for _, one in read_jsonl(path, _ATTEMPT, StoreError, ended=True) if one.step == step]


def saved_steps(folder: Path) -> list[int]:
    """Return the train steps with saved attempts, in order."""
    path = folder / "attempts.jsonl"
    if not path.is_file():
        return []
    return sorted({one.step for _, one in read_jsonl(path, _SAVED, StoreError, ended=True)})


def _status(folder: Path, steps: int, newest: Mapping[str, float | None], alarms: Sequence[str]) -> StepStatus:
    info = description.read(folder)
    if info is None:
        raise StoreError(f"there is no run in {str(folder)!r}")
    saved = _newest_checkpoint(folder / _CHECKPOINTS)
    model = folder / _CHECKPOINTS / f"step-{saved:06d}" / "model" if saved else None
    wanted = _Asked.model_validate(config_of(info)).steps
    return StepStatus(info, steps, wanted, saved, model, newest, alarms, ledgers(folder))


def _newest_checkpoint(folder: Path) -> int:
    """Return the step of the newest checkpoint; 0 if there is none. Unlike the trainer's reader, needs no torch."""
    names = [path.name.removeprefix("step-") for path in folder.glob("step-*") if path.is_dir()]
    return max((int(name) for name in names if name.isdigit()), default=0)
