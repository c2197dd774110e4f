"""What a training run checks before it loads anything."""

from pathlib import Path

import pytest

from questwell.errors import ConfigError
from questwell.llm.pretrained import Size
from questwell.recipes.train.config import TrainConfig
from questwell.recipes.train.setup import check_memory

THREE_B = Size(3_085_938_688, 151_936, 2048, 11_008, 36)


def check(monkeypatch: pytest.MonkeyPatch, gib: int, **given: object) -> None:
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (gib * 2**30, gib * 2**30))
    monkeypatch.setattr("questwell.llm.pretrained.size_of", lambda name: THREE_B)
    config = {"data": Path("x.jsonl"), "model": "some/3b", "corpus": "factbook", "device": "cuda", **given}
    check_memory(TrainConfig.model_validate(config))


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="try --checkpointing, --micro-tokens 4096, --lora-rank 16"):
        check(monkeypatch, 80)
    with pytest.raises(ConfigError, match=r"try --micro-tokens 4096$"):
        check(monkeypatch, 10, checkpointing=True, lora_rank=16)
    check(monkeypatch, 80, checkpointing=True, lora_rank=16)
    check(monkeypatch, 1, device="cpu")
