"""Fetches a model by its name on the Hugging Face hub, such as Qwen/Qwen2.5-3B-Instruct, and keeps it on disk."""

# huggingface_hub is only partly typed.
# pyright: reportUnknownVariableType=false

import os
import re
from pathlib import Path

import httpx2

from questwell.errors import ConfigError
from questwell.http.loopback import let_hub_libraries_pass_proxies

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_DESCRIPTION = ("*.json", "*.txt", "*.model", "*.jinja")
"""Files of configuration and tokenizer. Code in a repository is never fetched."""
_WEIGHTS = ("*.safetensors",)


def is_hub_name(source: str) -> bool:
    """Whether `source` has the form OWNER/NAME and no local path has that name."""
    return bool(_NAME.fullmatch(source)) and not source.endswith(".gguf") and not Path(source).expanduser().exists()


def hub_folder(name: str, *, weights: bool = True, fetch: bool = True) -> Path:
    """Local folder of the hub's model `name`, in the cache that transformers, verl and vLLM use too.

    Args:
        name: the model as OWNER/NAME.
        weights: whether to fetch the weights too.
        fetch: whether to ask the hub (or the mirror that HF_ENDPOINT names) first. The last part of the returned
            path is the commit.

    Raises:
        ConfigError: the model is neither on the hub nor in the cache, or is gated; the message says what to do.
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
            f"{name!r} is not a folder here and not in the hub's cache on this machine, and the hub cannot "
            f"be reached: download it on a machine with a network (hf download {name}), or name its folder"
        ) from error
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        raise ConfigError(f"the model {name!r} could not be fetched from the hub: {error}") from error
    return Path(found)
