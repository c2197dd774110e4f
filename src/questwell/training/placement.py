"""`Placement`: puts actor, critic, reference and the sampler's copy on this process's device, each in its precision."""

# torch is only partly typed; what this file exports is annotated by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from questwell.llm.pretrained import Dtype, Pretrained, passes_in
from questwell.llm.vllm_weights import write_whole
from questwell.training.policy import Actor, Critic, Lora, frozen_copy
from questwell.training.ranks import Ranks
from questwell.training.update import Update


class Placement:
    """The models of one trainer, placed on a device."""

    def __init__(
        self, start: Pretrained, update: Update, *, critic: bool, lora: Lora | None, compute_dtype: Dtype | None = None
    ) -> None:
        """Create the models from `start` and place them; the model of `start` is changed in place.

        Args:
            start: the initial policy.
            update: decides whether a reference is kept, and whether activations are recomputed.
            critic: whether to train a critic.
            lora: settings of the adapters; None trains all weights.
            compute_dtype: precision of the passes; by default bfloat16 on a GPU, float32 on a CPU.
        """
        device = start.model.device
        self.start = start
        self.ranks = Ranks(device)
        self.compute_dtype = passes_in(compute_dtype, device.type)
        bfloat16 = self.compute_dtype == "bfloat16"
        plain = copy.deepcopy(start.model).requires_grad_(False) if lora else None

        # The critic comes first: the actor changes the model that both start from.
        self.critic = Critic(start.model, lora=lora) if critic else None
        self.actor = Actor(
            start.model,
            lora=lora,
            reference=update.kl_coefficient > 0,
            reference_dtype=torch.bfloat16 if bfloat16 else None,
        )
        if plain is None:
            plain = cast(PreTrainedModel, self.actor.model)
            if self.ranks.sharded or bfloat16:
                dtype = torch.bfloat16 if bfloat16 else torch.float32
                plain = frozen_copy(plain, dtype)
        self.sampler: PreTrainedModel = plain
        """Model without adapter layers (the adapter is merged in); the actor itself if it has none."""
        for model in (self.actor.model, self.actor.reference, self.critic):
            if model is None:
                continue
            if update.checkpointing and model is not self.actor.reference:
                _recompute_activations(model)
            self.ranks.shard(model, dtype=self.compute_dtype)

    def precision(self) -> AbstractContextManager[object]:
        """Return the autocast context of one forward pass.

        Each pass needs its own: autocast caches the cast weights until its context ends, so one context around several
        optimizer steps would compute all but the first with stale weights. FSDP casts by itself.
        """
        if self.compute_dtype == "float32" or self.ranks.sharded:
            return nullcontext()
        return torch.autocast(self.ranks.device.type, torch.bfloat16)

    @torch.no_grad()
    def refresh_sampler(self) -> None:
        """Copy the actor's current weights into the sampler, if the sampler is a copy."""
        if isinstance(self.actor.model, PeftModel):
            _merge(self.actor.model, self.sampler)
        elif self.sampler is not self.actor.model:
            pairs = zip(self.sampler.parameters(), self.actor.model.parameters(), strict=True)
            for copied, weight in pairs:
                copied.copy_(_whole(weight))

    def save_served(self, folder: Path) -> None:
        """Write the policy as a folder that a vLLM server reloads."""
        write_whole(Pretrained(self.start.name, self.sampler, self.start.tokenizer), folder)

    def save_adapter(self, folder: Path) -> None:
        """Write only the adapter, as a peft folder."""
        assert isinstance(self.actor.model, PeftModel)
        self.actor.model.save_pretrained(str(folder))

    def save_model(self, folder: Path) -> None:
        """Write the policy as a Hugging Face folder, with the adapter merged in."""
        Pretrained(self.start.name, self.sampler, self.start.tokenizer).save(folder)


def _recompute_activations(model: nn.Module) -> None:
    backbone: Any = model.backbone if isinstance(model, Critic) else model
    enable = getattr(backbone, "activation_checkpointing_enable", None)  # its name since transformers 5.23
    (enable or backbone.gradient_checkpointing_enable)({"use_reentrant": False})
    model.train()  # dropout stays off; this only enables checkpointing


def _merge(adapted: PeftModel, plain: PreTrainedModel) -> None:
    """Write the weights with the adapter merged in into `plain`, a copy of the base model."""
    targets: Mapping[str, nn.Module] = dict(plain.named_modules())
    for name, layer in adapted.get_base_model().named_modules():
        if not isinstance(layer, LoraLayer):
            continue
        base: Any = layer.get_base_layer()
        down, up = (cast(Any, part["default"]).weight for part in (layer.lora_A, layer.lora_B))
        change = _whole(up).float() @ _whole(down).float() * layer.scaling["default"]  # [outputs, inputs]
        target = cast(Tensor, targets[name].weight)
        target.copy_(_whole(base.weight).float() + change)


def _whole(weight: Tensor) -> Tensor:
    return weight.full_tensor() if isinstance(weight, DTensor) else weight
