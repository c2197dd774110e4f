"""The three models of training: the trained actor, the reference it started from, and the critic.

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
    """Settings of a low-rank adapter that is trained instead of the weights."""

    rank: int = 16
    alpha: int = 32
    """The adapter's output is scaled by alpha / rank."""
    seed: int = 0
    """Random seed of the adapter's initial weights."""

    def config(self) -> LoraConfig:
        """Return the peft config: every linear layer of the backbone, no dropout."""
        return LoraConfig(r=self.rank, lora_alpha=self.alpha, lora_dropout=0.0, target_modules="all-linear")


class Actor:
    """The trained policy, and the frozen policy that it started from."""

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        lora: Lora | None = None,
        reference: bool = True,
        reference_dtype: torch.dtype | None = None,
    ) -> None:
        """Prepare `model` for training, or an adapter on it if `lora` is given.

        Args:
            model: a causal language model; it is changed in place.
            lora: settings of the adapter; None trains all weights.
            reference: keep the initial policy, for the KL divergence from it.
            reference_dtype: precision of the reference's weights; None keeps that of `model`.
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
        """Return the log-probability of each response token and the entropy in nats before it, both [B, T].

        Both are 0 outside `where`.
        """
        logits = self.logits(batch, temperature, where)
        where = _everywhere(batch) if where is None else where
        return spread(log_probs(logits, batch.response[where]), where), spread(entropy(logits), where)

    def logits(self, batch: Batch, temperature: float, where: Tensor | None = None) -> Tensor:
        """Return the logits before each response token in `where`, [N, V]."""
        return logits_of(self.model, batch, temperature, where)

    def reference_log_probs(self, batch: Batch, temperature: float, where: Tensor | None = None) -> Tensor:
        """Return the log-probability of each response token under the initial policy, [B, T]; 0 outside `where`.

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
    """Predicts a value for each response token: the reward that the policy is expected to get from there on."""

    def __init__(self, model: PreTrainedModel, *, lora: Lora | None = None) -> None:
        """Create a critic from the backbone of `model`, with a head that predicts 0 everywhere.

        Args:
            model: the causal language model that the actor starts from. Make the critic first: the actor changes it.
            lora: train an adapter on the weights of `model` itself, which are then not copied.
        """
        super().__init__()
        quieten(model)
        backbone = cast(PreTrainedModel, model.base_model)
        shared: dict[int, object] = {id(weight): weight for weight in backbone.parameters()} if lora else {}
        backbone = copy.deepcopy(backbone, shared)
        self.backbone = backbone if lora is None else adapted(backbone, lora)
        # float32 even on a bfloat16 backbone: values of similar states differ by little
        self.head = nn.Linear(backbone.config.get_text_config().hidden_size, 1, device=backbone.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.eval()

    def forward(self, batch: Batch) -> Tensor:
        """Return the value before each response token, [B, T], computed at the token before it."""
        hidden: Tensor = self.backbone(input_ids=batch.begun_together, use_cache=False).last_hidden_state
        rows = torch.arange(len(batch), device=hidden.device)[:, None]  # [B, 1]
        with torch.autocast(hidden.device.type, enabled=False):
            read = hidden[rows, batch.read_at].float().flatten(0, 1)  # [B * T, hidden]
            return self.head(read).view(len(batch), batch.mask.shape[1])


def adapted(model: PreTrainedModel, lora: Lora) -> PeftModel:
    """Return `model` with a trainable adapter and its own weights frozen; it is changed in place."""
    with warnings.catch_warnings(), torch.random.fork_rng():
        torch.manual_seed(lora.seed)
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft 0.21 on transformers 5
        return cast(PeftModel, get_peft_model(model, lora.config()))


@contextmanager
def _switched_off(model: PeftModel) -> Generator[None]:
    """Disable the adapter within the context. peft's own switch would also freeze the adapter.

    If FSDP2 saw the frozen adapter first, it would treat it as untrained and reduce its gradients in bfloat16.
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
    """Return an untrained copy of `model` with its weights in `dtype`.

    Only weights are rounded: other buffers, such as the frequencies of rotary positions, are float32 in bfloat16
    models too.
    """
    kept = copy.deepcopy(model)
    for weight in kept.parameters():
        weight.requires_grad_(False)
        if dtype is not None:
            weight.data = weight.data.to(dtype)
    return kept


def quieten(model: nn.Module) -> None:
    """Disable dropout permanently: it would make a token's probability differ between sampling and training."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0  # type: ignore[assignment]  an attention layer's own number


def layers(model: nn.Module) -> Iterable[nn.Module]:
    """Yield the decoder layers, so that they can be sharded one by one."""
    names: set[str] = set(getattr(model, "_no_split_modules", None) or ())
    return [module for module in model.modules() if type(module).__name__ in names]


def logits_of(model: nn.Module, batch: Batch, temperature: float, where: Tensor | None = None) -> Tensor:
    """Return the logits before each response token in `where` [B, T] (bool, by default all), row by row: [N, V].

    Only these positions go through the output matrix, which is most of the work of a pass for a small model.
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
    return logits if temperature == 1 else logits / temperature  # would copy the largest tensor of all


def spread(values: Tensor, where: Tensor) -> Tensor:
    """Return [B, T] with `values` [N] at the positions in `where` [B, T] and 0 elsewhere."""
    return torch.zeros(where.shape, dtype=values.dtype, device=values.device).masked_scatter(where, values)


def _everywhere(batch: Batch) -> Tensor:
    return torch.ones_like(batch.mask, dtype=torch.bool)
