"""`Learner`: a model with its optimiser and its schedule, on any number of ranks."""

# torch is typed in part only; what comes out of this file is typed by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateImportUsage=false

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict
from torch.distributed.tensor import DTensor
from torch.optim import AdamW

from questwell.errors import TrainingCollapsed

_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True, strict=False)


class Learner:
    """Descends the gradient that others left in the model's parameters."""

    def __init__(
        self, model: nn.Module, *, learning_rate: float, lr_warmup_steps: int = 0, gradient_clip: float = 1.0
    ) -> None:
        """AdamW over the parameters of `model` that learn, without weight decay."""
        self.model = model
        self._clip = gradient_clip
        self._optimiser = AdamW(trained(model), lr=learning_rate, weight_decay=0.0)
        self._full_rate = learning_rate
        self._lr_warmup_steps = lr_warmup_steps
        self._ticks = 0
        self._set_rate()

    @property
    def learning_rate(self) -> float:
        """Of the next descent."""
        return float(self._optimiser.param_groups[0]["lr"])

    def descend(self) -> float:
        """One optimiser step, and the gradient's norm before it was clipped; the gradient is then cleared.

        Raises:
            TrainingCollapsed: the gradient is not finite; the model is left as it was.
        """
        norm: Tensor = nn.utils.clip_grad_norm_(trained(self.model), self._clip)
        size = float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
        if not math.isfinite(size):
            raise TrainingCollapsed(
                f"the gradient's norm is {size}: go back to a checkpoint with a lower learning rate, or look for a "
                "reward that is not finite"
            )
        self._optimiser.step()
        self.forget()
        return size

    def forget(self) -> None:
        """Clear the gradient without a step."""
        self._optimiser.zero_grad(set_to_none=True)

    def tick(self) -> None:
        """Move the learning rate on by a training step."""
        self._ticks += 1
        self._set_rate()

    def state(self) -> dict[str, Any]:
        """Weights that learn, moments and schedule, whole and on the CPU; empty on all ranks but the first."""
        weights, optimiser = get_state_dict(self.model, self._optimiser, options=_WHOLE)
        return {"weights": weights, "optimiser": optimiser, "ticks": self._ticks}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`, as each rank has read it whole."""
        set_state_dict(
            self.model,
            self._optimiser,
            model_state_dict=state["weights"],
            optim_state_dict=state["optimiser"],
            options=_WHOLE,
        )
        self._ticks = int(state["ticks"])
        self._set_rate()

    def _set_rate(self) -> None:
        for group in self._optimiser.param_groups:
            group["lr"] = self._full_rate * min(1.0, (self._ticks + 1) / (self._lr_warmup_steps + 1))


def trained(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that learn."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]
