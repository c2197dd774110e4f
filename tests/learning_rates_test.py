"""The learning rate that a user gets who gives none moves the policy, whatever is trained and by which algorithm."""

import pytest
import torch

from questwell.recipes.runs.config import resolve
from questwell.recipes.train.config import TrainConfig
from questwell.recipes.train.setup import make_trainer
from questwell.training.batch import collate
from questwell.training.conftest import made_up, tiny

SAMPLES = made_up(8)
BATCH = collate([sample.tokens for sample in SAMPLES], 1)
NOTICEABLE = 5e-5
"""Nats per token after 5 updates of a model of some thousand weights."""


def moved(algorithm: str, lora_rank: int, rate: float | None) -> float:
    """Mean change of the log-probability of the model's tokens in 5 updates, nats."""
    torch.set_num_threads(1)
    values = {"data": "toy", "algorithm": algorithm, "group": 4, "lora_rank": lora_rank, "learning_rate": rate}
    trainer = make_trainer(resolve(TrainConfig, values), tiny())
    with torch.no_grad():
        before = trainer.actor.log_probs(BATCH, 1.0)[0]
    for _ in range(5):
        trainer.update(SAMPLES)
    with torch.no_grad():
        after = trainer.actor.log_probs(BATCH, 1.0)[0]
    return float((after - before)[BATCH.mask.bool()].abs().mean())


@pytest.mark.parametrize("algorithm", ["ppo", "grpo", "reinforce"])
def test_the_default_rate_moves_the_policy(algorithm: str) -> None:
    assert moved(algorithm, 0, None) > NOTICEABLE
    assert moved(algorithm, 4, None) > NOTICEABLE
    assert moved(algorithm, 4, 1e-6) < NOTICEABLE / 5, "an adapter starts at zero: it needs a higher rate"
