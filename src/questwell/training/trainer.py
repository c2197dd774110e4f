"""`Trainer`: samples in, one update of the policy, metrics out. It knows no game, no data and no clock but its own.

trainer = Trainer(load("local-small"), {Role.SOLVER: PPO()}, Options(...), lora=Lora())
... play episodes with trainer.client() ...
metrics = trainer.update(samples)
"""

# torch is typed in part only; what comes out of this file is typed by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import copy
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from questwell.errors import CheckpointError, TrainingError
from questwell.llm.codec import ChatCodec
from questwell.llm.policy import PolicyClient
from questwell.llm.pretrained import Pretrained
from questwell.llm.torch_policy import TorchPolicy
from questwell.training import losses
from questwell.training.algorithms import Algorithm, Outcomes
from questwell.training.algorithms.grpo import members
from questwell.training.batch import Batch, collate
from questwell.training.checkpoint import random_state, set_random_state
from questwell.training.learner import Learner
from questwell.training.policy import Actor, Critic, Lora
from questwell.training.ranks import Ranks
from questwell.types.episode import Sample
from questwell.types.trajectory import Role


@dataclass(frozen=True, slots=True)
class Options:
    """How an update is made. The defaults are those of Search-R1 (arXiv:2503.09516) where it says."""

    learning_rate: float = 1e-6
    critic_learning_rate: float = 1e-5
    lr_warmup_steps: int = 0
    """Steps in which the learning rates rise linearly from 0."""
    critic_warmup_steps: int = 0
    """First steps in which only the critic learns."""
    epochs: int = 1
    """Passes over a step's trajectories."""
    minibatches: int = 1
    """Optimiser steps a pass."""
    clip_low: float = 0.2
    clip_high: float = 0.2
    value_clip: float | None = 0.5
    kl_coefficient: float = 0.001
    kl_in: Literal["reward", "loss"] = "reward"
    """Where the divergence from the initial policy is charged: in each token's reward (k1), or in the loss (k3)."""
    entropy_coefficient: float = 0.0
    gradient_clip: float = 1.0
    temperature: float = 1.0
    """At which the trajectories were sampled."""
    response_limit: int = 4096
    """Tokens of a trajectory after its prompt; longer ones are cut."""
    micro_tokens: int = 16_384
    """Tokens, padding included, of one pass through a model: gradients are accumulated over as many as it takes."""
    checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, a third more time."""
    mask_inserted: bool = True
    """False trains on retrieved tokens too. That is wrong, and there to be measured."""
    seed: int = 0
    """Fixes the order of minibatches."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A batch with all that is fixed before the first descent. [B, T] where not said otherwise."""

    batch: Batch
    mask: Tensor
    """What is trained on."""
    looked: bool
    """Whether the next two are there before the descent; else the descent writes them."""
    logp: Tensor
    entropy: Tensor
    reference: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    valued: Tensor
    """[B]: 1 where the critic has something to learn."""


