"""The optimizer of bitsandbytes on a CPU: its moments lie in 8 bits, it learns, and a resume goes on where it stood."""

from pathlib import Path

import pytest
import torch

from questwell.llm.pretrained import Pretrained
from questwell.toy.model import toy_model, toy_tokenizer
from questwell.toy.world import ToyWorld
from questwell.training import checkpoint
from questwell.training.algorithms.grpo import GRPO
from questwell.training.conftest import made_up
from questwell.training.learner import make_optimizer
from questwell.training.trainer import Trainer
from questwell.training.update import Optimizer, Update
from questwell.types.trajectory import Role

pytest.importorskip("bitsandbytes")
SAMPLES = made_up(8, groups=1)


def trainer(optimizer: Optimizer = "adamw8bit") -> Trainer:
    """Of a model whose matrices are large enough: those under 4,096 weights keep their moments in 32 bits."""
    tokenizer = toy_tokenizer(ToyWorld().words)
    start = Pretrained("toy", toy_model(tokenizer, width=128, layers=1), tokenizer)
    return Trainer(start, {Role.SOLVER: GRPO()}, Update(learning_rate=1e-3, optimizer=optimizer))


def losses(of: Trainer, steps: int) -> list[float]:
    found = [of.update(SAMPLES) for _ in range(steps)]
    return [row["policy_loss"] + row["kl"] for row in found]


def test_it_resumes_where_it_stood(tmp_path: Path) -> None:
    whole = losses(trainer(), 4)
    first = trainer()
    before = losses(first, 2)
    checkpoint.write(tmp_path, 2, first.state(), first.save_model, 1)
    again = trainer()
    again.load(checkpoint.read(tmp_path))
    assert [*before, *losses(again, 2)] == pytest.approx(whole, rel=1e-5)


def test_it_moves_about_as_the_whole_one_does() -> None:
    moved = []
    for optimizer in ("adamw", "adamw8bit"):
        of = trainer(optimizer)
        before = [weight.detach().clone() for weight in of.actor.model.parameters()]
        losses(of, 3)
        after = of.actor.model.parameters()
        moved.append(torch.cat([(new - old).detach().flatten() for new, old in zip(after, before, strict=True)]))
    assert torch.cosine_similarity(*moved, dim=0) > 0.9
    assert moved[1].norm() / moved[0].norm() == pytest.approx(1, abs=0.15)


def test_its_moments_take_two_bytes_a_weight() -> None:
    weight = torch.nn.Parameter(torch.randn(256, 1024))
    optimizer = make_optimizer([weight], 1e-3, "adamw8bit")
    weight.grad = torch.randn_like(weight)
    optimizer.step()
    tensors = [value for value in optimizer.state[weight].values() if isinstance(value, torch.Tensor)]
    assert sum(one.nbytes for one in tensors) / weight.numel() == pytest.approx(2.0, abs=0.1)
