"""What a training run checks before it loads anything."""

from pathlib import Path

import pytest

from questwell.errors import ConfigError
from questwell.llm.pretrained import Size
from questwell.recipes.runs.learning import memory_of, place
from questwell.recipes.train.config import TrainConfig
from questwell.recipes.train.setup import _is_new, check_memory, make_trainer
from questwell.training.conftest import tiny

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


@pytest.mark.parametrize(
    ("given", "passes", "frozen"),
    [
        ({}, "float32", "float32"),
        ({"compute_dtype": "bfloat16"}, "bfloat16", "float32"),
        ({"compute_dtype": "bfloat16", "lora_rank": 4}, "bfloat16", "bfloat16"),
        ({"compute_dtype": "bfloat16", "lora_rank": 4, "dtype": "float32"}, "bfloat16", "float32"),
        ({"lora_rank": 4, "dtype": "bfloat16"}, "float32", "bfloat16"),
    ],
    ids=str,
)
def test_a_cpu_computes_in_the_precision_that_is_asked_for(given: dict[str, str], passes: str, frozen: str) -> None:
    """Weights that are trained whole stay float32, whatever the passes compute in."""
    config = TrainConfig.model_validate({"data": "x.jsonl", "corpus": "factbook", "device": "cpu", **given})
    trainer = make_trainer(config, tiny())
    assert place(config) == ("cpu", frozen)
    assert trainer._placement.compute_dtype == passes
    assert str(next(trainer.actor.model.parameters()).dtype) == "torch.float32"


def test_half_as_wide_passes_need_half_the_memory_for_what_they_keep() -> None:
    config = {"data": "x.jsonl", "corpus": "factbook", "device": "cpu"}
    wide, narrow = (
        memory_of(TrainConfig.model_validate({**config, **given}), THREE_B, critic=False, reference=True)
        for given in ({}, {"compute_dtype": "bfloat16"})
    )
    assert narrow.weights == wide.weights  # a reference of half the size, and a copy to sample with
    assert narrow.training == wide.training
    assert 0.5 < narrow.passes / wide.passes < 0.8


def test_a_warm_start_in_another_precision_is_made_again(tmp_path: Path) -> None:
    initial = tmp_path / "initial"
    plain = TrainConfig.model_validate({"data": "x.jsonl", "corpus": "factbook", "device": "cpu"})
    half = plain.model_copy(update={"compute_dtype": "bfloat16"})
    for config, new in ((plain, True), (plain, False), (half, True), (half, False)):
        assert _is_new(initial, config, []) is new
        initial.mkdir(exist_ok=True)
