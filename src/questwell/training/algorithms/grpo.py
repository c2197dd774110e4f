"""GRPO (arXiv:2402.03300): compares each reward with the other attempts at the same question. No critic.

Deviations: a group of one earns 0, for nothing is known of it (verl passes its raw reward through). The loss is the
mean over all tokens of the batch, not over each trajectory first (arXiv:2503.14476). `scale = False` leaves out the
division by the standard deviation, which favours questions that are almost always or never solved (arXiv:2503.20783).
"""

# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from questwell.training.algorithms import Credit, Outcomes
from questwell.training.update import KlIn


@dataclass(frozen=True, slots=True)
class GRPO:
    """GRPO: subtracts the group's mean reward and divides by its standard deviation."""

    scale: bool = True
    """Divide by the group's standard deviation."""

    @property
    def needs_critic(self) -> bool:
        """GRPO needs no critic."""
        return False

    @property
    def kl_in(self) -> KlIn:
        """In the loss, as in the paper and in verl: in the reward, a group of equal rewards would train on noise."""
        return "loss"

    def credit(self, outcomes: Outcomes) -> Credit:
        """Return the advantages; all tokens of a trajectory get the same one."""
        relative = grpo(outcomes.rewards.sum(dim=1), outcomes.groups, scale=self.scale)
        return Credit(relative[:, None] * outcomes.mask)


def grpo(rewards: Tensor, groups: Sequence[str], *, scale: bool = True) -> Tensor:
    """[B]: each reward less its group's mean, over the group's unbiased standard deviation + 1e-6 if `scale`.

    Groups are equal ids, in any order. Equal rewards are exactly 0.
    """
    relative = torch.zeros_like(rewards)
    for rows in members(groups):
        group = rewards[rows]
        if len(rows) > 1 and not bool((group == group[0]).all()):  # else 0: a rounding error is no advantage
            relative[rows] = (group - group.mean()) / (group.std() + 1e-6 if scale else 1.0)
    return relative


def members(groups: Sequence[str]) -> list[list[int]]:
    """Return the rows of each distinct id, ordered by the id's first row."""
    rows: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    return list(rows.values())
