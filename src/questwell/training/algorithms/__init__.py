"""From rewards to advantages: one algorithm a file, all of them behind `Algorithm`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from questwell.training.update import KlIn


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The rewards of a batch of trajectories. B trajectories, T response tokens."""

    rewards: Tensor
    """[B, T]: reward of each token, 0 outside the mask (`losses.token_rewards`)."""
    mask: Tensor
    """[B, T]: 1 where the model wrote the token."""
    groups: Sequence[str]
    """B ids; equal ids are attempts at one question, in any order."""
    strata: Sequence[str]
    """B ids; equal ids are of one kind, such as the number of hops."""
    values: Tensor | None = None
    """[B, T]: the critic's estimate before each token, when the algorithm asks for a critic."""


@dataclass(frozen=True, slots=True)
class Credit:
    """The advantage of each token."""

    advantages: Tensor
    """[B, T], 0 outside the mask, without gradient."""
    returns: Tensor | None = None
    """[B, T]: target of the critic; None without a critic."""


class Algorithm(Protocol):
    """Assigns advantages. Games and recipes assign rewards; the trainer does the rest."""

    @property
    def needs_critic(self) -> bool:
        """Whether `Outcomes.values` must be there."""
        ...

    @property
    def kl_in(self) -> KlIn:
        """Default place of the divergence from the initial policy: reward or loss."""
        ...

    def credit(self, outcomes: Outcomes) -> Credit:
        """The advantages of a batch."""
        ...
