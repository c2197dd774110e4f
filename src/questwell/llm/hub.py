"""Models by their name on the Hugging Face hub, such as Qwen/Qwen2.5-3B-Instruct: fetched once, then found on disk."""

# huggingface_hub is typed in part only.
# pyright: reportUnknownVariableType=false

import os
import re
from pathlib import Path

import httpx2

from questwell.errors import ConfigError
from questwell.http.loopback import let_hub_libraries_pass_proxies

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_DESCRIPTION = ("*.json", "*.txt", "*.model", "*.jinja")
"""Configuration and tokenizer. No code that a repository brings along is fetched."""
_WEIGHTS = ("*.safetensors",)


def is_hub_name(source: str) -> bool:
    """Whether `source` can only be OWNER/NAME on the hub: it has that form, and no local path has that name."""
    return bool(_NAME.fullmatch(source)) and not source.endswith(".gguf") and not Path(source).expanduser().exists()


def hub_folder(name: str, *, weights: bool = True, fetch: bool = True) -> Path:
    """The folder of the hub's model `name`, in the cache that it shares with transformers, verl and vLLM.

    Args:
        name: OWNER/NAME.
        weights: whether the weights are needed, too.
        fetch: whether to look on the hub (or the mirror that HF_ENDPOINT names) first; the last part of the path is
            the commit.

    Raises:
        ConfigError: it is neither on the hub nor in the cache, or must be asked for there; says what to do.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )
    except ImportError as error:
        raise ConfigError(f"the model {name!r} is on the Hugging Face hub: pip install 'questwell[train]'") from error
    offline = not fetch or bool(os.environ.get("QUESTWELL_OFFLINE") or os.environ.get("HF_HUB_OFFLINE"))
    let_hub_libraries_pass_proxies()
    try:
        found = snapshot_download(
            name,
            allow_patterns=[*_DESCRIPTION, *(_WEIGHTS if weights else ())],
            ignore_patterns=["*/*"],  # other formats of the same weights
            local_files_only=offline,
            endpoint=os.environ.get("HF_ENDPOINT"),
        )
    except GatedRepoError as error:
        raise ConfigError(
            f"{name!r} is gated: request access on its page on the hub, then set HF_TOKEN to your token"
        ) from error
    except RepositoryNotFoundError as error:
        raise ConfigError(
            f"{name!r} is neither a folder here nor a model on the hub; if it is private, set HF_TOKEN"
        ) from error
    except LocalEntryNotFoundError as error:
        raise ConfigError(
            f"{name!r} is no folder here and not in the hub's cache on this machine, and the hub cannot "
            f"be reached: fetch it where there is a network (hf download {name}), or name its folder"
        ) from error
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        raise ConfigError(f"the model {name!r} could not be fetched from the hub: {error}") from error
    return Path(found)
