"""`Prepared`: a batch with everything computed before the first optimizer step; also splits a batch into passes.

Shapes: B trajectories, T response tokens.
"""

# torch is only partly typed; what this file exports is annotated by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from questwell.training import losses
from questwell.training.algorithms import Algorithm, Outcomes
from questwell.training.batch import Batch, collate
from questwell.training.placement import Placement
from questwell.training.ranks import Ranks
from questwell.training.update import KlIn, Update
from questwell.types.episode import Sample
from questwell.types.trajectory import Role


@dataclass(frozen=True, slots=True)
class Scores:
    """The models' outputs for a batch before the first optimizer step; 0 outside the mask."""

    logp: Tensor
    """[B, T]: log-probability of each token under the policy."""
    entropy: Tensor
    """[B, T]: entropy of the next-token distribution before each token, in nats."""
    reference: Tensor
    """[B, T]: log-probability under the initial policy."""
    values: Tensor
    """[B, T]: values of the critic."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch, its scores and its advantages."""

    batch: Batch
    mask: Tensor
    """[B, T]: 1 where a token is trained on."""
    scored: bool
    """Whether `logp` and `entropy` are known; if not, the only optimizer step fills them in."""
    scores: Scores
    advantages: Tensor
    """[B, T]: advantage of each token."""
    returns: Tensor
    """[B, T]: target of the critic."""
    valued: Tensor
    """[B]: 1 for rows that the critic learns from."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Rows that go through a model in one pass."""

    rows: Tensor
    """[rows of this pass]: index of each row in the batch."""
    weights: Tensor
    """[rows of this pass]: 0 for filler rows, which give all ranks the same number of passes."""


def prepare(
    samples: Sequence[Sample],
    placement: Placement,
    algorithms: Mapping[Role, Algorithm],
    update: Update,
    kl_in: KlIn,
    pad: int,
) -> Prepared:
    """Collate and score the trajectories, and compute the advantages with each role's algorithm."""
    views = [sample.tokens.truncated(update.response_limit) for sample in samples]
    batch = collate(views, pad, placement.ranks.device)
    mask = batch.mask if update.mask_inserted else batch.attention[:, -batch.mask.shape[1] :].float()  # [B, T]
    charged = update.kl_coefficient > 0 and kl_in == "reward"
    scored = charged or not update.descends_once
    scores = score(batch, mask, placement, update, policy=scored)
    penalty = update.kl_coefficient * losses.kl(scores.logp, scores.reference, "k1") if charged else None  # [B, T]
    earned = torch.tensor([sample.reward for sample in samples], device=mask.device)  # [B]
    rewards = losses.token_rewards(earned, mask, penalty)  # [B, T]
    advantages, returns = torch.zeros_like(rewards), torch.zeros_like(rewards)  # [B, T]
    valued = torch.zeros(len(samples), device=mask.device)  # [B]
    for role, algorithm in algorithms.items():
        at = [row for row, sample in enumerate(samples) if sample.role is role]
        if not at:
            continue
        credit = algorithm.credit(
            Outcomes(
                rewards[at],
                mask[at],
                [samples[row].group for row in at],
                [samples[row].stratum for row in at],
                scores.values[at] if algorithm.needs_critic else None,
            )
        )
        advantages[at] = credit.advantages
        if credit.returns is not None:
            returns[at], valued[at] = credit.returns, 1.0
    return Prepared(batch, mask, scored, scores, advantages, returns, valued)


@torch.no_grad()
def score(batch: Batch, mask: Tensor, placement: Placement, update: Update, *, policy: bool) -> Scores:
    """Run each model once without gradient; without `policy`, log-probabilities and entropies are 0."""
    actor, critic = placement.actor, placement.critic
    seen = torch.zeros(*batch.mask.shape, 4, device=batch.ids.device)  # [B, T, 4]
    for one in passes(batch, torch.arange(len(batch), device=batch.ids.device), update.micro_tokens, placement.ranks):
        part = batch.rows(one.rows)
        width = part.mask.shape[1]
        where = mask[one.rows, :width].bool()  # [rows, width]
        nothing = torch.zeros_like(part.mask)
        with placement.precision():
            logp, entropy = actor.log_probs(part, update.temperature, where) if policy else (nothing, nothing)
            asked = update.kl_coefficient > 0
            reference = actor.reference_log_probs(part, update.temperature, where) if asked else logp
            values = critic(part) if critic is not None else nothing
        found = torch.stack([logp, entropy, reference, values], dim=-1).float()  # [rows, width, 4]
        seen[one.rows, :width] += found * one.weights[:, None, None]
    logp, entropy, reference, values = placement.ranks.sum(seen).movedim(-1, 0).contiguous()
    return Scores(logp, entropy, reference, values)


def passes(batch: Batch, rows: Tensor, micro_tokens: int, ranks: Ranks) -> list[Pass]:
    """Return this rank's part of `rows`, in passes of at most `micro_tokens` tokens, padding included.

    Rows of similar length share a pass: in batch order a third of all tokens would be padding. Every rank gets the
    same number of passes, because all ranks must call a sharded model equally often.
    """
    response = batch.mask.shape[1]
    used = batch.attention[rows]
    lengths = torch.stack([used[:, :-response].sum(1), used[:, -response:].sum(1)], dim=1)  # [rows, 2]
    order = lengths.sum(1).argsort(descending=True, stable=True)
    widths: list[list[int]] = lengths[order].tolist()
    dealt = [list(range(at, min(at + ranks.count, len(order)))) for at in range(0, len(order), ranks.count)]
    filled: list[list[int]] = []  # each pass: which rows of `dealt`, one for each rank
    prompt = said = 0
    for at, share in enumerate(dealt):
        wider = max(prompt, *(widths[row][0] for row in share)), max(said, *(widths[row][1] for row in share))
        if not filled or sum(wider) * (len(filled[-1]) + 1) > micro_tokens:
            filled.append([])
            wider = max(widths[row][0] for row in share), max(widths[row][1] for row in share)
        prompt, said = wider
        filled[-1].append(at)
    found: list[Pass] = []
    for places in filled:
        mine = [dealt[at][min(ranks.rank, len(dealt[at]) - 1)] for at in places]
        weights = [float(ranks.rank < len(dealt[at])) for at in places]
        found.append(Pass(rows[order[mine]], torch.tensor(weights, device=rows.device)))
    return found
