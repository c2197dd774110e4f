"""REINFORCE (Williams 1992): the advantage is the sum of the later rewards minus a baseline. No critic.

The baseline is nothing, the mean of the batch, or the mean of the trajectory's own stratum (its number of hops, say):
then a hard question is not punished for being hard. Deviation: the trainer takes its steps on PPO's clipped surrogate,
whose gradient is REINFORCE's as long as the policy is the one that sampled; the clip holds only later minibatches.
"""

# pyright: reportUnknownMemberType=false

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from questwell.training.algorithms import Credit, Outcomes
from questwell.training.algorithms.grpo import members
from questwell.training.update import KlIn

Baseline = Literal["none", "batch", "stratum"]


@dataclass(frozen=True, slots=True)
class Reinforce:
    """REINFORCE: each token's advantage is the sum of the later rewards minus a baseline."""

    baseline: Baseline = "batch"

    @property
    def needs_critic(self) -> bool:
        """REINFORCE needs no critic."""
        return False

    @property
    def kl_in(self) -> KlIn:
        """In the reward, as in verl's REINFORCE."""
        return "reward"

    def credit(self, outcomes: Outcomes) -> Credit:
        """Return the rewards to come at each token, minus the mean total reward of the baseline's trajectories."""
        totals = outcomes.rewards.sum(dim=1)
        expected = torch.zeros_like(totals)
        match self.baseline:
            case "none":
                pass
            case "batch":
                expected[:] = totals.mean()
            case "stratum":
                for rows in members(outcomes.strata):
                    expected[rows] = totals[rows].mean()
        return Credit((rewards_to_come(outcomes.rewards) - expected[:, None]) * outcomes.mask)


def rewards_to_come(rewards: Tensor) -> Tensor:
    """Return the sum of the rewards at each token and after it, [B, T]."""
    return rewards.flip(1).cumsum(1).flip(1)
