"""From rewards to advantages: one algorithm a file, all of them behind `Algorithm`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from questwell.training.update import KlIn


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a batch of trajectories earned. B trajectories, T response tokens."""

    rewards: Tensor
    """[B, T]: of each token, 0 outside the mask (`losses.token_rewards`)."""
    mask: Tensor
    """[B, T]: 1 where the model wrote the token."""
    groups: Sequence[str]
    """B ids; equal ids are attempts at one question, wherever in the batch they stand."""
    strata: Sequence[str]
    """B ids; equal ids are of one kind, such as the number of hops."""
    values: Tensor | None = None
    """[B, T]: the critic's estimate before each token, when the algorithm asks for a critic."""


@dataclass(frozen=True, slots=True)
class Credit:
    """What each token is to blame or to praise for."""

    advantages: Tensor
    """[B, T], 0 outside the mask, without gradient."""
    returns: Tensor | None = None
    """[B, T]: what the critic should have said; None without one."""


class Algorithm(Protocol):
    """Assigns advantages. Games and recipes assign rewards; the trainer does the rest."""

    @property
    def needs_critic(self) -> bool:
        """Whether `Outcomes.values` must be there."""
        ...

    @property
    def kl_in(self) -> KlIn:
        """Where the divergence from the initial policy belongs unless the user says otherwise."""
        ...

    def credit(self, outcomes: Outcomes) -> Credit:
        """The advantages of a batch."""
        ...
