"""Losses, KL estimates and statistics as pure functions of tensors.

Shapes: B trajectories, T response tokens. `mask` is [B, T], 1 where the model wrote the token and 0 where it was
retrieved, inserted or padding; nothing outside the mask reaches a loss or a statistic. Log-probabilities are natural.

Compared with verl's `core_algos` on random masked batches (docs/training.md).
"""

# torch is only partly typed; what this file exports is annotated by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

_FAR = 20.0
"""Log-ratios are clamped to this, as in verl: the exponential of a larger one, and its gradient, overflow."""
KlEstimator = Literal["k1", "k2", "k3"]
_CACHED, _LARGE = 2**20, 2**27
"""Number of logits processed together on a CPU and on a GPU: 4 MiB and 512 MiB in float32."""


def masked_sum(values: Tensor, mask: Tensor) -> Tensor:
    """Return the sum of `values` where the mask is 1, a scalar. Masked values may be infinite or NaN."""
    return torch.where(mask.bool(), values, 0.0).sum()


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of `values` where the mask is 1, a scalar; 0 for an empty mask."""
    return masked_sum(values, mask) / mask.sum().clamp(min=1)


def whiten(values: Tensor, mask: Tensor) -> Tensor:
    """Return `values` [B, T] shifted and scaled to mean 0 and variance 1 where the mask is 1; 0 elsewhere.

    The variance is unbiased, as in verl; fewer than two values are only shifted.
    """
    count = mask.sum()
    centred = torch.where(mask.bool(), values - masked_mean(values, mask), 0.0)
    if count < 2:
        return centred
    variance = centred.square().sum() / (count - 1)
    return centred * torch.rsqrt(variance + 1e-8)


def log_probs(logits: Tensor, ids: Tensor) -> Tensor:
    """Return the log-probability of each token of `ids` [B, T] under `logits` [B, T, V], always in float32."""
    spent = nn.functional.cross_entropy(logits.float().flatten(0, -2), ids.flatten(), reduction="none")
    return -spent.view_as(ids)


def entropy(logits: Tensor) -> Tensor:
    """Return the entropy of each next-token distribution in nats, [B, T], from `logits` [B, T, V]."""
    if torch.is_grad_enabled() and logits.requires_grad:
        logp = logits.float().log_softmax(-1)
        return -(logp.exp() * logp).sum(-1)
    # slice by slice: three times as fast in a CPU's cache, and no copy of all logits is made
    rows = max(1, (_CACHED if logits.device.type == "cpu" else _LARGE) // logits.shape[-1])
    slices: list[Tensor] = []
    for part in logits.flatten(0, -2).split(rows):
        logp = part.float().log_softmax(-1)
        slices.append(-logp.exp().mul_(logp).sum(-1))
    return torch.cat(slices).view(logits.shape[:-1])


def kl(logp: Tensor, reference: Tensor, estimator: KlEstimator = "k1") -> Tensor:
    """Return an estimate of KL(policy || reference) at each token sampled from the policy, [B, T].

    Schulman, "Approximating KL divergence" (2020). k1 is unbiased and may be negative; k3 is unbiased and never
    negative; k2 is biased, and the one whose gradient is right when it is differentiated as a loss.
    """
    log_ratio = (logp - reference).clamp(-_FAR, _FAR)
    match estimator:
        case "k1":
            return log_ratio
        case "k2":
            return 0.5 * log_ratio.square()
        case "k3":
            return torch.expm1(-log_ratio) + log_ratio


def token_rewards(scores: Tensor, mask: Tensor, penalty: Tensor | None = None) -> Tensor:
    """Return the reward of each token, [B, T]: the score [B] at the last mask-1 token, minus `penalty` at each.

    A trajectory in which the model wrote nothing gets no reward.
    """
    positions = torch.arange(mask.shape[1], device=mask.device)
    last = (mask * (positions + 1)).argmax(dim=1)
    rewards = torch.zeros_like(mask, dtype=torch.float32)
    rewards[torch.arange(len(scores), device=mask.device), last] = scores.float()
    if penalty is not None:
        rewards = rewards - penalty
    return torch.where(mask.bool(), rewards, 0.0)


@dataclass(frozen=True, slots=True)
class PolicyLoss:
    """The clipped surrogate loss and the fraction of tokens that were clipped."""

    loss: Tensor
    """Scalar, to minimise."""
    clipped: Tensor
    """Fraction of mask-1 tokens whose gradient is zero because of the clip."""


def policy_loss(
    logp: Tensor,
    old_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    tokens: Tensor | float | None = None,
    weights: Tensor | None = None,
) -> PolicyLoss:
    """Return PPO's clipped surrogate (Schulman et al. 2017, arXiv:1707.06347, eq. 7), the mean over mask-1 tokens.

    `clip_low` and `clip_high` may differ (DAPO, arXiv:2503.14476). On the first step after sampling the ratio is 1 and
    its gradient is that of REINFORCE.

    Args:
        logp: log-probabilities of the policy that is trained, [B, T], with gradient.
        old_logp: log-probabilities of the policy that sampled, [B, T].
        advantages: advantage of each token, [B, T].
        mask: 1 where the model wrote the token, [B, T].
        clip_low: a ratio below 1 - clip_low gets no further gradient.
        clip_high: a ratio above 1 + clip_high gets no further gradient.
        tokens: number of tokens to divide by if this is only part of a batch; None counts the mask.
        weights: weight of each token's gradient (`sampler_weights`); None: all 1.
    """
    ratio = torch.where(mask.bool(), logp - old_logp, 0.0).clamp(-_FAR, _FAR).exp()
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - clip_low, 1 + clip_high)
    surrogate = torch.maximum(plain, clipped)
    if weights is not None:
        surrogate = surrogate * weights
    return PolicyLoss(
        loss=masked_sum(surrogate, mask) / _count(mask, tokens),
        clipped=masked_mean((clipped > plain).float(), mask).detach(),
    )


def sampler_weights(old_logp: Tensor, sampled_logp: Tensor, cap: float) -> Tensor:
    """Return importance weights min(trainer / sampler probability, cap) of each token, without gradient.

    The sampler may use another precision or another program than the trainer. Its tokens then come from a slightly
    different policy than the one that is updated.
    """
    return (old_logp - sampled_logp).detach().exp().clamp(max=cap)


def value_loss(
    values: Tensor,
    old_values: Tensor,
    returns: Tensor,
    mask: Tensor,
    *,
    clip: float | None = 0.5,
    tokens: Tensor | float | None = None,
) -> Tensor:
    """Return half the squared error of the critic, the mean over mask-1 tokens, a scalar.

    With `clip`, each token takes the larger of two errors: that of the value, and that of the value clamped to within
    `clip` of the old one (as in OpenAI's baselines; Engstrom et al. 2020, arXiv:2005.12729). `tokens` as in
    `policy_loss`.
    """
    error = (values - returns).square()
    if clip is not None:
        held = old_values + (values - old_values).clamp(-clip, clip)
        error = torch.maximum(error, (held - returns).square())
    return 0.5 * masked_sum(error, mask) / _count(mask, tokens)


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> Tensor:
    """Return 1 - Var(returns - values) / Var(returns) over mask 1: 1 for a perfect critic, 0 for a constant one.

    NaN if the returns do not vary.
    """
    inside = mask.bool()
    return 1 - (returns - values)[inside].var(correction=0) / returns[inside].var(correction=0)


def _count(mask: Tensor, tokens: Tensor | float | None) -> Tensor | float:
    return mask.sum().clamp(min=1) if tokens is None else tokens
