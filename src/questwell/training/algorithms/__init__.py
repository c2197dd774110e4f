"""Algorithms that turn rewards into advantages, one per file, each an `Algorithm`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from questwell.training.update import KlIn


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The rewards of a batch of B trajectories with T response tokens."""

    rewards: Tensor
    """[B, T]: reward of each token, 0 outside the mask (`losses.token_rewards`)."""
    mask: Tensor
    """[B, T]: 1 where the model wrote the token."""
    groups: Sequence[str]
    """B ids; equal ids are attempts at one question, in any order."""
    strata: Sequence[str]
    """B ids; trajectories with equal ids belong to one stratum, such as a number of hops."""
    values: Tensor | None = None
    """[B, T]: the critic's estimate before each token; None if the algorithm needs no critic."""


@dataclass(frozen=True, slots=True)
class Credit:
    """The advantage of each token."""

    advantages: Tensor
    """[B, T], 0 outside the mask, without gradient."""
    returns: Tensor | None = None
    """[B, T]: target of the critic; None without a critic."""


class Algorithm(Protocol):
    """Assigns an advantage to each token from the rewards, which games and recipes assign."""

    @property
    def needs_critic(self) -> bool:
        """Whether the algorithm needs a critic, that is `Outcomes.values`."""
        ...

    @property
    def kl_in(self) -> KlIn:
        """Default place of the penalty on KL divergence from the initial policy: reward or loss."""
        ...

    def credit(self, outcomes: Outcomes) -> Credit:
        """Return the advantages of a batch, and the critic's targets if there is a critic."""
        ...
