"""`Learner`: a model with its optimizer and learning rate schedule, on any number of ranks."""

# torch is only partly typed; what this file exports is annotated by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateImportUsage=false

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict
from torch.distributed.tensor import DTensor
from torch.optim import AdamW

from questwell.errors import ConfigError, TrainingCollapsed
from questwell.training.update import Optimizer, Update

_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True, strict=False)


class Learner:
    """Takes optimizer steps along the gradient that is stored in the model's parameters."""

    def __init__(self, model: nn.Module, update: Update, learning_rate: float) -> None:
        """Create AdamW, without weight decay, over the trainable parameters of `model`."""
        self.model = model
        self._clip = update.gradient_clip
        self._optimizer = make_optimizer(trained(model), learning_rate, update.optimizer)
        self._full_rate = learning_rate
        self._lr_warmup_steps = update.lr_warmup_steps
        self._ticks = 0
        self._set_rate()

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next optimizer step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def descend(self) -> float:
        """Take one optimizer step, clear the gradient, and return the gradient's norm before clipping.

        Raises:
            TrainingCollapsed: the gradient is not finite; the model is unchanged.
        """
        norm: Tensor = nn.utils.clip_grad_norm_(trained(self.model), self._clip)
        size = float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
        if not math.isfinite(size):
            raise TrainingCollapsed(
                f"the gradient norm is {size}: go back to a checkpoint with a lower learning rate, or look for a "
                "reward that is not finite"
            )
        self._optimizer.step()
        self.forget()
        return size

    def forget(self) -> None:
        """Clear the gradient without a step."""
        self._optimizer.zero_grad(set_to_none=True)

    def tick(self) -> None:
        """Advance the learning rate schedule by one training step."""
        self._ticks += 1
        self._set_rate()

    def state(self) -> dict[str, Any]:
        """Trainable weights, moments and schedule, unsharded and on the CPU; empty on all ranks but the first."""
        weights, optimizer = get_state_dict(self.model, self._optimizer, options=_WHOLE)
        return {"weights": weights, "optimiser": optimizer, "ticks": self._ticks}

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore `state`; every rank must pass the full, unsharded state."""
        set_state_dict(
            self.model,
            self._optimizer,
            model_state_dict=state["weights"],
            optim_state_dict=state["optimiser"],
            options=_WHOLE,
        )
        self._ticks = int(state["ticks"])
        self._set_rate()

    def _set_rate(self) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self._full_rate * min(1.0, (self._ticks + 1) / (self._lr_warmup_steps + 1))


def make_optimizer(parameters: list[nn.Parameter], learning_rate: float, kind: Optimizer) -> torch.optim.Optimizer:
    """Return AdamW without weight decay; `adamw8bit` keeps its moments in 8 bits.

    Raises:
        ConfigError: bitsandbytes is not installed.
    """
    if kind == "adamw":
        return AdamW(parameters, lr=learning_rate, weight_decay=0.0)
    try:
        from bitsandbytes.optim import AdamW8bit  # pyright: ignore[reportMissingImports]  an extra
    except ImportError as error:
        raise ConfigError(
            "--optimizer adamw8bit needs the extra 'adam8bit': pip install 'questwell[adam8bit]'"
        ) from error
    return AdamW8bit(parameters, lr=learning_rate, weight_decay=0.0)


def trained(module: nn.Module) -> list[nn.Parameter]:
    """Return the trainable parameters of `module`."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]
