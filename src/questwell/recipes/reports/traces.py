"""Questions of an evaluation with the course of their attempts, for people to read."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from questwell.errors import ConfigError
from questwell.recipes.evaluate.loop import KIND
from questwell.recipes.reports.scores import judge_names
from questwell.recipes.runs.description import info_of
from questwell.store.reader import RunReader
from questwell.store.records import Asked, Trial
from questwell.types.evaluation import Question
from questwell.types.game import Judgement
from questwell.types.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class Listed:
    """Summary of a question."""

    id: str
    """Id in the run file, such as `q00042`."""
    question: Question
    trials: Sequence[Trial]
    labels: Sequence[str]
    """Labels by the run's first judge, one per attempt; empty if it has not judged."""


@dataclass(frozen=True, slots=True)
class TracedAttempt:
    """One attempt in full."""

    index: int
    trajectory: Trajectory
    judgements: dict[str, Judgement]
    """Judgements by judge."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One question in full."""

    id: str
    question: Question
    attempts: Sequence[TracedAttempt]
    questions: int
    """Number of questions of the evaluation."""


def listing(folder: Path) -> list[Listed]:
    """Return all questions of the evaluation in `folder`, in order; raises StoreError if there is none."""
    with RunReader(folder) as run, run.snapshot():
        info_of(run, KIND.name)
        trials: dict[int, list[Trial]] = defaultdict(list)
        for trial in run.trials():
            trials[trial.position].append(trial)
        labels = {(one.position, one.attempt): one.judgement.label.value for one in run.scores(0)}
        return [
            Listed(
                asked.seed_id,
                asked.question,
                trials[asked.position],
                [labels.get((asked.position, trial.attempt), "") for trial in trials[asked.position]],
            )
            for asked in run.questions()
        ]


def trace(folder: Path, name: str) -> Trace:
    """Return one question of the evaluation in `folder`.

    Args:
        folder: folder of the run.
        name: `q00042`, its number, or the benchmark's own id.

    Raises:
        ConfigError: the evaluation has no such question.
        StoreError: there is no evaluation.
    """
    with RunReader(folder) as run, run.snapshot():
        info_of(run, KIND.name)
        questions = run.questions()
        asked = _named(questions, name)
        if asked is None:
            raise ConfigError(f"the evaluation has no question {name!r}; questwell show {folder} lists them")
        judgements: dict[int, dict[str, Judgement]] = defaultdict(dict)
        for number, judge in judge_names(run.scorings()).items():
            for one in run.scores(number):
                if one.position == asked.position:
                    judgements[one.attempt][judge] = one.judgement
        attempts = [
            TracedAttempt(trial.attempt, run.trajectory(trial.position, trial.attempt), judgements[trial.attempt])
            for trial in run.trials()
            if trial.position == asked.position
        ]
        return Trace(asked.seed_id, asked.question, attempts, len(questions))


def _named(questions: Sequence[Asked], name: str) -> Asked | None:
    number = name.removeprefix("q")
    position = int(number) if number.isdecimal() else None
    by_position = (asked for asked in questions if asked.position == position)
    by_id = (asked for asked in questions if asked.question.id == name)
    return next(by_position, None) or next(by_id, None)
