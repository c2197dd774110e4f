"""How a run that goes by steps stands: train and self-play."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from questwell.errors import StoreError, TrainingError
from questwell.recipes.reports.ledger import Ledger, ledgers
from questwell.recipes.runs import description
from questwell.recipes.runs.opening import config_of
from questwell.recipes.selfplay.record import Record
from questwell.store.records import RunInfo
from questwell.text.files import read_jsonl
from questwell.training.evaluations import best_of, checkpoint_model, read_evaluations
from questwell.training.metrics import read_metrics

_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class StepStatus:
    """How a run that goes by steps stands."""

    info: RunInfo
    steps: int
    """Steps made, of which those after the newest checkpoint are made again on a resume."""
    wanted: int | None
    """Steps that were asked for; None where the run does not say."""
    saved: int
    """Step of the newest checkpoint; 0 before the first."""
    model: Path | None
    """Folder of its policy, in Hugging Face form."""
    newest: Mapping[str, float | None]
    """Metrics of the newest step, by name; None is not known."""
    alarms: Sequence[str]
    """Signs of collapse at the newest step that had any, a sentence each; of train they are not kept."""
    ledgers: Sequence[Ledger]
    """What judge and verifier took, one entry per process that asked them; empty where no model was asked."""
    evaluations: Sequence[Mapping[str, float]] = ()
    """The held-out evaluations of train, in the order in which they were made."""
    best: Mapping[str, float] | None = None
    """That with the highest held-out reward, the earliest of equal ones; None before the first."""
    best_model: Path | None = None
    """Its policy, a Hugging Face folder; None where that is the policy before training."""


@dataclass(frozen=True, slots=True)
class TrainAttempt:
    """An attempt that a run of train saved for reading."""

    step: int
    question: str
    answers: tuple[str, ...]
    reward: float | None
    """None: it errored or could not be judged, so it was not trained on."""
    answer: str | None
    stop: str
    turns: tuple[tuple[str, str | None], ...]
    """(what the model wrote, what it saw after it)."""


_ATTEMPT = TypeAdapter(TrainAttempt)


class _Saved(BaseModel):
    model_config = ConfigDict(extra="ignore")
    step: int


_SAVED = TypeAdapter(_Saved)


class _Asked(BaseModel):
    model_config = ConfigDict(extra="ignore")
    steps: int | None = None


def train_status(folder: Path) -> StepStatus:
    """How the run of train in `folder` stands; StoreError when it cannot be read."""
    rows = train_rows(folder)
    found = _status(folder, len(rows), rows[-1] if rows else {}, ())
    evaluations = _readable(folder, lambda: read_evaluations(folder))
    best = best_of(evaluations)
    model = checkpoint_model(folder, int(best["step"])) if best else None
    return replace(found, evaluations=evaluations, best=best, best_model=model)


def selfplay_status(folder: Path) -> StepStatus:
    """How the run of self-play in `folder` stands; StoreError when it cannot be read."""
    rows = Record(folder).rows()
    newest: dict[str, float | None] = {"step": rows[-1].step, **rows[-1].values} if rows else {}
    held_out = next((row for row in rows[::-1] if row.values.get("held_out_accuracy") is not None), None)
    if held_out is not None:  # it is measured now and then
        newest["held_out_accuracy"] = held_out.values["held_out_accuracy"]
    alarms = next((row.alarms for row in rows[::-1] if row.alarms), ())
    return _status(folder, max((row.step for row in rows), default=0), newest, alarms)


def train_rows(folder: Path) -> list[dict[str, float]]:
    """The metrics of each step of train."""
    path = folder / "metrics.jsonl"
    return _readable(folder, lambda: read_metrics(path) if path.is_file() else [])


def _readable(folder: Path, read: Callable[[], list[dict[str, float]]]) -> list[dict[str, float]]:
    try:
        return read()
    except TrainingError as error:
        raise StoreError(f"the metrics of {str(folder)!r} cannot be read: {error}") from error


def train_attempts(folder: Path, step: int) -> list[TrainAttempt]:
    """The attempts of a step of train that were saved; StoreError when there is no such step."""
    steps = [int(row["step"]) for row in train_rows(folder)]
    if step not in steps:
        last = f"the last one is {steps[-1]}" if steps else "it has none yet"
        raise StoreError(f"the run in {str(folder)!r} has no step {step}; {last}")
    path = folder / "attempts.jsonl"
    if not path.is_file():
        return []
    return [one for _, one in read_jsonl(path, _ATTEMPT, StoreError, ended=True) if one.step == step]


def saved_steps(folder: Path) -> list[int]:
    """The steps of train of which attempts were saved, in order."""
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
    """Step of the newest checkpoint; 0 if there is none. Unlike the trainer's reader, this needs no torch."""
    names = [path.name.removeprefix("step-") for path in folder.glob("step-*") if path.is_dir()]
    return max((int(name) for name in names if name.isdigit()), default=0)
