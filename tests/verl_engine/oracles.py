"""Our formulas against verl's `core_algos` on random masked batches: values and gradients, in double precision.

`python tests/verl_engine/oracles.py` prints the figures of the table in docs/scale.md.
"""

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import verl.utils.torch_functional as verl_F
from torch import Tensor
from verl.trainer.config import AlgoConfig
from verl.trainer.ppo import core_algos
from verl.workers.config import FSDPActorConfig

from questwell.training import losses
from questwell.training.algorithms.grpo import grpo
from questwell.training.algorithms.ppo import gae
from questwell.training.algorithms.reinforce import rewards_to_come

BATCHES = 600
TOLERANCE = 1e-6
"""Of a difference, relative to the larger number or to 1. verl adds 1e-8 to counts that it divides by."""


@dataclass(frozen=True)
class Batch:
    """B trajectories of T tokens, as a multi-turn rollout leaves them: spans of the model's, observations, padding."""

    mask: Tensor
    rewards: Tensor
    values: Tensor
    old_values: Tensor
    returns: Tensor
    logp: Tensor
    old_logp: Tensor
    advantages: Tensor
    logits: Tensor
    ids: Tensor
    groups: list[str]
    gamma: float
    lam: float
    clip_low: float
    clip_high: float
    value_clip: float


def draw(seed: int) -> Batch:
    """A batch; its sizes, its spans and every number depend on `seed` only."""
    dice = random.Random(seed)
    torch.manual_seed(seed)
    rows, width = dice.randint(2, 9), dice.randint(3, 48)
    mask = torch.zeros(rows, width, dtype=torch.float64)
    for row in range(rows):
        at = 0
        while at < width and dice.random() < 0.9:
            said = dice.randint(1, 8)
            mask[row, at : at + said] = 1
            at += said + dice.randint(0, 6)
        mask[row, 0] = 1

    def normal(scale: float = 1.0) -> Tensor:
        return scale * torch.randn(rows, width, dtype=torch.float64)

    old_logp = normal() - 2
    names = [f"q{dice.randrange(max(1, rows // 2))}" for _ in range(rows)]
    groups = [name if names.count(name) > 1 else "rest" for name in names]
    if groups.count("rest") == 1:
        groups = ["rest"] * rows
    return Batch(
        mask=mask,
        rewards=normal() * mask,
        values=normal(),
        old_values=normal(),
        returns=normal(2.0),
        logp=old_logp + normal(dice.choice([0.05, 0.5, 1.5])),
        old_logp=old_logp,
        advantages=normal(),
        logits=torch.randn(rows, width, 11, dtype=torch.float64) * 3,
        ids=torch.randint(0, 11, (rows, width)),
        groups=groups,
        gamma=dice.choice([1.0, dice.uniform(0.5, 1.0)]),
        lam=dice.choice([0.0, 1.0, dice.uniform(0.5, 1.0)]),
        clip_low=dice.uniform(0.05, 0.5),
        clip_high=dice.uniform(0.05, 0.5),
        value_clip=dice.uniform(0.05, 1.0),
    )


Pairs = Iterator[tuple[Tensor, Tensor]]
"""Ours and verl's."""


def of_gae(batch: Batch) -> Pairs:
    """Advantages (whitened over the batch) and returns."""
    advantages, returns = gae(batch.rewards, batch.values, batch.mask, batch.gamma, batch.lam)
    theirs, their_returns = core_algos.compute_gae_advantage_return(
        batch.rewards, batch.values, batch.mask, gamma=batch.gamma, lam=batch.lam
    )
    yield losses.whiten(advantages, batch.mask), theirs * batch.mask
    yield returns, their_returns * batch.mask


def of_grpo(batch: Batch) -> Pairs:
    """With and without the division by the standard deviation."""
    for scale in (True, False):
        ours = grpo(batch.rewards.sum(1), batch.groups, scale=scale)[:, None] * batch.mask
        theirs, _ = core_algos.compute_grpo_outcome_advantage(
            batch.rewards, batch.mask, np.array(batch.groups), norm_adv_by_std_in_grpo=scale
        )
        yield ours, theirs


def of_reinforce(batch: Batch) -> Pairs:
    """Rewards to come, and their whitening: REINFORCE++ at gamma 1."""
    theirs, returns = core_algos.compute_reinforce_plus_plus_outcome_advantage(
        batch.rewards, batch.mask, config=AlgoConfig(gamma=1.0)
    )
    ours = rewards_to_come(batch.rewards) * batch.mask
    yield ours, returns
    yield losses.whiten(ours, batch.mask), theirs


