"""The metrics of a training step and their meanings, which docs/reference/metrics.md lists."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from questwell.errors import TrainingError
from questwell.text.files import read_jsonl
from questwell.text.whole import write_whole
from questwell.types.episode import Sample

Metrics = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart of several metrics with the same unit over the steps."""

    title: str
    unit: str
    names: tuple[str, ...]


PANELS = (
    Panel("Reward", "mean reward", ("reward", "held_out_reward")),
    Panel("Accuracy", "fraction", ("accuracy", "held_out_accuracy", "finished")),
    Panel("Searches per attempt", "searches", ("searches", "held_out_searches")),
    Panel("Tokens per attempt", "tokens", ("response_tokens", "model_tokens")),
    Panel("KL to the initial policy", "nats per token", ("kl", "update_kl")),
    Panel("Entropy", "nats", ("entropy",)),
    Panel("Losses", "loss", ("policy_loss", "value_loss", "sft_loss")),
    Panel("Gradient norm", "norm", ("gradient_norm", "critic_gradient_norm")),
    Panel("Explained variance of the critic", "fraction", ("explained_variance",)),
)
"""The charts of a train run, on the web pages and in `curves.png`."""

MEANINGS: Mapping[str, str] = {
    "step": "number of updates made, from 1",
    "reward": "mean reward of the step's trajectories",
    "reward_std": "standard deviation of those rewards",
    "accuracy": "right answers among the trajectories that were judged, a fraction",
    "finished": "trajectories that the agent ended by itself within its budget, a fraction (valid rate)",
    "searches": "search steps a trajectory, mean",
    "format_errors": "messages without a move a trajectory, mean",
    "response_tokens": "tokens a trajectory after the prompt, retrieved ones included, mean",
    "model_tokens": "tokens a trajectory that the model wrote, mean",
    "truncated": "trajectories cut at response_limit, a fraction",
    "trajectories": "number of trajectories trained on",
    "dropped": "number of trajectories left out because a call failed or the judge gave no verdict",
    "flat_groups": "groups of more than one whose rewards are all equal, so that GRPO learns nothing, a fraction",
    "policy_loss": "clipped surrogate, mean over the model's tokens and the step's minibatches",
    "value_loss": "half the squared error of the critic, mean over the model's tokens and the step's minibatches",
    "explained_variance": "1 - Var(return - value) / Var(return) before the update; 1 is a perfect critic",
    "kl": "divergence from the initial policy at the sampled tokens before the update, nats per token (estimator k3)",
    "entropy": "of the next-token distribution before each of the model's tokens, nats, mean before the update",
    "clip_fraction": "model tokens whose gradient the clip cut off, mean over the step's minibatches",
    "update_kl": "divergence of the policy that sampled from the trained one, nats per token (k3), last minibatch",
    "sampling_gap": "mean absolute difference between the sampler's log-probabilities and the trainer's, nats",
    "gradient_norm": "of the actor before clipping, mean over the step's minibatches",
    "critic_gradient_norm": "of the critic before clipping, mean over the step's minibatches",
    "learning_rate": "of the actor in this step",
    "rollout_s": "seconds of playing the step's trajectories, searches included",
    "update_s": "seconds of the update, passes without gradient included",
    "rollout_tokens_per_s": "sampled tokens per second of rollout",
    "update_tokens_per_s": "trained-on tokens, prompt and retrieved ones included, per second of update",
    "held_out_reward": "mean reward of the held-out attempts that were judged, one for each question",
    "held_out_accuracy": "right answers among those attempts, a fraction",
    "held_out_searches": "search steps per held-out attempt, mean",
    "held_out_dropped": "number of held-out attempts left out because a call failed or the judge gave no verdict",
    "held_out_s": "seconds of the evaluation",
    "sft_loss": "cross-entropy of a demonstration's own tokens in a step of the warm start, nats per token",
}
"""The meaning of each metric, by name."""

_ROW = TypeAdapter(dict[str, float | None])


class MetricsFile:
    """Writes one JSON object per step, one per line. A number that is not finite or not known is null."""

    def __init__(self, path: Path, *, after: int | None = None) -> None:
        """Append to `path`. Steps beyond `after`, left by a run that died after its checkpoint, are removed."""
        self._path = path
        if after is not None and path.exists():
            kept = [row for row in read_metrics(path) if row.get("step", 0.0) <= after]
            write_whole(path, "".join(_line(row) for row in kept))

    def add(self, metrics: Metrics) -> None:
        """Write the metrics of a step."""
        unknown = metrics.keys() - MEANINGS.keys()
        if unknown:
            raise ValueError(f"metrics without a meaning: {sorted(unknown)}")
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(metrics))


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the metrics of each step in a file, without null values. A truncated last line is skipped."""
    rows: list[dict[str, float]] = []
    for _, row in read_jsonl(path, _ROW, TrainingError, ended=True):
        rows.append({key: value for key, value in row.items() if value is not None})
    return rows


def series(rows: Sequence[Metrics], name: str) -> tuple[list[float], list[float]]:
    """Return (steps, values) of one metric, for the steps where it is known."""
    known = [row for row in rows if name in row]
    return [row["step"] for row in known], [row[name] for row in known]


def _line(metrics: Metrics) -> str:
    shown = {key: value if math.isfinite(value) else None for key, value in metrics.items()}
    return json.dumps(shown, allow_nan=False) + "\n"


def describe(samples: Sequence[Sample], response_limit: int) -> dict[str, float]:
    """Return the metrics that are computed from the trajectories alone; `response_limit` is in tokens."""
    count = len(samples)
    rewards = [sample.reward for sample in samples]
    judged = [sample.correct for sample in samples if sample.correct is not None]
    groups = [[rewards[row] for row in rows] for rows in _members(samples) if len(rows) > 1]
    shown = {
        "reward": statistics.fmean(rewards),
        "reward_std": statistics.pstdev(rewards),
        "finished": sum(sample.finished for sample in samples) / count,
        "searches": sum(sample.searches for sample in samples) / count,
        "format_errors": sum(sample.format_errors for sample in samples) / count,
        "response_tokens": sum(len(sample.tokens.response_ids) for sample in samples) / count,
        "model_tokens": sum(sum(sample.tokens.response_mask) for sample in samples) / count,
        "truncated": sum(len(sample.tokens.response_ids) > response_limit for sample in samples) / count,
        "trajectories": float(count),
    }
    if judged:
        shown["accuracy"] = sum(judged) / len(judged)
    if groups:
        shown["flat_groups"] = sum(max(group) == min(group) for group in groups) / len(groups)
    return shown


def _members(samples: Sequence[Sample]) -> list[list[int]]:
    rows: dict[str, list[int]] = {}
    for row, sample in enumerate(samples):
        rows.setdefault(sample.group, []).append(row)
    return list(rows.values())
