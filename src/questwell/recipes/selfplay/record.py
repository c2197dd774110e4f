"""Writes and reads the files of a self-play run.

    run.json               description of the run: config, fingerprint (older runs: selfplay.json)
    metrics.jsonl          one line per step
    steps/000012.jsonl.gz  the episodes of a step, one per line: questions, checks, attempts, rewards
    charts.png             charts of the metrics
    checkpoints/           policy, optimiser, pool, position (`training/checkpoint.py`)
    calls/                 answered calls of judge and verifier, if they are separate models

Writing a step again writes the same files, so a resume may go back to the latest checkpoint and replay the steps.
"""

import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path

from pydantic import TypeAdapter

from questwell.errors import StoreError
from questwell.recipes.runs.files import append_line, cut, replace
from questwell.recipes.runs.opening import Kind
from questwell.recipes.selfplay.config import MAY_CHANGE, Config
from questwell.text.files import read_jsonl
from questwell.training.metrics import Panel
from questwell.types.selfplay import Episode, Invalid
from questwell.types.trajectory import Trajectory

_RENAMED = {"unsettled": "unscored_or_errored"}
"""Current names of metrics that older runs named differently."""

KIND = Kind("selfplay", Config, MAY_CHANGE)

MEANINGS: Mapping[str, str] = {
    "valid_rate": "proposals that kept all rules and passed verification, a fraction of the batch",
    "true_rate": "valid questions whose answer is the true one, a fraction (toy world only)",
    "filled": "slots that a problem of the pool filled, a fraction of the batch",
    "empty": "slots in which nothing could be attempted, a fraction of the batch",
    "discarded": "number of invalid proposals that were replaced by others (dynamic resampling)",
    "pool": "number of problems in the pool after the step",
    "pool_age": "mean steps since they were made",
    "solver_accuracy": "right among the scored attempts of the step, a fraction",
    "unscored_or_errored": "attempts that errored or could not be scored, a fraction",
    "proposer_reward": "mean over the proposals that were paid",
    "held_out_accuracy": "right among the held-out questions, one attempt each, a fraction",
    "proposer_searches": "mean search steps per proposal",
    "solver_searches": "mean search steps per attempt",
    "question_length": "mean length in characters of the questions that could be read",
    "distinct_questions": "different ones among the questions that could be read, a fraction",
    "distinct_queries": "different ones among the proposers' queries, a fraction",
    "solver_entropy": "of the next-token distribution in the solver's rollouts, nats, mean",
    "proposer_entropy": "of the next-token distribution in the proposer's rollouts, nats, mean",
    "solver_kl": "divergence from the initial policy in the solver's rollouts, nats per token",
    "proposer_kl": "divergence from the initial policy in the proposer's rollouts, nats per token",
    "gradient_norm": "before clipping, of the step's last update",
}
"""The meaning of each metric of a step, by name."""
PANELS = (
    Panel("Accuracy", "fraction", ("solver_accuracy", "held_out_accuracy")),
    Panel("Proposals", "fraction", ("valid_rate", "true_rate", "filled", "distinct_questions")),
    Panel("Reward of the proposer", "mean reward", ("proposer_reward",)),
    Panel("Searches per rollout", "searches", ("proposer_searches", "solver_searches")),
    Panel("Length of the questions", "characters", ("question_length",)),
    Panel("Entropy", "nats", ("proposer_entropy", "solver_entropy")),
    Panel("KL to the initial policy", "nats per token", ("proposer_kl", "solver_kl")),
    Panel("Pool", "problems", ("pool",)),
    Panel("Age of the pool", "steps", ("pool_age",)),
)
"""Charts that the pages and `curves.png` show."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """The metrics of one step."""

    step: int
    """Step number from 1; step 0 is the evaluation before the first step and has no episodes."""
    values: dict[str, float | None]
    """Values by the names in `MEANINGS`; None if unknown."""
    reasons: dict[Invalid, int]
    """Number of invalid proposals by reason."""
    by_hops: dict[str, float]
    """Held-out accuracy by the number of searches that a question needs; empty in steps without evaluation."""
    alarms: tuple[str, ...]
    """Signs of collapse, one sentence each."""
    timing: dict[str, float]
    """`seconds`, of which `play_s` and `update_s`; sampled `tokens_per_s`. Only these differ between equal runs."""


_ROW = TypeAdapter(StepRow)
_EPISODE = TypeAdapter(Episode)


class Record:
    """The folder of a run."""

    def __init__(self, folder: Path) -> None:
        """Open the run in `folder`, which need not exist yet."""
        self.folder = folder

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def charts(self) -> Path:
        """File with the charts of the metrics."""
        return self.folder / "charts.png"

    def rows(self) -> list[StepRow]:
        """Return all steps so far, without a truncated last line."""
        path = self.folder / "metrics.jsonl"
        if not path.is_file():
            return []
        return [_renamed(row) for _, row in read_jsonl(path, _ROW, StoreError, ended=True)]

    def cut(self, steps: int) -> None:
        """Remove what came after the first `steps` steps; those steps are played again."""
        cut(self.folder / "metrics.jsonl", steps)
        for path in (self.folder / "steps").glob("*.jsonl.gz"):
            if path.name.split(".")[0].isdigit() and int(path.name.split(".")[0]) > steps:
                path.unlink()

    def add(self, row: StepRow, episodes: Iterable[Episode]) -> None:
        """Save a step: its episodes first, so that each line of the metrics has them."""
        text = b"".join(_EPISODE.dump_json(_without_tokens(episode)) + b"\n" for episode in episodes)
        if text:
            path = self._step(row.step)
            replace(path, gzip.compress(text, mtime=0))
        append_line(self.folder / "metrics.jsonl", _ROW.dump_json(row))

    def episodes(self, step: int) -> list[Episode]:
        """Return the episodes of a step, in the order of their slots.

        Raises:
            StoreError: the run has no such step.
        """
        path = self._step(step)
        if not path.is_file():
            last = max((row.step for row in self.rows()), default=None)
            raise StoreError(
                f"the run in {str(self.folder)!r} has no step {step}; "
                + ("it has none yet" if last is None else f"the last one is {last}")
            )
        return [episode for _, episode in read_jsonl(path, _EPISODE, StoreError)]

    def _step(self, step: int) -> Path:
        return self.folder / "steps" / f"{step:06d}.jsonl.gz"


def _renamed(row: StepRow) -> StepRow:
    return replaced(row, values={_RENAMED.get(name, name): value for name, value in row.values.items()})


def series(rows: Sequence[StepRow], name: str) -> tuple[list[int], list[float]]:
    """Return (steps, values) of one metric, where it is known."""
    known = [(row.step, value) for row in rows if (value := row.values.get(name)) is not None]
    return [step for step, _ in known], [value for _, value in known]


def _without_tokens(episode: Episode) -> Episode:
    """Return the episode without token ids, which only the step's own update needs."""

    def bare(trajectory: Trajectory) -> Trajectory:
        return replaced(trajectory, tokens=None)

    proposed = replaced(episode.proposed, trajectory=bare(episode.proposed.trajectory))
    attempts = tuple(replaced(attempt, trajectory=bare(attempt.trajectory)) for attempt in episode.attempts)
    return replaced(episode, proposed=proposed, attempts=attempts)
