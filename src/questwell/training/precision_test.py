"""What a GPU does in bfloat16, emulated on a CPU: every descent sees the newest weights, and sharded models run."""

from collections.abc import Generator
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist

from questwell.llm.pretrained import Pretrained
from questwell.training.algorithms import Algorithm
from questwell.training.algorithms.grpo import GRPO
from questwell.training.algorithms.ppo import PPO
from questwell.training.batch import collate
from questwell.training.conftest import made_up, tiny
from questwell.training.policy import Lora, logits_of
from questwell.training.trainer import Trainer
from questwell.training.update import Update
from questwell.types.trajectory import Role

UPDATE = Update(learning_rate=5e-3, critic_learning_rate=5e-3, kl_in="loss", sampler_ratio_cap=None)


def steps(algorithm: Algorithm, compute, lora: Lora | None = None, **more) -> dict[str, float]:
    """Metrics of the third of three steps."""
    trainer = Trainer(tiny(), {Role.SOLVER: algorithm}, replace(UPDATE, **more), lora=lora, compute=compute)
    return [trainer.update(made_up(8)) for _ in range(3)][-1]


@pytest.mark.parametrize("lora", [None, Lora(4, 8)], ids=["all weights", "lora"])
@pytest.mark.parametrize("shape", [{"minibatches": 8}, {"epochs": 4, "minibatches": 2}], ids=str)
def test_every_descent_in_bfloat16_sees_the_weights_of_the_one_before(shape: dict[str, int], lora: Lora | None) -> None:
    """One autocast context around an update would cache its casts: later descents would use stale weights."""
    exact, half = (steps(PPO(), compute, lora, **shape) for compute in ("float32", "bfloat16"))
    assert exact["update_kl"] > 1e-4
    assert half["update_kl"] == pytest.approx(exact["update_kl"], rel=0.35)
    assert half["kl"] == pytest.approx(exact["kl"], rel=0.35)


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
    trainer = Trainer(start, {Role.SOLVER: algorithm}, UPDATE, lora=lora, compute="bfloat16")
    samples = made_up(8)
    metrics = [trainer.update(samples) for _ in range(3)]
    assert metrics[-1]["gradient_norm"] > 0
    assert metrics[-1]["kl"] > 1e-5
    assert trainer.policy.model is not trainer.actor.model


@pytest.mark.parametrize("lora", [None, Lora(4, 8)], ids=["all weights", "lora"])
def test_the_sampler_is_a_plain_copy_in_the_weights_of_now(lora: Lora | None) -> None:
    trainer = Trainer(tiny(), {Role.SOLVER: GRPO()}, replace(UPDATE, learning_rate=0.05), lora=lora, compute="bfloat16")
    batch = collate([sample.tokens for sample in made_up(4)], 1)
    before = logits_of(trainer.policy.model, batch, 1.0).float()
    for _ in range(2):
        trainer.update(made_up(8))
    with torch.no_grad():
        sampled = logits_of(trainer.policy.model, batch, 1.0).float()
        trained = trainer.actor.logits(batch, 1.0).float()
    assert not any("lora" in name for name, _ in trainer.policy.model.named_parameters())
    assert (sampled - trained).abs().max() < 0.1 * (sampled - before).abs().max()
