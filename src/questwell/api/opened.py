"""`open_run`: opens a run of any command as an object, also while it is being written."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from questwell.errors import ConfigError
from questwell.recipes.reports import scores, traces
from questwell.recipes.reports import status as standing
from questwell.recipes.reports import story as stories
from questwell.recipes.reports.items import Policy, items
from questwell.recipes.reports.scores import Evaluation
from questwell.recipes.reports.status import Status
from questwell.recipes.reports.story import Story
from questwell.recipes.reports.traces import Trace
from questwell.recipes.reports.training import TrainingRun, training_run
from questwell.recipes.runs.description import PLAYED, kind_of
from questwell.recipes.runs.ending import Report
from questwell.store.reader import RunReader
from questwell.store.records import Play
from questwell.training.metrics import read_metrics
from questwell.types.dataset import Item

if TYPE_CHECKING:
    import pandas


class Run:
    """A run of any command. It keeps no file open: each method reads the current state of the run."""

    def __init__(self, path: Path, report: Report | None = None) -> None:
        """Refer to the run in `path`; `report` says how the call that returned it ended."""
        self.path = path
        """Folder of the run."""
        self.report = report
        """How the call ended, and why if it stopped early; None for a run that was only opened."""

    @property
    def kind(self) -> str:
        """Name of the command that made the run."""
        return kind_of(self.path)

    def __repr__(self) -> str:
        ended = f", {self.report.ending.value}" if self.report else ""
        return f"<{type(self).__name__} {str(self.path)!r}{ended}>"


class GenerateRun(Run):
    """A run of `generate`, or of another command that plays questions."""

    def items(self, policy: Policy | None = None) -> list[Item]:
        """Return the accepted items; `policy` decides how reviews affect them."""
        return items(self.path, policy)

    def status(self) -> Status:
        """Return the funnel, the paper's table, tokens and cost."""
        return standing.status(self.path)

    def plays(self) -> list[Play]:
        """Return a summary per seed, accepted ones first."""
        return stories.listing(self.path)

    def story(self, item: str | int = "first") -> Story:
        """Return how a seed was played; `item` is `s00000007`, 7, an item's id, or `first`."""
        return stories.story(self.path, str(item))

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a DataFrame with one row per item and the columns of the exported file."""
        return _frame([asdict(item) for item in self.items()])


class EvaluateRun(Run):
    """A run of `evaluate`."""

    def status(self) -> Evaluation:
        """Return scores with intervals, agreement of judges, missing attempts, tokens and cost."""
        return scores.evaluation(self.path)

    def story(self, item: str | int) -> Trace:
        """Return a question with its full attempts; `item` is `q00007`, 7, or the benchmark's own id."""
        return traces.trace(self.path, str(item))

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a DataFrame with a row per attempt: question, references, answer, searches, and each judge's label."""
        rows: list[dict[str, Any]] = []
        with RunReader(self.path) as run, run.snapshot():
            for asked in scores.attempted(run):
                for one in asked.attempts:
                    labels = {judge: label.value for judge, label in one.labels.items()}
                    rows.append(
                        {
                            "benchmark": asked.question.benchmark,
                            "id": asked.question.id,
                            "question": asked.question.question,
                            "answers": list(asked.question.answers),
                            "attempt": one.attempt,
                            "answer": one.answer,
                            "searches": one.searches,
                            "stop": one.stop.value,
                            **labels,
                        }
                    )
        return _frame(rows)


class TrainRun(Run):
    """A run of `train`."""

    def status(self) -> TrainingRun:
        """Return the steps so far, the newest metrics, and the curves as SVG."""
        return training_run(self.path)

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a DataFrame with a row per step and a column per metric."""
        return _frame([dict(row) for row in read_metrics(self.path / "metrics.jsonl")])


_CLASSES: dict[str, type[Run]] = {"evaluate": EvaluateRun, "train": TrainRun}


def open_run(path: str | Path) -> Run:
    """Open the run in a folder: a `GenerateRun`, `EvaluateRun`, `TrainRun`, or a plain `Run` for other commands.

    Raises:
        StoreError: there is no run in `path`.
    """
    folder = Path(path)
    kind = kind_of(folder)
    return (GenerateRun if kind in PLAYED else _CLASSES.get(kind, Run))(folder)


def _frame(rows: list[dict[str, Any]]) -> "pandas.DataFrame":
    try:
        import pandas
    except ImportError:
        raise ConfigError("to_pandas needs pandas: pip install pandas") from None
    return pandas.DataFrame(rows)
