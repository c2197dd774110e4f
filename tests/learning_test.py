"""The toy world is learnt, and masking is worth something there (a minute or two of CPU)."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from questwell.llm.pretrained import load
from questwell.recipes.runs.config import resolve
from questwell.recipes.train.config import TOY, TrainConfig
from questwell.recipes.train.loop import train
from questwell.recipes.train.setup import make_algorithm, make_update, open_train_setup
from questwell.training.metrics import read_metrics
from questwell.training.trainer import Trainer
from questwell.types.trajectory import Role

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
STEPS = 14


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The policy after its warm start, which is right in half of its attempts."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("start")
    open_train_setup(resolve(TrainConfig, TOY, {"data": "toy"}), folder)
    return folder / "initial"


def learnt(algorithm: str, folder: Path, start: Path, *, masked: bool = True) -> list[float]:
    """Share of right answers at each step."""
    shutil.copytree(start, folder / "initial")
    config = resolve(TrainConfig, TOY, {"data": "toy", "algorithm": algorithm, "steps": STEPS, "save_every": STEPS})
    setup = open_train_setup(config, folder)
    if not masked:
        update = replace(make_update(config), mask_inserted=False)
        trainer = Trainer(load(str(start)), {Role.SOLVER: make_algorithm(config)}, update)
        setup = replace(setup, trainer=trainer)
    asyncio.run(train(config, folder, setup))
    return [row["accuracy"] for row in read_metrics(folder / "metrics.jsonl")]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("algorithm", ["ppo", "grpo", "reinforce"])
def test_from_half_right_to_nearly_always(algorithm: str, tmp_path: Path, start: Path) -> None:
    found = learnt(algorithm, tmp_path, start)
    assert found[0] < 0.65
    assert mean(found[-3:]) > 0.85


def test_training_on_retrieved_tokens_learns_less(tmp_path: Path, start: Path) -> None:
    masked = learnt("grpo", tmp_path / "masked", start)
    unmasked = learnt("grpo", tmp_path / "unmasked", start, masked=False)
    assert mean(unmasked[3:]) < mean(masked[3:]) - 0.05
