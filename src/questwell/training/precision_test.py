"""What a GPU does in bfloat16, emulated on a CPU: every descent sees the newest weights, and sharded models run."""

import math
from collections.abc import Generator
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from questwell.llm.pretrained import Pretrained
from questwell.training.algorithms import Algorithm
from questwell.training.algorithms.grpo import GRPO
from questwell.training.algorithms.ppo import PPO
from questwell.training.batch import collate
from questwell.training.conftest import made_up, tiny
from questwell.training.losses import kl, log_probs, policy_loss
from questwell.training.policy import Critic, Lora, frozen_copy, logits_of
from questwell.training.trainer import Trainer
from questwell.training.update import Update
from questwell.training.warmstart import WarmStart, warm_start
from questwell.types.trajectory import Role, TokenView

UPDATE = Update(learning_rate=5e-3, critic_learning_rate=5e-3, kl_in="loss", sampler_ratio_cap=None)


def steps(algorithm: Algorithm, compute, lora: Lora | None = None, **more) -> dict[str, float]:
    """Metrics of the third of three steps."""
    trainer = Trainer(tiny(), {Role.SOLVER: algorithm}, replace(UPDATE, **more), lora=lora, compute_dtype=compute)
    return [trainer.update(made_up(8)) for _ in range(3)][-1]


@pytest.mark.parametrize("lora", [None, Lora(4, 8)], ids=["all weights", "lora"])
@pytest.mark.parametrize("shape", [{"minibatches": 8}, {"epochs": 4, "minibatches": 2}], ids=str)
def test_every_descent_in_bfloat16_sees_the_weights_of_the_one_before(shape: dict[str, int], lora: Lora | None) -> None:
    """One autocast context around an update would cache its casts: later descents would use stale weights."""
    exact, half = (steps(PPO(), compute, lora, **shape) for compute in ("float32", "bfloat16"))
    assert exact["update_kl"] > 1e-4
    assert half["update_kl"] == pytest.approx(exact["update_kl"], rel=0.35)
    assert half["kl"] == pytest.approx(exact["kl"], rel=0.35)


class GpuKernel(torch.autograd.Function):
    """What a GPU's kernel makes of a mask of its own: a query that sees nothing gets no number, and, as cuDNN's on
    Hopper does for the large scores of real models (pytorch/pytorch#196678), so does the gradient of the queries."""

    @staticmethod
    def forward(ctx, query: Tensor, mask: Tensor) -> Tensor:
        return query.masked_fill(~mask.any(-1, keepdim=True), torch.nan)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return torch.full_like(gradient, torch.nan), None


