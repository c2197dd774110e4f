"""PPO (arXiv:1707.06347): advantages by GAE (arXiv:1506.02438) from a critic, then whitened over the batch.

Only the model's own tokens are steps of the decision process. Retrieved tokens lie between two steps: they earn
nothing, have no value, and the value after them is carried back over them. SAGE (arXiv:2601.18202) trains by PPO.
"""

# pyright: reportUnknownMemberType=false

from dataclasses import dataclass

import torch
from torch import Tensor

from questwell.training.algorithms import Credit, Outcomes
from questwell.training.losses import whiten
from questwell.training.update import KlIn


@dataclass(frozen=True, slots=True)
class PPO:
    """PPO: generalised advantage estimates from a critic, whitened over the batch."""

    gamma: float = 1.0
    """Discount per token of the model."""
    gae_lambda: float = 1.0
    """GAE's lambda: 1 trusts the rewards only, 0 the critic only."""

    @property
    def needs_critic(self) -> bool:
        """PPO needs a critic."""
        return True

    @property
    def kl_in(self) -> KlIn:
        """In the reward, as in Search-R1."""
        return "reward"

    def credit(self, outcomes: Outcomes) -> Credit:
        """Return the whitened advantages, and the returns that the critic learns to predict."""
        if outcomes.values is None:
            raise ValueError("PPO needs the critic's values")
        advantages, returns = gae(outcomes.rewards, outcomes.values, outcomes.mask, self.gamma, self.gae_lambda)
        return Credit(whiten(advantages, outcomes.mask), returns)


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, gae_lambda: float) -> tuple[Tensor, Tensor]:
    """Return generalised advantage estimates and returns (advantage + value), both [B, T] and 0 outside the mask.

    For the model's tokens t = 1, 2, ... in order, skipping all other tokens between them:

        delta_t = r_t + gamma V_{t+1} - V_t        A_t = delta_t + gamma lambda A_{t+1}

    with V and A beyond the last token 0.
    """
    advantages = torch.zeros_like(values)
    next_value = values.new_zeros(len(values))
    next_advantage = values.new_zeros(len(values))
    for t in reversed(range(values.shape[1])):
        ours = mask[:, t].bool()
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        next_advantage = torch.where(ours, delta + gamma * gae_lambda * next_advantage, next_advantage)
        next_value = torch.where(ours, values[:, t], next_value)
        advantages[:, t] = torch.where(ours, next_advantage, 0.0)
    return advantages, torch.where(mask.bool(), advantages + values, 0.0)
