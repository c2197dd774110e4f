"""An estimate of the memory that a run will need."""

from collections.abc import Sequence
from dataclasses import dataclass

import psutil
import torch

from questwell.errors import ConfigError
from questwell.llm.pretrained import Dtype, Size
from questwell.training.update import Optimizer

_HEAP = 1.75
"""On a CPU: what the C library's heap holds on to, over what is in use (glibc, seen at 135M weights)."""


@dataclass(frozen=True, slots=True)
class Need:
    """Estimated memory of one process on its device, in bytes."""

    weights: int
    """Weights of actor, critic, reference and the sampler's copy."""
    training: int
    """Gradients and the optimiser's moments."""
    passes: int
    """Activations and logits of the largest pass, about."""

    @property
    def total(self) -> int:
        """Sum in bytes."""
        return self.weights + self.training + self.passes


def free_bytes(device: str) -> int:
    """Free memory in bytes: of the GPU, or of this machine if `device` is a CPU."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def check_fits(needed: Need, free: int, changes: Sequence[str]) -> None:
    """Nothing, where `needed` fits into the `free` bytes of a device.

    Raises:
        ConfigError: it does not; says by how much, and names `changes`, the flags that make it smaller.
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
    """An estimate: exact for weights and optimiser; for the passes from what layers like Llama's and Qwen2's keep.

    What Python and torch take by themselves, about 0.4 GiB, is not in it. Compared with what a process really took by
    `benchmarks/memory.py`.

    Args:
        size: of the model.
        critic: whether there is one.
        reference: whether a reference is kept.
        lora_rank: of the adapters; None trains all weights.
        micro_tokens: of one pass.
        checkpointing: whether activations are computed again.
        dtype: of the passes on a GPU; on a CPU, of frozen weights.
        optimizer: whose moments are kept.
        cpu: whether that is where it runs.
        ranks: processes that the weights are sharded over.
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
        weights = 2 * width * size.parameters + 4 * trained  # the backbone, and a copy with the adapter merged in
    # in float32 always: what the two norms keep and the stream between layers; the rest as wide as the passes
    layer = 4 * 4 * size.hidden + width * (5 * size.hidden + 4 * size.inner)
    kept = 4 * size.hidden * size.layers + layer if checkpointing else layer * size.layers
    logits = 4 * 4 * size.vocabulary  # they, their copy without the last column, its softmax, and the gradient
    passes = micro_tokens * (kept + logits)
    moments = 2 if optimizer == "adamw8bit" else 8
    return Need(weights, (4 + moments) * trained // ranks, int(passes * _HEAP) if cpu else passes)
