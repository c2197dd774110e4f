"""Config keys shared by all commands that train: adapter, precision, memory and speed."""

import os
from dataclasses import fields
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from questwell.recipes.runs.config import RecipeConfig

if TYPE_CHECKING:
    from questwell.llm.pretrained import Dtype, Size
    from questwell.training.memory import Need


class LearningConfig(RecipeConfig):
    """Config keys for which weights are trained, at which precision, in how much memory."""

    lora_rank: int = Field(default=0, ge=0)
    """Rank of an adapter to train instead of all weights; 0 trains all."""
    dtype: Literal["float32", "bfloat16"] | None = None
    """Precision of the frozen weights under an adapter; by default that of the passes (compute_dtype)."""
    compute_dtype: Literal["float32", "bfloat16"] | None = None
    """Precision of the passes; by default bfloat16 on a GPU and float32 on a CPU (there, bfloat16 may be faster)."""
    device: str = ""
    """Device: cpu or cuda; by default the GPU if there is one."""
    micro_tokens: int = Field(default=8192, ge=1)
    """Maximum tokens of one forward pass, padding included; a smaller value needs less memory."""
    checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"
    """Optimizer: adamw, or adamw8bit with a quarter of the memory for its moments (extra adam8bit)."""
    fit: bool = False
    """Choose checkpointing, then micro_tokens, then an adapter until training fits; keys that you set are kept."""
    memory: float | None = Field(default=None, gt=0)
    """Memory in GiB to fit into (--fit); by default what the device has free."""
    rollout_rows: int = Field(default=64, ge=1)
    """Number of dialogues that are sampled at the same time."""

    def settle_defaults(self) -> None:
        """Set defaults that depend on other keys, so that the run saves them."""


def learning_values(config: LearningConfig, update: type) -> dict[str, object]:
    """Return the values of those keys of `config` that are fields of `update`."""
    return {key: getattr(config, key) for key in (field.name for field in fields(update)) if hasattr(config, key)}


def place(config: LearningConfig) -> tuple[str, "Dtype"]:
    """Return the device and the precision of the weights."""
    from questwell.llm.pretrained import best_device, dtype_of, passes_in

    device = config.device or best_device()
    return device, dtype_of(config.dtype, passes_in(config.compute_dtype, device), config.lora_rank)


def memory_of(config: LearningConfig, size: "Size", *, critic: bool, reference: bool) -> "Need":
    """Return the memory that training a model of `size` needs on this process's device."""
    from questwell.llm.pretrained import passes_in
    from questwell.training.memory import need

    device, dtype = place(config)
    passes = passes_in(config.compute_dtype, device)
    return need(
        size,
        critic=critic,
        reference=reference,
        lora_rank=config.lora_rank or None,
        micro_tokens=config.micro_tokens,
        checkpointing=config.checkpointing,
        dtype="bfloat16" if passes == "bfloat16" else dtype,
        optimizer=config.optimizer,
        cpu=device == "cpu",
        ranks=int(os.environ.get("WORLD_SIZE", "1")),
    )
