"""`Trainer`: updates the policy from rewarded trajectories and returns metrics. It knows neither games nor data.

trainer = Trainer(load("local-small"), {Role.SOLVER: PPO()}, Update(...), lora=Lora())
... play episodes with trainer.client() ...
metrics = trainer.update(samples)
"""

# torch is only partly typed; what this file exports is annotated by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import logging
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from questwell.errors import CheckpointError, TrainingError
from questwell.llm.codec import ChatCodec
from questwell.llm.policy import PolicyClient
from questwell.llm.pretrained import Dtype, Pretrained
from questwell.llm.torch_policy import TorchPolicy
from questwell.llm.vllm_policy import VllmPolicy
from questwell.training import losses
from questwell.training.algorithms import Algorithm
from questwell.training.checkpoint import random_state, set_random_state
from questwell.training.learner import Learner
from questwell.training.metrics import describe
from questwell.training.placement import Placement
from questwell.training.policy import Lora, spread
from questwell.training.prepare import Pass, Prepared, passes, prepare
from questwell.training.update import KlIn, Update
from questwell.types.episode import Sample
from questwell.types.trajectory import Role

_LOG = logging.getLogger("questwell")


class Trainer:
    """Actor, critic and reference with their optimizers, on this process's device."""

    def __init__(
        self,
        start: Pretrained,
        algorithms: Mapping[Role, Algorithm],
        update: Update | None = None,
        *,
        lora: Lora | None = None,
        compute_dtype: Dtype | None = None,
        rollouts: VllmPolicy | None = None,
    ) -> None:
        """Train from `start`, which is also the reference; its model is changed in place.

        Args:
            start: the initial policy. Weights that are to be trained whole must be float32, also on a GPU: a small
                step would be lost in bfloat16. The passes compute in bfloat16 there.
            algorithms: the algorithm that computes the advantages of each role.
            update: the hyperparameters.
            lora: train adapters instead of all weights; then `start` may be bfloat16.
            compute_dtype: precision of the passes; by default bfloat16 on a GPU and float32 on a CPU.
            rollouts: server that samples instead of this process; it gets the new weights after each update.
        """
        self.hyperparameters = update = update or Update()
        self.step = 0
        """Number of updates made."""
        self.codec: ChatCodec = start.codec
        self._start = start
        self._algorithms = algorithms
        self._kl_in: KlIn = _kl_in(algorithms, update)
        needs_critic = any(algorithm.needs_critic for algorithm in algorithms.values())
        self._placement = Placement(start, update, critic=needs_critic, lora=lora, compute_dtype=compute_dtype)
        self.ranks, self.actor, self.critic = self._placement.ranks, self._placement.actor, self._placement.critic
        self._learner = Learner(self.actor.model, update, update.learning_rate)
        self._critic_learner = self.critic and Learner(self.critic, update, update.critic_learning_rate)
        self.policy: TorchPolicy | VllmPolicy = rollouts or TorchPolicy(
            self._placement.sampler, self.codec, rows=update.rollout_rows
        )
        """Samples with the current weights."""
        self._give_weights()

    def client(self, request_id: str | None = None) -> PolicyClient:
        """Return a client of the current policy for one rollout."""
        return PolicyClient(
            self.policy,
            self.codec,
            name=self._start.name,
            context_tokens=self._start.context_tokens,
            request_id=request_id,
        )

    def update(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Take one training step on trajectories that the current policy sampled, and return its metrics.

        With several ranks, each passes its own trajectories, and all of them learn from all trajectories.

        Raises:
            TrainingError: there is nothing to learn from, a role that no algorithm is given for, or the device's
                memory is too small; says what to change.
            TrainingCollapsed: a gradient is not finite.
        """
        started = time.perf_counter()
        samples = self.ranks.everyones([sample for sample in samples if any(sample.tokens.response_mask)])
        if not samples:
            raise TrainingError("a step without any token of the model has nothing to learn from")
        if unknown := {sample.role for sample in samples} - self._algorithms.keys():
            raise TrainingError(f"no algorithm is given for the role {sorted(unknown)}")
        with _out_of_memory_explained(self.hyperparameters):
            self.policy.forget()  # the sampler's cache is invalid after the update, and uses memory during it
            prepared = prepare(
                samples, self._placement, self._algorithms, self.hyperparameters, self._kl_in, self.codec.end
            )
            descents = [self._descend(prepared, rows) for rows in self._minibatches(len(samples))]
        self.step += 1
        learning_rate = self._learner.learning_rate
        for learner in (self._learner, self._critic_learner):
            if learner is not None:
                learner.tick()
        self._give_weights()
        seconds = time.perf_counter() - started
        return {
            "step": float(self.step),
            **describe(samples, self.hyperparameters.response_limit),
            **self._before(prepared),
            **{name: sum(d[name] for d in descents) / len(descents) for name in descents[0]},
            "update_kl": descents[-1]["update_kl"],
            "learning_rate": learning_rate,
            "update_s": seconds,
            "update_tokens_per_s": prepared.batch.tokens * self.hyperparameters.epochs / seconds,
        }

    def state(self) -> dict[str, Any]:
        """Return everything that the next update depends on, except the initial policy. All ranks must call it."""
        return {
            "step": self.step,
            "actor": self._learner.state(),
            "critic": self._critic_learner.state() if self._critic_learner else None,
            "random": random_state(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore `state`; this trainer must have the same settings as the one that saved it.

        Raises:
            CheckpointError: the settings differ.
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
        self._give_weights()

    def save_model(self, folder: Path) -> None:
        """Write the policy as a Hugging Face folder, with the adapter merged in."""
        self._placement.save_model(folder)

    def _give_weights(self) -> None:
        """Give the sampler the actor's new weights."""
        self._placement.refresh_sampler()
        if isinstance(self.policy, VllmPolicy):
            placement = self._placement
            self.policy.renew(placement.save_adapter if placement.actor.lora else placement.save_served)

    def _minibatches(self, count: int) -> Iterator[Tensor]:
        """Yield the rows of each minibatch of this step, the same on every rank."""
        order = torch.Generator().manual_seed(self.hyperparameters.seed * 1_000_003 + self.step)
        for _ in range(self.hyperparameters.epochs):
            rows = torch.randperm(count, generator=order).to(self.ranks.device)
            yield from rows.chunk(min(self.hyperparameters.minibatches, count))

    def _descend(self, prepared: Prepared, rows: Tensor) -> dict[str, float]:
        """Take one optimizer step of each model on a minibatch, and return its metrics."""
        update = self.hyperparameters
        # FSDP averages gradients over the ranks: divided by tokens / ranks they add up to those of the whole minibatch
        tokens = prepared.mask[rows].sum() / self.ranks.count
        valued = (prepared.mask[rows] * prepared.valued[rows, None]).sum().clamp(min=1) / self.ranks.count
        sums = torch.zeros(4, device=rows.device)  # policy loss, clipped tokens, divergence, value loss
        learning = self._learning(prepared, rows)
        for learns in (
            False,
            True,
        ):  # FSDP keeps gathered weights after a forward pass; only a backward pass frees them
            for one in passes(prepared.batch, rows[learning == learns], update.micro_tokens, self.ranks):
                sums[:3] += self._actor_pass(prepared, one, tokens, learns=learns)
                if self.critic is not None:
                    sums[3] += self._critic_pass(prepared, one, valued)
        if not prepared.scored:
            for found in (prepared.scores.logp, prepared.scores.entropy):
                self.ranks.sum(found)
        policy_loss, clipped, moved, value_loss = (self.ranks.sum(sums) / self.ranks.count).tolist()
        done = {"policy_loss": policy_loss, "clip_fraction": clipped, "update_kl": moved}
        if self.step >= update.critic_warmup_steps or self._critic_learner is None:
            done["gradient_norm"] = self._learner.descend()
        else:
            self._learner.forget()
        if self._critic_learner is not None:
            done |= {"value_loss": value_loss, "critic_gradient_norm": self._critic_learner.descend()}
        return done

    def _learning(self, prepared: Prepared, rows: Tensor) -> Tensor:
        """Return whether each row has a gradient, [rows]. A row of zero advantage has none but that of KL and entropy.

        One row always counts: where the gradient is 0, the optimizer still moves by its moments.
        """
        update = self.hyperparameters
        if update.entropy_coefficient or (update.kl_coefficient and self._kl_in == "loss"):
            return torch.ones_like(rows, dtype=torch.bool)
        learning = (prepared.advantages[rows] * prepared.mask[rows] != 0).any(dim=1)
        learning[0] |= ~learning.any()
        return learning

    def _actor_pass(self, prepared: Prepared, one: Pass, tokens: Tensor, *, learns: bool) -> Tensor:
        """Add the gradient of one pass to the actor; return [policy loss, clipped tokens, divergence] over `tokens`.

        If it does not learn, the pass is run for its metrics alone, which takes a third of the time.
        """
        update, at, scores = self.hyperparameters, one.rows, prepared.scores
        part = prepared.batch.rows(at)
        width = part.mask.shape[1]
        where = prepared.mask[at, :width].bool()  # [rows, width]; N of them are true
        mask = (prepared.mask[at, :width] * one.weights[:, None])[where]  # [N]: 0 in filler rows
        with torch.set_grad_enabled(learns), self._placement.precision():
            logits = self.actor.logits(part, update.temperature, where)  # [N, V]
        logp = losses.log_probs(logits, part.response[where])  # [N]
        if not prepared.scored:
            scores.logp[at, :width] += spread(logp.detach() * mask, where)
            scores.entropy[at, :width] += spread(losses.entropy(logits.detach()) * mask, where)
        old = scores.logp[at, :width][where] if prepared.scored else logp.detach()  # [N]
        surrogate = losses.policy_loss(
            logp,
            old,
            prepared.advantages[at, :width][where],
            mask,
            clip_low=update.clip_low,
            clip_high=update.clip_high,
            tokens=tokens,
            weights=self._sampler_weights(old, part.sampled_logp[where], part.mask[where]),
        )
        loss = surrogate.loss
        if update.entropy_coefficient:
            loss = loss - update.entropy_coefficient * losses.masked_sum(losses.entropy(logits), mask) / tokens
        if update.kl_coefficient and self._kl_in == "loss":
            divergence = losses.kl(logp, scores.reference[at, :width][where], "k3")
            loss = loss + update.kl_coefficient * losses.masked_sum(divergence, mask) / tokens
        if learns:
            loss.backward()
        moved = losses.masked_sum(losses.kl(old, logp.detach(), "k3"), mask) / tokens
        return torch.stack([surrogate.loss.detach(), surrogate.clipped * mask.sum() / tokens, moved])

    def _sampler_weights(self, old: Tensor, sampled: Tensor, ours: Tensor) -> Tensor | None:
        """Return importance weights [N] for the gap between sampler and trainer; 1 for unsampled tokens (`ours` 0)."""
        cap = self.hyperparameters.sampler_ratio_cap
        return None if cap is None else torch.where(ours.bool(), losses.sampler_weights(old, sampled, cap), 1.0)

    def _critic_pass(self, prepared: Prepared, one: Pass, tokens: Tensor) -> Tensor:
        """Add the gradient of one pass to the critic; return its loss over `tokens`."""
        assert self.critic is not None
        at = one.rows
        part = prepared.batch.rows(at)
        width = part.mask.shape[1]
        with self._placement.precision():
            values = self.critic(part)  # [rows, width]
        error = losses.value_loss(
            values,
            prepared.scores.values[at, :width],
            prepared.returns[at, :width],
            prepared.mask[at, :width] * (one.weights * prepared.valued[at])[:, None],
            clip=self.hyperparameters.value_clip,
            tokens=tokens,
        )
        error.backward()
        return error.detach()

    def _before(self, prepared: Prepared) -> dict[str, float]:
        """Return the metrics of the policy before the update."""
        ours, scores = prepared.batch.mask, prepared.scores
        gap = (scores.logp - prepared.batch.sampled_logp).abs()
        seen = {
            "entropy": losses.masked_mean(scores.entropy, ours),
            "sampling_gap": losses.masked_mean(gap, ours),
        }
        if self.hyperparameters.kl_coefficient:
            seen["kl"] = losses.masked_mean(losses.kl(scores.logp, scores.reference, "k3"), ours)
        if self.critic is not None:
            learnt = prepared.mask * prepared.valued[:, None]
            seen["explained_variance"] = losses.explained_variance(scores.values, prepared.returns, learnt)
        return {name: float(value) for name, value in seen.items()}


def _kl_in(algorithms: Mapping[Role, Algorithm], update: Update) -> KlIn:
    wanted = {algorithm.kl_in for algorithm in algorithms.values()}
    if update.kl_in is None:
        return "reward" if wanted == {"reward"} else "loss"
    if update.kl_in == "reward" and "loss" in wanted and update.kl_coefficient > 0:
        _LOG.warning(
            "kl_in = reward with grpo trains on noise where all attempts of a group earn the same: "
            "the group's deviation, by which it divides, is then that of the KL penalty alone; use kl_in = loss"
        )
    return update.kl_in


@contextmanager
def _out_of_memory_explained(update: Update) -> Generator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        changes = [] if update.checkpointing else ["--checkpointing"]
        changes += [f"--micro-tokens {update.micro_tokens // 2}"]
        raise TrainingError(
            f"the update needs more memory than the device has ({str(error).splitlines()[0]}); resume with "
            f"{' or '.join(changes)}"
        ) from error