def of_policy_loss(batch: Batch) -> Pairs:
    """Loss, share clipped, gradient; alone and as a part of a larger batch."""
    for tokens in (None, 3 * batch.mask.sum()):
        config = actor_config(batch, clip_ratio_c=1e9)  # verl's second clip: see `test_verl_clips_twice`
        if tokens is not None:
            config.global_batch_info["batch_num_tokens"] = tokens
        logp, their_logp = _leaf(batch.logp), _leaf(batch.logp)
        ours = losses.policy_loss(
            logp,
            batch.old_logp,
            batch.advantages,
            batch.mask,
            clip_low=batch.clip_low,
            clip_high=batch.clip_high,
            tokens=tokens,
        )
        theirs, metrics = core_algos.compute_policy_loss_vanilla(
            batch.old_logp, their_logp, batch.advantages, batch.mask, "token-mean", config
        )
        yield ours.loss, theirs
        yield ours.clipped, torch.tensor(metrics["actor/pg_clipfrac"], dtype=torch.float64)
        yield _gradient(ours.loss, logp), _gradient(theirs, their_logp)


def of_value_loss(batch: Batch) -> Pairs:
    """Loss and gradient, clipped."""
    values, their_values = _leaf(batch.values), _leaf(batch.values)
    ours = losses.value_loss(values, batch.old_values, batch.returns, batch.mask, clip=batch.value_clip)
    theirs, _ = core_algos.compute_value_loss(
        their_values, batch.returns, batch.old_values, batch.mask, batch.value_clip
    )
    yield ours, theirs
    yield _gradient(ours, values), _gradient(theirs, their_values)


def of_kl(estimator: losses.KlEstimator) -> Callable[[Batch], Pairs]:
    """Each token's estimate, and the gradient of their mean."""

    def compared(batch: Batch) -> Pairs:
        logp, their_logp = _leaf(batch.logp), _leaf(batch.logp)
        ours = losses.kl(logp, batch.old_logp, estimator)
        theirs = core_algos.kl_penalty(their_logp, batch.old_logp, estimator)
        near = (batch.logp - batch.old_logp > -2).double() * batch.mask  # verl caps k3 at 10, reached at -2.6
        yield ours * near, theirs * near
        mean, their_mean = losses.masked_mean(ours, near), core_algos.agg_loss(theirs, near, "token-mean")
        if near.any():
            yield mean, their_mean
            yield _gradient(mean, logp), _gradient(their_mean, their_logp)

    return compared


def of_logits(batch: Batch) -> Pairs:
    """Log-probability of a token, and entropy, from logits."""
    yield losses.log_probs(batch.logits, batch.ids).double(), verl_F.logprobs_from_logits(batch.logits, batch.ids)
    yield losses.entropy(batch.logits).double(), verl_F.entropy_from_logits(batch.logits)


COMPARISONS: dict[str, Callable[[Batch], Pairs]] = {
    "GAE, whitened": of_gae,
    "GRPO": of_grpo,
    "REINFORCE++": of_reinforce,
    "PPO clip": of_policy_loss,
    "value clip": of_value_loss,
    "KL k1": of_kl("k1"),
    "KL k2": of_kl("k2"),
    "KL k3": of_kl("k3"),
    "log-probability, entropy": of_logits,
}
LOOSER = {"log-probability, entropy": 1e-5}
"""We take the softmax in single precision."""


@dataclass(frozen=True)
class Outcome:
    """Of one formula over many batches."""

    compared: int
    """Numbers, a count."""
    mismatches: int
    """Batches with a number beyond the tolerance, a count."""
    worst: float
    """Largest difference, relative to the larger number or to 1."""


def outcome(name: str, batches: int = BATCHES, start: int = 0) -> Outcome:
    """How a formula fares."""
    compared = mismatches = 0
    worst = 0.0
    for seed in range(start, start + batches):
        off = 0.0
        for ours, theirs in COMPARISONS[name](draw(seed)):
            assert ours.shape == theirs.shape
            assert torch.isfinite(theirs).all()
            scale = torch.maximum(ours.abs(), theirs.abs()).clamp(min=1)
            off = max(off, float(((ours - theirs).abs() / scale).detach().max().nan_to_num(nan=torch.inf)))
            compared += ours.numel()
        worst = max(worst, off)
        mismatches += off > LOOSER.get(name, TOLERANCE)
    return Outcome(compared, mismatches, worst)


def actor_config(batch: Batch, clip_ratio_c: float) -> FSDPActorConfig:
    """verl's own config of the policy loss."""
    return FSDPActorConfig(
        strategy="fsdp",
        rollout_n=1,
        ppo_mini_batch_size=1,
        ppo_micro_batch_size_per_gpu=1,
        use_dynamic_bsz=False,
        clip_ratio_low=batch.clip_low,
        clip_ratio_high=batch.clip_high,
        clip_ratio_c=clip_ratio_c,
    )


def _leaf(values: Tensor) -> Tensor:
    return values.clone().requires_grad_()


def _gradient(loss: Tensor, values: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(loss, values)
    return gradient


if __name__ == "__main__":
    batches = int(sys.argv[1]) if len(sys.argv) > 1 else BATCHES
    print("| formula | batches | numbers | mismatches | largest relative difference |\n|---|---|---|---|---|")  # noqa: T201
    for each in COMPARISONS:
        found = outcome(each, batches)
        print(f"| {each} | {batches} | {found.compared:,} | {found.mismatches} | {found.worst:.0e} |")  # noqa: T201