class Trainer:
    """Actor, critic and reference with their optimisers, on this process's device."""

    def __init__(
        self,
        start: Pretrained,
        algorithms: Mapping[Role, Algorithm],
        options: Options | None = None,
        *,
        lora: Lora | None = None,
    ) -> None:
        """Train from `start`, which is also the reference; its model is changed in place.

        Args:
            start: the initial policy. Weights that are to be trained whole must be float32, also on a GPU: a small
                step would be lost in bfloat16. The passes compute in bfloat16 there.
            algorithms: how each role's trajectories are credited.
            options: of the update.
            lora: train adapters instead of all weights; then `start` may be bfloat16.
        """
        self.options = options = options or Options()
        self.step = 0
        """Updates made."""
        self.codec: ChatCodec = start.codec
        self.ranks = Ranks(start.model.device)
        self._start = start
        self._algorithms = algorithms
        self._pad = self.codec.end
        device = start.model.device
        half = device.type == "cuda"

        # The critic comes first: the actor changes the model that both start from.
        needs_critic = any(algorithm.needs_critic for algorithm in algorithms.values())
        self.critic = Critic(start.model, lora=lora) if needs_critic else None
        self.actor = Actor(start.model, lora=lora, reference=options.kl_coefficient > 0)
        sampler = cast(nn.Module, self.actor.model)
        if self.ranks.count > 1 or (half and lora is None):
            sampler = copy.deepcopy(sampler).requires_grad_(False).to(dtype=torch.bfloat16 if half else torch.float32)
        for model in (self.actor.model, self.actor.reference, self.critic):
            if model is None:
                continue
            if options.checkpointing and model is not self.actor.reference:
                backbone = model.backbone if isinstance(model, Critic) else model
                enable = getattr(backbone, "activation_checkpointing_enable", None)  # its name since transformers 5.23
                (enable or backbone.gradient_checkpointing_enable)({"use_reentrant": False})
                model.train()  # dropout is off for good; this only switches the checkpointing on
            self.ranks.shard(model, half=half)
        self._precision = torch.autocast(device.type, torch.bfloat16, enabled=half and self.ranks.count == 1)
        self._learner = Learner(
            self.actor.model,
            learning_rate=options.learning_rate,
            lr_warmup_steps=options.lr_warmup_steps,
            gradient_clip=options.gradient_clip,
        )
        self._critic_learner = self.critic and Learner(
            self.critic,
            learning_rate=options.critic_learning_rate,
            lr_warmup_steps=options.lr_warmup_steps,
            gradient_clip=options.gradient_clip,
        )
        self.policy = TorchPolicy(sampler, self.codec)
        """Samples with the current weights."""

    def client(self, request_id: str | None = None) -> PolicyClient:
        """A line to the current policy for one rollout."""
        return PolicyClient(
            self.policy,
            self.codec,
            name=self._start.name,
            context_tokens=self._start.context_tokens,
            request_id=request_id,
        )

    def update(self, samples: Sequence[Sample]) -> dict[str, float]:
        """One training step on trajectories that the current policy sampled; its metrics.

        On more than one rank each brings its own trajectories, and all learn from all of them.

        Raises:
            TrainingError: there is nothing to learn from, or a role that no algorithm is given for.
            TrainingCollapsed: a gradient is not finite.
        """
        started = time.perf_counter()
        samples = self.ranks.everyones([sample for sample in samples if any(sample.tokens.response_mask)])
        if not samples:
            raise TrainingError("a step without a single token of the model's has nothing to learn from")
        if unknown := {sample.role for sample in samples} - self._algorithms.keys():
            raise TrainingError(f"no algorithm is given for the role {sorted(unknown)}")
        with self._precision:
            prepared = self._prepare(samples)
            descents = [self._descend(prepared, rows) for rows in self._minibatches(len(samples))]
        self.step += 1
        learning_rate = self._learner.learning_rate
        for learner in (self._learner, self._critic_learner):
            if learner is not None:
                learner.tick()
        self._refresh_sampler()
        seconds = time.perf_counter() - started
        return {
            "step": float(self.step),
            **described(samples, self.options.response_limit),
            **self._looked(prepared),
            **{name: sum(d[name] for d in descents) / len(descents) for name in descents[0]},
            "update_kl": descents[-1]["update_kl"],
            "learning_rate": learning_rate,
            "update_s": seconds,
            "update_tokens_per_s": prepared.batch.tokens * self.options.epochs / seconds,
        }

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on but the initial policy. All ranks must ask."""
        return {
            "step": self.step,
            "actor": self._learner.state(),
            "critic": self._critic_learner.state() if self._critic_learner else None,
            "random": random_state(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`; this trainer must have been made as the one that gave it.

        Raises:
            CheckpointError: it was made otherwise.
        """
        if (state["critic"] is None) != (self._critic_learner is None):
            raise CheckpointError(
                "the checkpoint was trained by another algorithm: one has a critic, the other has none"
            )
        self._learner.load(state["actor"])
        if self._critic_learner is not None:
            self._critic_learner.load(state["critic"])
        self.step = int(state["step"])
        set_random_state(state["random"])
        self._refresh_sampler()

    def save_model(self, folder: Path) -> None:
        """Write the policy as a Hugging Face folder, adapter merged in."""
        model = self.actor.merged(self.policy.model)
        Pretrained(self._start.name, model, self._start.tokenizer).save(folder)

    def _prepare(self, samples: Sequence[Sample]) -> _Prepared:
        options = self.options
        views = [sample.tokens.truncated(options.response_limit) for sample in samples]
        batch = collate(views, self._pad, self.ranks.device)
        mask = batch.mask if options.mask_inserted else batch.attention[:, -batch.mask.shape[1] :].float()
        charged = options.kl_coefficient > 0 and options.kl_in == "reward"
        looked = charged or not self._descends_once
        logp, entropy, reference, values = self._look(batch, policy=looked)
        penalty = options.kl_coefficient * losses.kl(logp, reference, "k1") if charged else None
        scores = torch.tensor([sample.reward for sample in samples], device=mask.device)
        rewards = losses.token_rewards(scores, mask, penalty)
        advantages, returns = torch.zeros_like(rewards), torch.zeros_like(rewards)
        valued = torch.zeros(len(samples), device=mask.device)
        for role, algorithm in self._algorithms.items():
            at = [row for row, sample in enumerate(samples) if sample.role is role]
            if not at:
                continue
            credit = algorithm.credit(
                Outcomes(
                    rewards[at],
                    mask[at],
                    [samples[row].group for row in at],
                    [samples[row].stratum for row in at],
                    values[at] if algorithm.needs_critic else None,
                )
            )
            advantages[at] = credit.advantages
            if credit.returns is not None:
                returns[at], valued[at] = credit.returns, 1.0
        return _Prepared(batch, mask, looked, logp, entropy, reference, values, advantages, returns, valued)

    @property
    def _descends_once(self) -> bool:
        """Whether a step is one descent: then the policy that it descends from is the one that sampled."""
        return self.options.epochs == self.options.minibatches == 1

    @torch.no_grad()
    def _look(self, batch: Batch, *, policy: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(log-probabilities, entropies, the reference's log-probabilities, values), all [B, T], before any descent.

        Without `policy` the first two are 0: the only descent will find them.
        """
        rows, _ = self.ranks.share(torch.arange(len(batch), device=batch.ids.device))
        temperature = self.options.temperature
        parts: list[Tensor] = []
        for at in self._passes(batch, rows):
            part = batch.rows(at)
            nothing = torch.zeros_like(part.mask)
            logp, entropy = self.actor.log_probs(part, temperature) if policy else (nothing, nothing)
            reference = self.actor.reference_log_probs(part, temperature) if self.options.kl_coefficient else logp
            values = self.critic(part) if self.critic is not None else nothing
            seen = torch.stack([logp, entropy, reference, values], dim=-1).float()
            parts.append(nn.functional.pad(seen, (0, 0, 0, batch.mask.shape[1] - seen.shape[1])))
        seen = self.ranks.collect(torch.cat(parts), len(batch)).movedim(-1, 0).contiguous()
        return seen[0], seen[1], seen[2], seen[3]

    def _minibatches(self, count: int) -> Iterator[Tensor]:
        """Rows of each minibatch of this step, the same on every rank."""
        order = torch.Generator().manual_seed(self.options.seed * 1_000_003 + self.step)
        for _ in range(self.options.epochs):
            rows = torch.randperm(count, generator=order).to(self.ranks.device)
            yield from rows.chunk(min(self.options.minibatches, count))

    def _passes(self, batch: Batch, rows: Tensor) -> Sequence[Tensor]:
        """`rows` in as many passes as their tokens need; as many on every rank."""
        return rows.split(max(1, self.options.micro_tokens // batch.ids.shape[1]))

    def _descend(self, prepared: _Prepared, rows: Tensor) -> dict[str, float]:
        """One optimiser step of each model on a minibatch."""
        options = self.options
        share, weights = self.ranks.share(rows)
        # FSDP averages gradients over the ranks: divided by tokens / ranks they add up to those of the whole minibatch
        tokens = prepared.mask[rows].sum() / self.ranks.count
        valued = (prepared.mask[rows] * prepared.valued[rows, None]).sum().clamp(min=1) / self.ranks.count
        sums = torch.zeros(4, device=rows.device)
        passes = list(zip(self._passes(prepared.batch, share), self._passes(prepared.batch, weights), strict=True))
        for at, weight in passes:
            part = prepared.batch.rows(at)
            width = part.mask.shape[1]
            mask = prepared.mask[at, :width] * weight[:, None]
            logits = self.actor.logits(part, options.temperature)
            logp = losses.log_probs(logits, part.response)
            if not prepared.looked:
                prepared.logp[at, :width] += logp.detach() * weight[:, None]
                prepared.entropy[at, :width] += losses.entropy(logits.detach()) * weight[:, None]
            old = prepared.logp[at, :width] if prepared.looked else logp.detach()
            surrogate = losses.policy_loss(
                logp,
                old,
                prepared.advantages[at, :width],
                mask,
                clip_low=options.clip_low,
                clip_high=options.clip_high,
                tokens=tokens,
            )
            loss = surrogate.loss
            if options.entropy_coefficient:
                spread = losses.entropy(logits)
                loss = loss - options.entropy_coefficient * losses.masked_sum(spread, mask) / tokens
            if options.kl_coefficient and options.kl_in == "loss":
                divergence = losses.kl(logp, prepared.reference[at, :width], "k3")
                loss = loss + options.kl_coefficient * losses.masked_sum(divergence, mask) / tokens
            loss.backward()
            moved = losses.kl(old, logp.detach(), "k3")
            sums[0] += surrogate.loss.detach()
            sums[1] += surrogate.clipped * mask.sum() / tokens
            sums[2] += losses.masked_sum(moved, mask) / tokens
            if self.critic is not None:
                error = losses.value_loss(
                    self.critic(part),
                    prepared.values[at, :width],
                    prepared.returns[at, :width],
                    mask * prepared.valued[at, None],
                    clip=options.value_clip,
                    tokens=valued,
                )
                error.backward()
                sums[3] += error.detach()
        if not prepared.looked:
            for found in (prepared.logp, prepared.entropy):
                self.ranks.sum(found)
        policy_loss, clipped, moved, value_loss = (self.ranks.sum(sums) / self.ranks.count).tolist()
        done = {"policy_loss": policy_loss, "clip_fraction": clipped, "update_kl": moved}
        if self.step >= options.critic_warmup_steps or self._critic_learner is None:
            done["gradient_norm"] = self._learner.descend()
        else:
            self._learner.forget()
        if self._critic_learner is not None:
            done |= {"value_loss": value_loss, "critic_gradient_norm": self._critic_learner.descend()}
        return done

    def _looked(self, prepared: _Prepared) -> dict[str, float]:
        """Metrics of the policy as it sampled."""
        ours = prepared.batch.mask
        gap = (prepared.logp - prepared.batch.sampled_logp).abs()
        seen = {
            "entropy": losses.masked_mean(prepared.entropy, ours),
            "sampling_gap": losses.masked_mean(gap, ours),
        }
        if self.options.kl_coefficient:
            seen["kl"] = losses.masked_mean(losses.kl(prepared.logp, prepared.reference, "k3"), ours)
        if self.critic is not None:
            learnt = prepared.mask * prepared.valued[:, None]
            seen["explained_variance"] = losses.explained_variance(prepared.values, prepared.returns, learnt)
        return {name: float(value) for name, value in seen.items()}

    @torch.no_grad()
    def _refresh_sampler(self) -> None:
        """Give the sampler, where it is a copy, the weights of now."""
        sampler = self.policy.model
        if sampler is self.actor.model:
            return
        pairs = zip(sampler.parameters(), self.actor.model.parameters(), strict=True)
        for copied, weight in pairs:
            copied.copy_(weight.full_tensor() if isinstance(weight, DTensor) else weight)


def described(samples: Sequence[Sample], response_limit: int) -> dict[str, float]:
    """Metrics of the trajectories themselves."""
    count = len(samples)
    rewards = [sample.reward for sample in samples]
    judged = [sample.correct for sample in samples if sample.correct is not None]
    groups = [[rewards[row] for row in rows] for rows in members([sample.group for sample in samples]) if len(rows) > 1]
    shown = {
        "reward": statistics.fmean(rewards),
        "reward_std": statistics.pstdev(rewards),
        "finished": sum(sample.finished for sample in samples) / count,
        "searches": sum(sample.searches for sample in samples) / count,
        "format_errors": sum(sample.format_errors for sample in samples) / count,
        "response_tokens": sum(len(sample.tokens.response_ids) for sample in samples) / count,
        "model_tokens": sum(sum(sample.tokens.response_mask) for sample in samples) / count,
        "truncated": sum(len(sample.tokens.response_ids) > response_limit for sample in samples) / count,
        "trajectories": float(count),
    }
    if judged:
        shown["accuracy"] = sum(judged) / len(judged)
    if groups:
        shown["flat_groups"] = sum(max(group) == min(group) for group in groups) / len(groups)
    return shown
