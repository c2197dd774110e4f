"""The three models of training: the actor that is trained, the reference it started from, the critic that predicts.

With LoRA (arXiv:2106.09685) all three share one frozen backbone: the reference is the actor with its adapter switched
off, and the critic has an adapter and a head of its own on the very same weights.
"""

# torch, transformers and peft are only partly typed; what this file exports is annotated by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import copy
import warnings
from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
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
    """Random seed of the adapter's initial weights."""

    def config(self) -> LoraConfig:
        """The config for peft: every linear layer of the backbone, no dropout."""
        return LoraConfig(r=self.rank, lora_alpha=self.alpha, lora_dropout=0.0, target_modules="all-linear")


class Actor:
    """The policy, and the frozen policy that it started from."""

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        lora: Lora | None = None,
        reference: bool = True,
        reference_dtype: torch.dtype | None = None,
    ) -> None:
        """Train `model` itself, or with `lora` an adapter on it.

        Args:
            model: a causal language model; it is changed in place.
            lora: train an adapter.
            reference: keep the initial policy, for the KL divergence from it.
            reference_dtype: of its weights; None keeps that of `model`.
        """
        quieten(model)
        self.lora = lora
        self.reference: PreTrainedModel | None = None
        if lora is not None:
            self.model: PreTrainedModel | PeftModel = adapted(model, lora)
        else:
            self.model = model
            if reference:
                self.reference = frozen_copy(model, reference_dtype).eval()
        self.model.eval()

    def log_probs(self, batch: Batch, temperature: float, where: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(log-probability of each response token, entropy in nats before it), both [B, T]; 0 outside `where`."""
        logits = self.logits(batch, temperature, where)
        where = _everywhere(batch) if where is None else where
        return spread(log_probs(logits, batch.response[where]), where), spread(entropy(logits), where)

    def logits(self, batch: Batch, temperature: float, where: Tensor | None = None) -> Tensor:
        """Before each response token in `where`, [N, V]."""
        return logits_of(self.model, batch, temperature, where)

    def reference_log_probs(self, batch: Batch, temperature: float, where: Tensor | None = None) -> Tensor:
        """Log-probability of each response token under the initial policy, [B, T]; 0 outside `where`.

        Raises:
            ValueError: no reference was kept.
        """
        if isinstance(self.model, PeftModel):
            without: AbstractContextManager[object] = _switched_off(self.model)
            model: nn.Module = self.model
        elif self.reference is not None:
            without, model = nullcontext(), self.reference
        else:
            raise ValueError("this actor keeps no reference policy")
        where = _everywhere(batch) if where is None else where
        with torch.no_grad(), without:
            return spread(log_probs(logits_of(model, batch, temperature, where), batch.response[where]), where)


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
        hidden: Tensor = self.backbone(input_ids=batch.begun_together, use_cache=False).last_hidden_state
        rows = torch.arange(len(batch), device=hidden.device)[:, None]  # [B, 1]
        with torch.autocast(hidden.device.type, enabled=False):
            read = hidden[rows, batch.read_at].float().flatten(0, 1)  # [B * T, hidden]
            return self.head(read).view(len(batch), batch.mask.shape[1])


def adapted(model: PreTrainedModel, lora: Lora) -> PeftModel:
    """`model` with an adapter that learns, its own weights frozen; it is changed in place."""
    with warnings.catch_warnings(), torch.random.fork_rng():
        torch.manual_seed(lora.seed)
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft 0.21 on transformers 5
        return cast(PeftModel, get_peft_model(model, lora.config()))


@contextmanager
def _switched_off(model: PeftModel) -> Generator[None]:
    """The model without its adapter. peft's own switch also freezes the adapter.

    FSDP2 would take a frozen one for untrained if it saw the model so first, and reduce its gradients in bfloat16.
    """
    layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    for layer in layers:
        layer._disable_adapters = True  # pyright: ignore[reportPrivateUsage]
    try:
        yield
    finally:
        for layer in layers:
            layer._disable_adapters = False  # pyright: ignore[reportPrivateUsage]


def frozen_copy(model: PreTrainedModel, dtype: torch.dtype | None) -> PreTrainedModel:
    """A copy that does not learn, its weights in `dtype`.

    Only weights are rounded: what a model keeps besides them, such as the frequencies of rotary positions, is float32
    in bfloat16 models too.
    """
    kept = copy.deepcopy(model)
    for weight in kept.parameters():
        weight.requires_grad_(False)
        if dtype is not None:
            weight.data = weight.data.to(dtype)
    return kept


def quieten(model: nn.Module) -> None:
    """Switch dropout off permanently: it would make a token's probability differ between sampling and training."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0  # type: ignore[assignment]  an attention layer's own number


def layers(model: nn.Module) -> Iterable[nn.Module]:
    """The decoder layers, for sharding one by one."""
    names: set[str] = set(getattr(model, "_no_split_modules", None) or ())
    return [module for module in model.modules() if type(module).__name__ in names]


def logits_of(model: nn.Module, batch: Batch, temperature: float, where: Tensor | None = None) -> Tensor:
    """Before each response token in `where` [B, T] (bool, by default every one), row by row: [N, V].

    Only they go through the vocabulary's matrix, which for a small model is most of a pass.
    """
    chosen = _everywhere(batch) if where is None else where.bool()
    rows, at = chosen.nonzero()[:, 0], batch.read_at[chosen]  # [N], [N]
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    head = cast(nn.Module, cast(PreTrainedModel, inner).get_output_embeddings())

    def select(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor]:
        return (given[0][rows, at],)  # [N, hidden]

    handle = head.register_forward_pre_hook(select)
    try:
        logits: Tensor = model(input_ids=batch.begun_together, use_cache=False, logits_to_keep=0).logits
    finally:
        handle.remove()
    return logits if temperature == 1 else logits / temperature  # a copy of the largest tensor of all


def spread(values: Tensor, where: Tensor) -> Tensor:
    """`values` [N] at their places in `where` [B, T], 0 elsewhere: [B, T]."""
    return torch.zeros(where.shape, dtype=values.dtype, device=values.device).masked_scatter(where, values)


def _everywhere(batch: Batch) -> Tensor:
    return torch.ones_like(batch.mask, dtype=torch.bool)
