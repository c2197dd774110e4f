"""`Update`: the hyperparameters of a training step, as one frozen value that recipes build from their config."""

from dataclasses import dataclass
from typing import Literal

KlIn = Literal["reward", "loss"]
Optimizer = Literal["adamw", "adamw8bit"]

WHOLE_LEARNING_RATE, LORA_LEARNING_RATE = 1e-6, 1e-4
"""Search-R1 (arXiv:2503.09516) trains all weights at 1e-6. An adapter starts at zero: at 1e-6 it
moved no token's log-probability by more than 0.02 nats in 50 updates."""
WHOLE_CRITIC_LEARNING_RATE, LORA_CRITIC_LEARNING_RATE = 1e-5, 1e-4


@dataclass(frozen=True, slots=True)
class Update:
    """Hyperparameters of an update. The defaults are Search-R1's (arXiv:2503.09516) where the paper gives one."""

    learning_rate: float = WHOLE_LEARNING_RATE
    critic_learning_rate: float = WHOLE_CRITIC_LEARNING_RATE
    lr_warmup_steps: int = 0
    """Number of steps over which the learning rates rise linearly from 0."""
    critic_warmup_steps: int = 0
    """Number of steps at the start in which only the critic learns."""
    epochs: int = 1
    """Number of passes over a step's trajectories."""
    minibatches: int = 1
    """Number of optimizer steps per epoch."""
    clip_low: float = 0.2
    clip_high: float = 0.2
    value_clip: float | None = 0.5
    kl_coefficient: float = 0.001
    kl_in: KlIn | None = None
    """Whether the KL penalty goes into each token's reward (k1) or into the loss (k3).
    None: the algorithm's default (`Algorithm.kl_in`)."""
    entropy_coefficient: float = 0.0
    sampler_ratio_cap: float | None = 2.0
    """Truncated importance sampling: each token's gradient is weighted by trainer / sampler probability, at most this.
    It corrects for a sampler of lower precision (as in IMPALA, arXiv:1802.01561); None does not correct."""
    gradient_clip: float = 1.0
    temperature: float = 1.0
    """Sampling temperature of the trajectories."""
    response_limit: int = 4096
    """Maximum tokens of a trajectory after its prompt; longer ones are cut."""
    micro_tokens: int = 16_384
    """Maximum tokens per pass through a model, padding included; gradients are accumulated over the passes."""
    checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    optimizer: Optimizer = "adamw"
    """adamw8bit keeps the moments in 8 bits (bitsandbytes): 2 bytes per weight instead of 8."""
    rollout_rows: int = 64
    """Number of dialogues sampled at the same time."""
    mask_inserted: bool = True
    """False also trains on retrieved tokens. That is wrong; it exists so that the effect can be measured."""
    seed: int = 0
    """Random seed of the order of minibatches."""

    @property
    def descends_once(self) -> bool:
        """Whether a step is a single optimizer step, so that the policy being updated is the one that sampled."""
        return self.epochs == self.minibatches == 1


def default_learning_rate(lora_rank: int) -> float:
    """Return the actor's learning rate if the user gives none; `lora_rank` 0 trains all weights."""
    return LORA_LEARNING_RATE if lora_rank else WHOLE_LEARNING_RATE


def default_critic_learning_rate(lora_rank: int) -> float:
    """Return the critic's learning rate if the user gives none; `lora_rank` 0 trains all weights."""
    return LORA_CRITIC_LEARNING_RATE if lora_rank else WHOLE_CRITIC_LEARNING_RATE
