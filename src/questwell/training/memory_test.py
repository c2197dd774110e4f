"""What is foretold of a pass, against what autograd really keeps."""

import pytest
import torch
from torch import Tensor

from questwell.errors import ConfigError
from questwell.llm.pretrained import Size
from questwell.toy.model import toy_model, toy_tokenizer
from questwell.toy.world import ToyWorld
from questwell.training import losses
from questwell.training.batch import collate
from questwell.training.conftest import made_up
from questwell.training.memory import Need, check_fits, need
from questwell.training.policy import logits_of

WIDTH, TOKENIZER = 64, toy_tokenizer(ToyWorld().words)
BATCH = collate([sample.tokens for sample in made_up(8)], 1)


def kept(layers: int) -> int:
    """Bytes that a pass keeps for its backward pass, weights left out."""
    model = toy_model(TOKENIZER, width=WIDTH, layers=layers)
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    found: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        losses.log_probs(logits_of(model, BATCH, 1.0), BATCH.response).sum()
    return sum(found.values())


def foretold(layers: int, *, checkpointing: bool = False) -> int:
    size = Size(parameters=0, vocabulary=len(TOKENIZER), hidden=WIDTH, inner=2 * WIDTH, layers=layers)
    return need(
        size,
        critic=True,
        reference=True,
        lora_rank=None,
        micro_tokens=BATCH.ids.numel(),
        checkpointing=checkpointing,
        dtype="float32",
    ).passes


def test_a_layer_keeps_what_is_foretold() -> None:
    assert foretold(3) - foretold(2) == pytest.approx(kept(3) - kept(2), rel=0.2)


def test_with_checkpointing_a_layer_keeps_its_input() -> None:
    more = foretold(3, checkpointing=True) - foretold(2, checkpointing=True)
    assert more == 4 * WIDTH * BATCH.ids.numel()


def test_the_heap_of_a_cpu_holds_on_to_more() -> None:
    size = Size(parameters=10**6, vocabulary=1000, hidden=WIDTH, inner=2 * WIDTH, layers=2)
    here, there = (
        need(
            size,
            critic=False,
            reference=False,
            lora_rank=8,
            micro_tokens=99,
            checkpointing=False,
            dtype="float32",
            cpu=cpu,
        )
        for cpu in (True, False)
    )
    assert here.passes == pytest.approx(1.75 * there.passes, rel=1e-3)
    assert (here.weights, here.training) == (there.weights, there.training)


def test_what_does_not_fit_is_told_before_with_what_to_change() -> None:
    needed = Need(weights=4 * 2**30, training=6 * 2**30, passes=2 * 2**30)
    check_fits(needed, 12 * 2**30, [])
    with pytest.raises(
        ConfigError, match=r"about 12 GiB .* 1[12] GiB free: weights 4, .* 6, passes 2; try --checkpointing"
    ):
        check_fits(needed, 12 * 2**30 - 1 - 2**29, ["--checkpointing"])


@pytest.mark.parametrize(
    ("lora_rank", "checkpointing", "gib"),
    [
        # actor and critic in float32 with gradients and moments, a bfloat16 reference and a bfloat16 sampler
        (None, False, 3.0859 * (2 * 16 + 2 + 2) / 1.0737 + 57.4),
        (16, True, 3.0859 * (2 + 2) / 1.0737 + 0.85 + 21.9),
    ],
)
def test_three_billion_weights_by_ppo(lora_rank: int | None, checkpointing: bool, gib: float) -> None:
    size = Size(3_085_938_688, 151_936, 2048, 11_008, 36)
    found = need(
        size,
        critic=True,
        reference=True,
        lora_rank=lora_rank,
        micro_tokens=8192,
        checkpointing=checkpointing,
        dtype="bfloat16",
    )
    assert found.total / 2**30 == pytest.approx(gib, rel=0.02)


def test_moments_in_eight_bits_take_a_quarter() -> None:
    size = Size(10**9, 1000, 64, 128, 2)
    whole, less = (
        need(
            size,
            critic=False,
            reference=False,
            lora_rank=None,
            micro_tokens=1,
            checkpointing=False,
            dtype="float32",
            optimizer=optimizer,
        ).training
        for optimizer in ("adamw", "adamw8bit")
    )
    assert (whole, less) == (12 * 10**9, 6 * 10**9)
