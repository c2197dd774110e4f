"""Fetches a data set of the Hugging Face hub, `hf:NAME[:CONFIG][@SPLIT]`, with the hub's library (extra `hub`).

The library stores it as arrow files, which are read like those of `save_to_disk`. Without a network the library uses
its cache (`HF_HUB_OFFLINE=1`).
"""

from pathlib import Path
from typing import Any

from questwell.errors import AssetError
from questwell.http.loopback import let_hub_libraries_pass_proxies
from questwell.retrieval.corpora.forms import Form
from questwell.retrieval.corpora.sources import Member, Members
from questwell.retrieval.extras import optional

PREFIX = "hf:"
EXTRA = "hub"


def hub_members(source: str) -> Members:
    """The arrow files of a data set, fetched if they are not cached.

    Raises:
        AssetError: the data set cannot be fetched.
        ConfigError: the extra `hub` is not installed.
    """
    named, _, split = source.removeprefix(PREFIX).partition("@")
    name, _, config = named.partition(":")
    datasets: Any = optional("datasets", EXTRA)
    datasets.disable_progress_bars()
    let_hub_libraries_pass_proxies()
    try:
        loaded = datasets.load_dataset(name, config or None, split=split or None)
    except Exception as error:  # the library, the hub and the network raise many types
        raise AssetError(f"data set {name!r} of the hub cannot be fetched ({type(error).__name__}: {error})") from error
    parts = [loaded] if split else [loaded[key] for key in sorted(loaded)]
    paths = [Path(held["filename"]) for part in parts for held in part.cache_files]
    return Members([Member(path.name, path, Form.ARROW) for path in paths])
