"""What `--fit` chooses for a 3B model, in which order, and what it leaves alone."""

from pathlib import Path

import pytest

from questwell.errors import ConfigError
from questwell.llm.pretrained import Size
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.fitting import chosen, fit
from questwell.recipes.selfplay.config import Config
from questwell.recipes.train import loop
from questwell.recipes.train.config import TrainConfig
from questwell.recipes.train.setup import needed
from questwell.training.update import LORA_CRITIC_LEARNING_RATE, LORA_LEARNING_RATE

THREE_B = Size(3_085_938_688, 151_936, 2048, 11_008, 36)


def fitted(gib: float, **given: object) -> TrainConfig:
    values = {"data": "x.jsonl", "model": "some/3b", "corpus": "factbook", "device": "cuda", "memory": gib, **given}
    config = resolve(TrainConfig, values)
    fit(config, lambda: needed(config, THREE_B))
    assert needed(config, THREE_B).total <= gib * 2**30
    return config


@pytest.mark.parametrize(
    ("gib", "choice"),
    [
        (162, {}),
        (126, {"checkpointing": True}),
        (115, {"checkpointing": True, "micro_tokens": 4096}),
        (107, {"checkpointing": True, "micro_tokens": 1024}),
        (90, {"checkpointing": True, "lora_rank": 16}),
        (40, {"checkpointing": True, "lora_rank": 16}),
        (20, {"checkpointing": True, "lora_rank": 16, "micro_tokens": 2048}),
    ],
)
def test_the_order_is_checkpointing_then_micro_tokens_then_lora(gib: float, choice: dict[str, object]) -> None:
    assert chosen(fitted(gib)) == choice


def test_a_key_that_was_given_stays() -> None:
    assert chosen(fitted(115, lora_rank=0)) == {"checkpointing": True, "micro_tokens": 4096}
    assert chosen(fitted(40, checkpointing=True)) == {"lora_rank": 16}
    assert chosen(fitted(90, checkpointing=False)) == {"lora_rank": 16}
    assert chosen(fitted(40, micro_tokens=8192)) == {"checkpointing": True, "lora_rank": 16}
    with pytest.raises(ConfigError, match=r"the device has 40 GiB free.*leaving lora_rank to --fit"):
        fitted(40, lora_rank=0)
    with pytest.raises(ConfigError, match="name a smaller model"):
        fitted(5)


def test_the_learning_rates_are_those_of_the_weights_that_were_chosen() -> None:
    config = fitted(40, learning_rate=3e-6)
    assert (config.learning_rate, config.critic_learning_rate) == (3e-6, LORA_CRITIC_LEARNING_RATE)
    config = resolve(Config, {"model": "some/3b", "corpus": "factbook", "device": "cuda", "memory": 20})
    fit(config, lambda: needed(fitted(200, lora_rank=config.lora_rank), THREE_B) if not config.lora_rank else _none())
    assert (config.lora_rank, config.learning_rate) == (16, LORA_LEARNING_RATE)


def _none():
    from questwell.training.memory import Need

    return Need(0, 0, 0)


def test_what_was_chosen_is_saved_and_a_resume_chooses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from questwell.recipes.runs.opening import Run

    monkeypatch.setattr(loop, "model_size", lambda config: THREE_B)
    given = {"data": "x.jsonl", "model": "some/3b", "corpus": "factbook", "device": "cuda", "memory": 40, "fit": True}
    config = loop.configure(tmp_path, given, resume=False)
    assert (config.lora_rank, config.checkpointing, config.micro_tokens) == (16, True, 8192)
    with Run(loop.KIND, config, tmp_path, resume=False) as run:
        run.write(run.compare({}))
    again = loop.configure(tmp_path, {"memory": 500}, resume=True)
    assert (again.lora_rank, again.checkpointing, again.learning_rate) == (16, True, LORA_LEARNING_RATE)
    with Run(loop.KIND, again, tmp_path, resume=True):
        pass


def test_without_a_gpu_to_ask_its_memory_must_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("questwell.llm.pretrained.best_device", lambda: "cpu")
    config = resolve(TrainConfig, {"data": "x.jsonl", "corpus": "factbook", "device": "cuda"})
    with pytest.raises(ConfigError, match="--memory GIB"):
        fit(config, lambda: needed(config, THREE_B))
    here = resolve(TrainConfig, {"data": "x.jsonl", "corpus": "factbook", "device": "cpu"})
    fit(here, _none)
    assert chosen(here) == {}
