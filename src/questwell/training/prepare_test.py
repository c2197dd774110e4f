"""How a batch is cut into passes: every row once, within the limit, little padding, alike on every rank."""

import random
from dataclasses import dataclass

import pytest
import torch

from questwell.training.batch import Batch, collate
from questwell.training.conftest import made_up, tiny
from questwell.training.policy import logits_of
from questwell.training.prepare import passes
from questwell.types.trajectory import TokenView


@dataclass
class FakeRanks:
    rank: int
    count: int


def searching(count: int, seed: int = 0) -> Batch:
    """Trajectories as long as those of a search agent: 2 to 4 messages, passages between them."""
    draw = random.Random(seed)
    views = []
    for _ in range(count):
        turns, said = draw.choices([2, 3, 4], [0.45, 0.35, 0.2])[0], 0
        for turn in range(turns):
            said += min(256, int(draw.lognormvariate(4.4, 0.6))) + (draw.randint(250, 550) if turn < turns - 1 else 0)
        views.append(TokenView((5,) * draw.randint(300, 360), (6,) * said, (1,) * said, (0.0,) * said))
    return collate(views, 0)


@pytest.mark.parametrize("ranks", [1, 3])
def test_passes_hold_every_row_once_and_little_padding(ranks: int) -> None:
    batch = searching(64)
    rows = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    cut = [passes(batch, rows, 8192, FakeRanks(rank, ranks)) for rank in range(ranks)]
    assert len({len(mine) for mine in cut}) == 1
    counted = torch.zeros(64)
    slots = 0
    for mine in cut:
        for one in mine:
            counted[one.rows] += one.weights
            part = batch.rows(one.rows)
            assert part.ids.numel() <= 8192
            slots += part.ids.numel()
    assert torch.equal(counted, torch.ones(64))
    assert 1 - int(batch.attention.sum()) / slots < (0.1 if ranks == 1 else 0.16)


def test_a_row_that_is_longer_than_the_limit_goes_alone() -> None:
    batch = searching(5)
    assert [len(one.rows) for one in passes(batch, torch.arange(5), 1, FakeRanks(0, 1))] == [1] * 5


def test_only_the_models_tokens_go_through_the_vocabulary() -> None:
    """The matrix sees N tokens, and what comes out is what it gives where all are asked for."""
    model, batch = tiny().model, collate([sample.tokens for sample in made_up(6)], 1)
    seen = []
    handle = model.get_output_embeddings().register_forward_hook(lambda _, given, out: seen.append(out.shape))
    where = batch.mask.bool()
    with torch.no_grad():
        some, every = logits_of(model, batch, 1.0, where), logits_of(model, batch, 1.0)
        positions = (batch.attention.cumsum(dim=1) - 1).clamp(min=0)
        plain = model(
            input_ids=batch.ids, attention_mask=batch.attention, position_ids=positions, use_cache=False
        ).logits
    handle.remove()
    assert seen[0][0] == int(batch.mask.sum()) < batch.mask.numel()
    width = batch.mask.shape[1]
    assert torch.allclose(some, plain[:, -width - 1 : -1][where], atol=1e-5)
    assert torch.allclose(every.view(*where.shape, -1)[where], some, atol=1e-5)
