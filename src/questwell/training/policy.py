"""The three models of training: the actor that is trained, the reference it started from, the critic that predicts.

With LoRA (arXiv:2106.09685) all three share one frozen backbone: the reference is the actor with its adapter switched
off, and the critic has an adapter and a head of its own on the very same weights.
"""

# torch, transformers and peft are typed in part only; what comes out of this file is typed by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import copy
import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import PreTrainedModel

from questwell.training.batch import Batch
from questwell.training.losses import entropy, log_probs


@dataclass(frozen=True, slots=True)
class Lora:
    """Train an adapter of low rank, not the weights."""

    rank: int = 16
    alpha: int = 32
    """The adapter's output is scaled by alpha / rank."""
    seed: int = 0
    """Fixes how adapters begin."""

    def config(self) -> LoraConfig:
        """As peft wants it: every linear layer of the backbone, no dropout."""
        return LoraConfig(r=self.rank, lora_alpha=self.alpha, lora_dropout=0.0, target_modules="all-linear")


class Actor:
    """The policy, and the frozen policy that it started from."""

    def __init__(self, model: PreTrainedModel, *, lora: Lora | None = None, reference: bool = True) -> None:
        """Train `model` itself, or with `lora` an adapter on it.

        Args:
            model: a causal language model; it is changed in place.
            lora: train an adapter.
            reference: keep the initial policy, for the KL divergence from it.
        """
        quieten(model)
        self.lora = lora
        self.reference: PreTrainedModel | None = None
        if lora is not None:
            self.model: PreTrainedModel | PeftModel = adapted(model, lora)
        else:
            self.model = model
            if reference:
                self.reference = copy.deepcopy(model).requires_grad_(False).eval()
        self.model.eval()

    def log_probs(self, batch: Batch, temperature: float) -> tuple[Tensor, Tensor]:
        """(log-probability of each response token, entropy in nats before it), both [B, T]."""
        logits = self.logits(batch, temperature)
        return log_probs(logits, batch.response), entropy(logits)

    def logits(self, batch: Batch, temperature: float) -> Tensor:
        """Before each response token, [B, T, V]."""
        return logits_of(self.model, batch, temperature)

    def reference_log_probs(self, batch: Batch, temperature: float) -> Tensor:
        """Log-probability of each response token under the initial policy, [B, T].

        Raises:
            ValueError: no reference was kept.
        """
        if isinstance(self.model, PeftModel):
            without: AbstractContextManager[object] = self.model.disable_adapter()
            model: nn.Module = self.model
        elif self.reference is not None:
            without, model = nullcontext(), self.reference
        else:
            raise ValueError("this actor keeps no reference policy")
        with torch.no_grad(), without:
            return log_probs(logits_of(model, batch, temperature), batch.response)

    def merged(self, model: nn.Module) -> PreTrainedModel:
        """`model`, this actor's or a whole copy of it, as one plain model; an adapter is folded in, in a copy."""
        if isinstance(model, PeftModel):
            return cast(PreTrainedModel, copy.deepcopy(model).merge_and_unload())
        return cast(PreTrainedModel, model)


class Critic(nn.Module):
    """A value for each response token: what the policy is expected to earn from there on."""

    def __init__(self, model: PreTrainedModel, *, lora: Lora | None = None) -> None:
        """Begin with the backbone of `model` and a head that says 0 everywhere.

        Args:
            model: the causal language model that the actor starts from. Make the critic first: the actor changes it.
            lora: learn an adapter on the very weights of `model`, which then are not copied.
        """
        super().__init__()
        quieten(model)
        backbone = cast(PreTrainedModel, model.base_model)
        shared: dict[int, object] = {id(weight): weight for weight in backbone.parameters()} if lora else {}
        backbone = copy.deepcopy(backbone, shared)
        self.backbone = backbone if lora is None else adapted(backbone, lora)
        # float32 whatever the backbone is: the values of close states differ by little
        self.head = nn.Linear(backbone.config.get_text_config().hidden_size, 1, device=backbone.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.eval()

    def forward(self, batch: Batch) -> Tensor:
        """Value before each response token, [B, T]: read at the token before it."""
        hidden: Tensor = self.backbone(
            input_ids=batch.ids, attention_mask=batch.attention, position_ids=batch.positions, use_cache=False
        ).last_hidden_state
        width = batch.mask.shape[1]
        with torch.autocast(hidden.device.type, enabled=False):
            return self.head(hidden[:, -width - 1 : -1].float()).squeeze(-1)


def adapted(model: PreTrainedModel, lora: Lora) -> PeftModel:
    """`model` with an adapter that learns, its own weights frozen; it is changed in place."""
    with warnings.catch_warnings(), torch.random.fork_rng():
        torch.manual_seed(lora.seed)
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft 0.21 on transformers 5
        return cast(PeftModel, get_peft_model(model, lora.config()))


def quieten(model: nn.Module) -> None:
    """Switch dropout off for good: it would make a token's probability differ between sampling and training."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0  # type: ignore[assignment]  an attention layer's own number


def layers(model: nn.Module) -> Iterable[nn.Module]:
    """The decoder layers, for sharding one by one."""
    names: set[str] = set(getattr(model, "_no_split_modules", None) or ())
    return [module for module in model.modules() if type(module).__name__ in names]


def logits_of(model: nn.Module, batch: Batch, temperature: float) -> Tensor:
    """Before each response token, [B, T, V]."""
    output = model(
        input_ids=batch.ids,
        attention_mask=batch.attention,
        position_ids=batch.positions,
        use_cache=False,
        logits_to_keep=batch.mask.shape[1] + 1,
    )
    logits: Tensor = output.logits[:, :-1]  # the last one predicts what comes after the response
    return logits if temperature == 1 else logits / temperature  # a copy of the largest tensor of all
