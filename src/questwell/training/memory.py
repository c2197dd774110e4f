"""Estimates the memory that a training run will need."""

from collections.abc import Sequence
from dataclasses import dataclass

import psutil
import torch

from questwell.errors import ConfigError
from questwell.llm.pretrained import Dtype, Size
from questwell.training.update import Optimizer

_HEAP = 1.75
"""On a CPU: ratio of memory held by the C library's heap to memory in use (glibc, measured with 135M weights)."""


@dataclass(frozen=True, slots=True)
class Need:
    """Estimated memory of one process on its device, in bytes."""

    weights: int
    """Weights of actor, critic, reference and the sampler's copy."""
    training: int
    """Gradients and the optimizer's moments."""
    passes: int
    """Activations and logits of the largest pass, approximately."""

    @property
    def total(self) -> int:
        """Total in bytes."""
        return self.weights + self.training + self.passes


def free_bytes(device: str) -> int:
    """Return the free memory in bytes: of the GPU, or of this machine if `device` is a CPU."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def check_fits(needed: Need, free: int, changes: Sequence[str]) -> None:
    """Check that `needed` fits into the `free` bytes of a device.

    Raises:
        ConfigError: it does not fit. The message gives the sizes and names `changes`, the flags that reduce them.
    """
    if needed.total > free:
        advice = f"; try {', '.join(changes)}" if changes else "; name a smaller model"
        raise ConfigError(
            f"training would take about {needed.total / 2**30:.0f} GiB and the device has {free / 2**30:.0f} GiB free: "
            f"weights {needed.weights / 2**30:.0f}, gradients and optimizer {needed.training / 2**30:.0f}, "
            f"passes {needed.passes / 2**30:.0f}{advice}"
        )


def need(
    size: Size,
    *,
    critic: bool,
    reference: bool,
    lora_rank: int | None,
    micro_tokens: int,
    checkpointing: bool,
    dtype: Dtype,
    optimizer: Optimizer = "adamw",
    cpu: bool = False,
    ranks: int = 1,
) -> Need:
    """Estimate the memory of one process: exact for weights and optimizer, approximate for the passes.

    The passes are computed from the tensors that layers like Llama's and Qwen2's keep. The 0.4 GiB that Python and
    torch use themselves are not included. `benchmarks/memory.py` compares the estimate with measurements.

    Args:
        size: size of the model.
        critic: whether a critic is trained.
        reference: whether a reference policy is kept.
        lora_rank: rank of the adapters; None: all weights are trained.
        micro_tokens: number of tokens per pass.
        checkpointing: whether activations are recomputed in the backward pass.
        dtype: precision of the passes; if they compute in float32, precision of frozen weights.
        optimizer: kind of optimizer, which decides the size of the moments.
        cpu: whether training runs on a CPU.
        ranks: number of processes over which the weights are sharded.
    """
    width = 2 if dtype == "bfloat16" else 4
    learners = 1 + critic
    if lora_rank is None:
        trained = size.parameters * learners
        shared = (4 * learners + width * reference) * size.parameters // ranks
        weights = shared + (width * size.parameters if width == 2 or ranks > 1 else 0)  # else the actor samples
    else:
        # an adapter adds rank x (inputs + outputs) to each of about seven matrices a layer, some of them three wide
        trained = learners * size.layers * lora_rank * 24 * size.hidden
        weights = 2 * width * size.parameters + 4 * trained  # the backbone, plus a copy with the adapter merged in
    # in float32 always: what the two norms keep and the stream between layers; the rest as wide as the passes
    layer = 4 * 4 * size.hidden + width * (5 * size.hidden + 4 * size.inner)
    kept = 4 * size.hidden * size.layers + layer if checkpointing else layer * size.layers
    logits = 4 * 4 * size.vocabulary  # they, their copy without the last column, its softmax, and the gradient
    passes = micro_tokens * (kept + logits)
    moments = 2 if optimizer == "adamw8bit" else 8
    return Need(weights, (4 + moments) * trained // ranks, int(passes * _HEAP) if cpu else passes)