@pytest.mark.parametrize("lora", [None, Lora(4, 8)], ids=["all weights", "lora"])
@pytest.mark.parametrize("algorithm", [PPO(), GRPO()], ids=["ppo", "grpo"])
def test_no_pass_asks_a_kernel_for_a_mask_of_its_own(
    algorithm: Algorithm, lora: Lora | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen on an H100: the first update of a real model had a gradient that was no number."""
    real = torch.nn.functional.scaled_dot_product_attention
    calls = []

    def attend(query, key, value, attn_mask=None, **more):
        calls.append(more.get("is_causal"))
        if attn_mask is not None:
            query = GpuKernel.apply(query, attn_mask)
        return real(query, key, value, attn_mask=attn_mask, **more)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attend)
    trainer = Trainer(tiny(), {Role.SOLVER: algorithm}, UPDATE, lora=lora, compute_dtype="bfloat16")
    assert math.isfinite(trainer.update(made_up(8))["gradient_norm"])
    assert calls
    assert all(calls)


def test_a_batch_is_computed_as_each_of_its_rows_alone() -> None:
    """Prompts and responses of other lengths change nothing: log-probabilities, values and gradients."""
    samples, model = made_up(7), tiny().model
    critic = Critic(tiny().model)
    torch.nn.init.normal_(critic.head.weight, generator=torch.Generator().manual_seed(0))

    def of(views: list[TokenView]) -> tuple[Tensor, Tensor]:
        batch = collate(views, 1)
        where = batch.mask.bool()
        return log_probs(logits_of(model, batch, 1.0, where), batch.response[where]), critic(batch)[where]

    together = of([sample.tokens for sample in samples])
    alone = [of([sample.tokens]) for sample in samples]
    for which, found in enumerate(together):
        apart = torch.cat([one[which] for one in alone])
        assert torch.allclose(found, apart, atol=1e-5)
    gradients = []
    for values in (together[0], torch.cat([one[0] for one in alone])):
        model.zero_grad()
        values.sum().backward(retain_graph=True)
        gradients.append([weight.grad.clone() for weight in model.parameters()])
    assert all(torch.allclose(one, other, atol=1e-3) for one, other in zip(*gradients, strict=True))


def test_only_weights_of_a_copy_are_rounded() -> None:
    model = tiny().model
    copied = frozen_copy(model, torch.bfloat16)
    assert {weight.dtype for weight in copied.parameters()} == {torch.bfloat16}
    kept = dict(copied.named_buffers())
    assert any("inv_freq" in name for name in kept)
    assert all(torch.equal(value, kept[name]) for name, value in model.named_buffers())


@pytest.mark.parametrize("kl_in", ["loss", "reward"])
def test_a_token_that_one_of_two_policies_finds_impossible_leaves_a_finite_gradient(kl_in) -> None:
    logp = torch.tensor([-400.0, -0.1, -0.1], requires_grad=True)
    other = torch.tensor([-0.1, -400.0, -0.1])
    mask = torch.ones(3)
    loss = policy_loss(logp, other, torch.tensor([0.0, -1.0, 0.0]), mask).loss
    loss = loss + kl(logp, other, "k3" if kl_in == "loss" else "k1").sum()
    loss.backward()
    assert math.isfinite(float(loss.detach()))
    assert logp.grad is not None
    assert logp.grad.isfinite().all()


@pytest.fixture
def one_rank() -> Generator[None]:
    """A process group of one: models are sharded by FSDP2, as under torchrun."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("one_rank")
@pytest.mark.parametrize("algorithm", [PPO(), GRPO()], ids=["ppo", "grpo"])
@pytest.mark.parametrize("lora", [None, Lora(4, 8)], ids=["all weights", "lora"])
def test_sharded_models_train_in_bfloat16(algorithm: Algorithm, lora: Lora | None) -> None:
    """FSDP2 gathers the backbone in bfloat16, while a critic's head computes in float32."""
    start = tiny()
    if lora:
        start = Pretrained(start.name, start.model.to(torch.bfloat16), start.tokenizer)
    trainer = Trainer(start, {Role.SOLVER: algorithm}, UPDATE, lora=lora, compute_dtype="bfloat16")
    samples = made_up(8)
    metrics = [trainer.update(samples) for _ in range(3)]
    assert metrics[-1]["gradient_norm"] > 0
    assert metrics[-1]["kl"] > 1e-5
    assert trainer.policy.model is not trainer.actor.model


@pytest.mark.usefixtures("one_rank")
def test_rows_passed_without_a_gradient_leave_no_old_weights_in_a_sharded_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples = [replace(sample, group=f"q{at // 2}", reward=float(at in (1, 5))) for at, sample in enumerate(made_up(8))]
    told: list[dict[str, float]] = []
    for skips in (True, False):
        update = replace(UPDATE, kl_coefficient=0.0, minibatches=2)
        trainer = Trainer(tiny(), {Role.SOLVER: GRPO()}, update, compute_dtype="float32")
        if not skips:
            monkeypatch.setattr(trainer, "_learning", lambda _, rows: torch.ones_like(rows, dtype=torch.bool))
        told.append([trainer.update(samples) for _ in range(3)][-1])
    assert told[0]["update_kl"] > 1e-4
    for name in ("policy_loss", "gradient_norm", "entropy", "update_kl"):
        assert told[0][name] == pytest.approx(told[1][name], rel=1e-3), name


@pytest.mark.parametrize("lora", [None, Lora(4, 8)], ids=["all weights", "lora"])
def test_the_sampler_is_a_plain_copy_in_the_weights_of_now(lora: Lora | None) -> None:
    trainer = Trainer(
        tiny(), {Role.SOLVER: GRPO()}, replace(UPDATE, learning_rate=0.05), lora=lora, compute_dtype="bfloat16"
    )
    batch = collate([sample.tokens for sample in made_up(4)], 1)
    before = logits_of(trainer.policy.model, batch, 1.0).float()
    for _ in range(2):
        trainer.update(made_up(8))
    with torch.no_grad():
        sampled = logits_of(trainer.policy.model, batch, 1.0).float()
        trained = trainer.actor.logits(batch, 1.0).float()
    assert not any("lora" in name for name, _ in trainer.policy.model.named_parameters())
    assert (sampled - trained).abs().max() < 0.1 * (sampled - before).abs().max()


def test_a_warm_start_computes_in_the_precision_that_is_asked_for() -> None:
    views, losses = [sample.tokens for sample in made_up(8)], dict[str, float]()
    for dtype in ("float32", "bfloat16"):
        how = WarmStart(steps=1, batch=8)
        warm_start(
            tiny(), views, how, compute_dtype=dtype, on_step=lambda _, loss, dtype=dtype: losses.update({dtype: loss})
        )
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.01)
    assert losses["bfloat16"] != losses["float32"]
