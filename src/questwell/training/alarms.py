"""Alarms that stop a collapsed training run: search agents can collapse within a few RL steps."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from questwell.errors import TrainingCollapsed
from questwell.training.metrics import Metrics

_COLLAPSE = "the policy is collapsing; go back to a checkpoint, then lower --learning-rate or raise --kl-coefficient"
_ADVICE = {
    "sampling_gap": "the attempts are sampled from another policy than the one that is trained; see that the vLLM "
    "server serves this run's model with --logprobs-mode processed_logprobs, and nobody else's weights",
}


@dataclass(frozen=True, slots=True)
class AlarmThresholds:
    """Limits that stop a run; each is compared with the mean of the newest `window` steps. None disables a limit."""

    window: int = 5
    finished: float | None = 0.2
    """Stop if less than this fraction of the trajectories is ended by the agent itself."""
    entropy: float | None = 0.01
    """Stop if the entropy is below this, in nats."""
    truncated: float | None = 0.5
    """Stop if more than this fraction of the trajectories is cut for length."""
    kl: float | None = 1.0
    """Stop if the KL divergence from the initial policy is above this, in nats per token."""
    sampling_gap: float | None = 0.5
    """Stop if sampler and trainer differ by more than this in nats per token: then their weights differ."""


class Alarms:
    """Checks the metrics of each step of a run against the limits."""

    def __init__(self, limits: AlarmThresholds, before: Iterable[Metrics] = ()) -> None:
        """Start watching. The earlier steps `before` count towards the window, so a resumed run has the same alarms."""
        self._limits = limits
        self._newest: deque[Metrics] = deque(before, maxlen=limits.window)

    def check(self, metrics: Metrics) -> None:
        """Add the metrics of a step and check them against the limits.

        Raises:
            TrainingCollapsed: a metric is beyond its limit.
        """
        self._newest.append(metrics)
        if len(self._newest) < self._limits.window:
            return
        for name, limit, below in (
            ("finished", self._limits.finished, True),
            ("entropy", self._limits.entropy, True),
            ("truncated", self._limits.truncated, False),
            ("kl", self._limits.kl, False),
            ("sampling_gap", self._limits.sampling_gap, False),
        ):
            values = [step[name] for step in self._newest if name in step]
            if limit is None or not values:
                continue
            mean = sum(values) / len(values)
            if (mean < limit) if below else (mean > limit):
                raise TrainingCollapsed(
                    f"{name} was {mean:.3g} over the last {len(values)} steps, {'below' if below else 'above'} the "
                    f"limit of {limit:g}: {_ADVICE.get(name, _COLLAPSE)}"
                )
