"""Writes model folders for a vLLM server that gets new weights while it runs."""

# transformers is only partly typed; what this file returns is typed by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
from pathlib import Path
from typing import Any, cast

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from questwell.llm.pretrained import Pretrained

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_HEAD = "model-head.safetensors"


def write_whole(model: Pretrained, folder: Path) -> None:
    """Write `model` to a folder with separate output weights.

    If they are shared with the embedding, vLLM 0.32 does not reload them on a CPU: it keeps its packed copy from the
    start and only warns "ParallelLMHead: Failed to load weights".
    """
    model.save(folder)
    config_file, index_file = folder / "config.json", folder / _INDEX
    config = cast(dict[str, Any], json.loads(config_file.read_text(encoding="utf-8")))
    if not config.get("tie_word_embeddings"):
        return
    name, head = _head(model.model)
    if index_file.is_file():
        index = cast(dict[str, Any], json.loads(index_file.read_text(encoding="utf-8")))
    else:
        part = "model-body.safetensors"
        (folder / _WHOLE).rename(folder / part)
        with safe_open(folder / part, framework="pt") as body:
            index = {"metadata": {}, "weight_map": dict.fromkeys(body.keys(), part)}
    save_file({name: head.detach().cpu().contiguous()}, folder / _HEAD, metadata={"format": "pt"})
    index["weight_map"][name] = _HEAD
    index_file.write_text(json.dumps(index), encoding="utf-8")
    config_file.write_text(json.dumps({**config, "tie_word_embeddings": False}, indent=2), encoding="utf-8")


def _head(model: PreTrainedModel) -> tuple[str, Tensor]:
    """(name, weights) of the output layer."""
    found = cast(nn.Module, model.get_output_embeddings())
    name = next(name for name, module in model.named_modules() if module is found)
    return f"{name}.weight", cast(Tensor, found.weight)
