"""Loads causal language models from a Hugging Face folder, a GGUF file or an embedded model. Needs torch."""

# transformers is only partly typed; what this file returns is typed by hand.
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

disable_progress_bar()  # loading takes only seconds, and the bar would mix with a command's output

Dtype = Literal["float32", "bfloat16"]
"""Precision of a model's weights."""
FORMS = (
    "local, local-small, path/to/model.gguf, a Hugging Face folder (one that holds config.json) or a name on the hub "
    "(OWNER/NAME)"
)


@dataclass(frozen=True, slots=True)
class Size:
    """Dimensions of a model, from which its memory is estimated."""

    parameters: int
    vocabulary: int
    hidden: int
    inner: int
    """Width of a layer's feed-forward part."""
    layers: int


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A loaded model with its tokenizer."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def codec(self) -> ChatCodec:
        """The codec that encodes dialogues for this model."""
        stops = getattr(self.model.generation_config, "eos_token_id", None) or ()
        return ChatCodec(cast(Tokenizer, self.tokenizer), stops if isinstance(stops, list | tuple) else (stops,))

    @property
    def context_tokens(self) -> int:
        """Number of positions that the model supports."""
        return int(self.model.config.get_text_config().max_position_embeddings)

    def save(self, folder: Path) -> None:
        """Write the model as a Hugging Face folder, which vLLM can serve too."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def load(source: str, *, dtype: Dtype = "float32", device: torch.device | str = "cpu") -> Pretrained:
    """The model that `source` names, in evaluation mode. The weights of a GGUF file are unpacked.

    Only safetensors and GGUF files are read, and no code in a folder is run.

    Raises:
        AssetError: an embedded model could not be fetched.
        ConfigError: `source` does not name a model, or the model cannot be loaded.
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
    for leftover in ("quantization_config", "_pre_quantization_dtype"):  # weights are unpacked, and are saved so
        if hasattr(model.config, leftover):
            delattr(model.config, leftover)
    cast(nn.Module, model).to(device).eval()
    return Pretrained(name, model, tokenizer)


def best_device() -> str:
    """`cuda` if there is a GPU (under torchrun, the one of this rank), otherwise `cpu`."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"


def passes_in(asked: Dtype | None, device: str) -> Dtype:
    """Precision of the passes: `asked`, or bfloat16 on a GPU and float32 on a CPU."""
    return asked or ("bfloat16" if device.startswith("cuda") else "float32")


def dtype_of(asked: Dtype | None, passes: Dtype, lora_rank: int) -> Dtype:
    """Precision of the loaded weights: float32 to train all of them, otherwise `asked` or that of the passes."""
    return (asked or passes) if lora_rank else "float32"


_EMBEDDED_SIZES = {
    "local": Size(1_543_714_304, 151_936, 1536, 8960, 28),
    "local-small": Size(494_032_768, 151_936, 896, 4864, 24),
}
"""From their publisher's config.json; the output weights are shared with the embedding."""


def size_of(source: str) -> Size:
    """Dimensions of the model that `source` names. Only its description is read or fetched, not its weights.

    Raises the same errors as `load`.
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
    """Dimensions of `model`."""
    text = model.config.get_text_config()
    return Size(
        parameters=sum(weight.numel() for weight in model.parameters()),
        vocabulary=text.vocab_size,
        hidden=text.hidden_size,
        inner=getattr(text, "intermediate_size", None) or 4 * text.hidden_size,
        layers=text.num_hidden_layers,
    )


def _unpacking() -> dict[str, Any]:
    """Arguments that make transformers unpack a GGUF file; older versions, such as verl's, always do."""
    config = getattr(transformers, "GgufConfig", None)
    return {"quantization_config": config(dequantize=True)} if config else {}


def _tokenizer_class(folder: Path) -> type[Any]:
    """The class that reads the tokenizer in `folder` unchanged.

    transformers 5 would give a tokenizer without a class the class of the model, and with it different tokens.
    """
    path = folder / "tokenizer_config.json"
    named = json.loads(path.read_text(encoding="utf-8")).get("tokenizer_class") if path.is_file() else None
    return PreTrainedTokenizerFast if named in ("TokenizersBackend", "PreTrainedTokenizerFast") else AutoTokenizer


def _place(source: str, *, weights: bool = True) -> tuple[str, dict[str, Any], str]:
    """(folder, arguments that make transformers find the file in it, the model's name)."""
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
