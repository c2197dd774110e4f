"""Collapse alarms: search agents under RL can collapse within a few steps, and a collapsed run still costs money."""

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
    """When to stop; each is compared with the mean of the newest `window` steps. None switches it off."""

    window: int = 5
    finished: float | None = 0.2
    """Stop below this share of trajectories that end by themselves."""
    entropy: float | None = 0.01
    """Stop below this entropy, nats."""
    truncated: float | None = 0.5
    """Stop above this share of trajectories cut for length."""
    kl: float | None = 1.0
    """Stop above this divergence from the initial policy, nats per token."""
    sampling_gap: float | None = 0.5
    """Stop above this difference between sampler and trainer, nats per token: then they have other weights."""


class Alarms:
    """Watches the metrics of a run."""

    def __init__(self, limits: AlarmThresholds, before: Iterable[Metrics] = ()) -> None:
        """Watch from now on; the steps `before` count towards the window, so that a resume changes no alarm."""
        self._limits = limits
        self._newest: deque[Metrics] = deque(before, maxlen=limits.window)

    def check(self, metrics: Metrics) -> None:
        """Look at a step.

        Raises:
            TrainingCollapsed: a limit is passed.
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
