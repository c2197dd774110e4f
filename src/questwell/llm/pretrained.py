"""Causal language models from files: a Hugging Face folder, a GGUF file or an embedded model. Needs torch."""

# transformers is typed in part only; what comes out of this file is typed by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
import transformers
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils.logging import disable_progress_bar

from questwell.errors import ConfigError
from questwell.llm.codec import ChatCodec, Tokenizer
from questwell.llm.hub import hub_folder, is_hub_name
from questwell.llm.weights import EMBEDDED

disable_progress_bar()  # loading takes seconds, and standard error is the command's own

Dtype = Literal["float32", "bfloat16"]
"""Precision of weights."""
FORMS = (
    "local, local-small, path/to/model.gguf, a Hugging Face folder (one that holds config.json) or a name on the hub "
    "(OWNER/NAME)"
)


@dataclass(frozen=True, slots=True)
class Size:
    """Sizes of a model."""

    parameters: int
    vocabulary: int
    hidden: int
    inner: int
    """Within a layer's feed-forward part."""
    layers: int


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A model with its tokenizer."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def codec(self) -> ChatCodec:
        """Dialogues to ids, as this model reads them."""
        stops = getattr(self.model.generation_config, "eos_token_id", None) or ()
        return ChatCodec(cast(Tokenizer, self.tokenizer), stops if isinstance(stops, list | tuple) else (stops,))

    @property
    def context_tokens(self) -> int:
        """Positions that the model was made for."""
        return int(self.model.config.get_text_config().max_position_embeddings)

    def save(self, folder: Path) -> None:
        """Write a Hugging Face folder, which vLLM serves too."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def load(source: str, *, dtype: Dtype = "float32", device: torch.device | str = "cpu") -> Pretrained:
    """The model that `source` names, in evaluation mode. A GGUF file is unpacked.

    Only safetensors and GGUF are read, and no code that a folder brings along is run.

    Raises:
        AssetError: an embedded model could not be fetched.
        ConfigError: `source` names none, or one that cannot be loaded.
    """
    folder, options, name = _place(source)
    try:
        tokenizer = _tokenizer_class(Path(folder)).from_pretrained(folder, local_files_only=True, **options)
        options = {**options, **_unpacking()} if options else {"use_safetensors": True}
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, dtype), local_files_only=True, **options
        )
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        raise ConfigError(f"{source!r} cannot be loaded as a causal language model: {error}") from error
    if tokenizer.eos_token_id is None:
        raise ConfigError(f"the tokenizer of {source!r} has no end-of-sequence token")
    for leftover in ("quantization_config", "_pre_quantization_dtype"):  # it is a plain model now, and is saved as one
        if hasattr(model.config, leftover):
            delattr(model.config, leftover)
    cast(nn.Module, model).to(device).eval()
    return Pretrained(name, model, tokenizer)


def best_device() -> str:
    """`cuda` where there is one (of this rank, under torchrun), else `cpu`."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"


def dtype_of(asked: Dtype | None, device: str, lora_rank: int) -> Dtype:
    """Precision in which to load weights: the requested one, or float32 if all weights are trained."""
    if not lora_rank:
        return "float32"
    return asked or ("float32" if device == "cpu" else "bfloat16")


_EMBEDDED_SIZES = {
    "local": Size(1_543_714_304, 151_936, 1536, 8960, 28),
    "local-small": Size(494_032_768, 151_936, 896, 4864, 24),
}
"""As their publisher's config.json says; output weights are those of the embedding."""


def size_of(source: str) -> Size:
    """How large the model that `source` names is. Only its description is read, or fetched.

    Raises as `load`.
    """
    if source in EMBEDDED and EMBEDDED[source].cached() is None:
        return _EMBEDDED_SIZES[source]
    folder, options, _ = _place(source, weights=False)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, **options)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ConfigError(f"{source!r} cannot be read as a causal language model: {error}") from error
    return measured(model)


def measured(model: PreTrainedModel) -> Size:
    """How large `model` is."""
    text = model.config.get_text_config()
    return Size(
        parameters=sum(weight.numel() for weight in model.parameters()),
        vocabulary=text.vocab_size,
        hidden=text.hidden_size,
        inner=getattr(text, "intermediate_size", None) or 4 * text.hidden_size,
        layers=text.num_hidden_layers,
    )


def _unpacking() -> dict[str, Any]:
    """What tells transformers to unpack a GGUF file; an older one, such as verl's, always does."""
    config = getattr(transformers, "GgufConfig", None)
    return {"quantization_config": config(dequantize=True)} if config else {}


def _tokenizer_class(folder: Path) -> type[Any]:
    """What reads the tokenizer in `folder` as it is.

    transformers 5 would give a tokenizer of no class of its own the class of the model, and with it other tokens.
    """
    path = folder / "tokenizer_config.json"
    named = json.loads(path.read_text(encoding="utf-8")).get("tokenizer_class") if path.is_file() else None
    return PreTrainedTokenizerFast if named in ("TokenizersBackend", "PreTrainedTokenizerFast") else AutoTokenizer


def _place(source: str, *, weights: bool = True) -> tuple[str, dict[str, Any], str]:
    """(folder, what transformers must be told to find the file in it, the model's name)."""
    if source in EMBEDDED:
        path = EMBEDDED[source].fetch()
        return os.fspath(path.parent), {"gguf_file": path.name}, EMBEDDED[source].name
    path = Path(source).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return os.fspath(path.parent), {"gguf_file": path.name}, path.stem
    if (path / "config.json").is_file():
        return os.fspath(path), {}, path.resolve().name
    if is_hub_name(source):
        return os.fspath(hub_folder(source, weights=weights)), {}, source
    raise ConfigError(f"unknown model {source!r}; name one of: {FORMS}")
