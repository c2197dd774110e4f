"""What both sides of `throughput.py` receive, and how their steps are timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from questwell.toy.world import ToyWorld

WORLD = ToyWorld()
GROUP = 8
LEARNING_RATE = 1e-5


@dataclass(frozen=True, slots=True)
class Setting:
    """A model and its prompts."""

    words: int
    width: int
    layers: int
    prompts: int
    prompt_tokens: int
    completion_tokens: int
    searches: bool = False
    kl: float = 0.0


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt, and the answer that earns a reward of 1."""

    text: str
    right: Callable[[str], bool]


class Stopwatch:
    """Adds up the seconds spent inside it, by the clock and in CPU time of this process."""

    def __init__(self) -> None:
        self.s = 0.0
        self.cpu_s = 0.0

    def __enter__(self) -> None:
        self.s -= time.perf_counter()
        self.cpu_s -= time.process_time()

    def __exit__(self, *_: object) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # until the queued work is done
        self.s += time.perf_counter()
        self.cpu_s += time.process_time()


@dataclass(slots=True)
class Turn:
    """One step of one trainer."""

    rollout: Stopwatch = field(default_factory=Stopwatch)
    whole: Stopwatch = field(default_factory=Stopwatch)
    sampled: int = 0
    trained: int = 0
    attempts: int = 0

    @property
    def update_s(self) -> float:
        """Seconds outside the rollout."""
        return self.whole.s - self.rollout.s

    @property
    def update_cpu_s(self) -> float:
        """CPU time outside the rollout."""
        return self.whole.cpu_s - self.rollout.cpu_s
