"""Train and self-play runs for the web pages: thinned charts, and the content of steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from questwell.errors import StoreError
from questwell.recipes.reports import svg
from questwell.recipes.reports.browse import thinned
from questwell.recipes.reports.stepping import saved_steps
from questwell.recipes.reports.svg import Axis, Line, Point
from questwell.recipes.selfplay.record import MEANINGS as SELFPLAY_MEANINGS
from questwell.recipes.selfplay.record import PANELS as SELFPLAY_PANELS
from questwell.recipes.selfplay.record import Record, StepRow
from questwell.training.evaluations import best_of, curves, read_evaluations
from questwell.training.metrics import MEANINGS, PANELS, Panel


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of one or two values over the steps."""

    svg: str
    meanings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A train run."""

    steps: int
    latest: Sequence[tuple[str, float, str]]
    """(name, value, meaning) for each metric of the last step."""
    saved: Sequence[int]
    """The steps with saved attempts."""
    evaluations: Sequence[Mapping[str, float]]
    """The held-out evaluations, in chronological order."""
    best: Mapping[str, float] | None
    """Evaluation with the highest held-out reward; None before the first."""
    charts: Sequence[Chart]


@dataclass(frozen=True, slots=True)
class SelfplayRun:
    """A self-play run."""

    rows: Sequence[StepRow]
    """The newest 200 steps, newest first."""
    steps: int
    alarms: Sequence[tuple[int, str]]
    """Pairs of (step, sentence), newest first."""
    charts: Sequence[Chart]


def training_run(folder: Path) -> TrainingRun:
    """Return the train run in `folder`; raises StoreError if its metrics cannot be read."""
    try:
        rows, evaluations = curves(folder), read_evaluations(folder)
    except (OSError, ValueError) as error:
        raise StoreError(f"the metrics of {folder.name!r} cannot be read: {error}") from error
    known: list[Mapping[str, float | None]] = [cast(Mapping[str, float | None], row) for row in rows]
    steps = [row.get("step", 0.0) for row in rows]
    made = rows[: len(rows) - len(evaluations)]
    return TrainingRun(
        steps=len(made),
        latest=[(name, value, MEANINGS.get(name, "")) for name, value in made[-1].items()] if made else [],
        saved=saved_steps(folder),
        evaluations=evaluations,
        best=best_of(evaluations),
        charts=_charts(PANELS, steps, known, MEANINGS),
    )


def selfplay_run(folder: Path) -> SelfplayRun:
    """Return the self-play run in `folder`."""
    record = Record(folder)
    rows = record.rows()
    charts = _charts(SELFPLAY_PANELS, [row.step for row in rows], [row.values for row in rows], SELFPLAY_MEANINGS)
    raised = [(row.step, alarm) for row in rows for alarm in row.alarms]
    return SelfplayRun(rows[::-1][:200], max((row.step for row in rows), default=0), raised[::-1][:50], charts)


def _charts(
    wanted: Sequence[Panel],
    steps: Sequence[float],
    rows: Sequence[Mapping[str, float | None]],
    meanings: Mapping[str, str],
) -> list[Chart]:
    charts: list[Chart] = []
    for panel in wanted:
        drawn: list[Line] = []
        named: dict[str, str] = {}
        for name in panel.names:
            known = [
                (step, value) for step, row in zip(steps, rows, strict=True) if (value := row.get(name)) is not None
            ]
            if known:
                named[name] = meanings.get(name, "")
                drawn.append(Line(name.replace("_", " "), [Point(x, y) for x, y in thinned(known)]))
        if drawn:
            values = [point.y for line in drawn for point in line.points]
            up = Axis(panel.unit, low=None if min(values) < 0 else 0.0)
            charts.append(Chart(svg.lines(panel.title, Axis("step", low=None, whole=True), up, drawn), named))
    return charts
