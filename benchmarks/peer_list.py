"""The peers of `peers.py`: how each is driven, with which settings, what it keeps; and those that cannot take part."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DRIVERS = Path(__file__).parent / "peer_drivers"
REQUIREMENTS = DRIVERS / "requirements"


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that makes many model calls."""

    name: str
    title: str
    """Name in tables and pictures."""
    keeps: str
    """What it stores of a reply."""
    settings: str
    """Settings, apart from the number of calls in flight."""
    distribution: str | None = None
    """Its name on PyPI; None: this project."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables that its documentation names, for a machine without a network."""

    @property
    def driver(self) -> Path:
        """The script that drives it, in its own environment."""
        return DRIVERS / f"with_{self.name}.py"

    @property
    def requirements(self) -> Path | None:
        """Its environment, every package pinned; None: this project's."""
        return REQUIREMENTS / f"{self.name}.txt" if self.distribution else None

    @property
    def version(self) -> str:
        """The pinned version; empty for this project, whose commit is in the report."""
        return pinned(self.requirements.read_text("utf-8"), self.distribution) if self.requirements else ""


def pinned(requirements: str, distribution: str | None) -> str:
    """The version of `distribution` in the text of a requirements file; ValueError when it is not there."""
    found = re.search(rf"^{re.escape(distribution or '')}==(\S+)$", requirements, re.MULTILINE | re.IGNORECASE)
    if found is None:
        raise ValueError(f"{distribution} is not pinned")
    return found[1]


def variables(peer: Peer) -> dict[str, str]:
    """The environment of a driver: this one, without what would make it import our packages."""
    ours = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    path = {} if peer.distribution else {"PYTHONPATH": str(Path(__file__).parent.parent / "src")}
    return ours | offline | path | dict(peer.environment)


PEERS = (
    Peer(
        "questwell_session",
        "Questwell, recorded session",
        "each reply on disk before it is used (SQLite)",
        "defaults",
    ),
    Peer(
        "questwell",
        "Questwell, evaluate",
        "each reply on disk before it is used (SQLite)",
        "closed-book mode, scored by exact match",
    ),
    Peer(
        "data_designer",
        "NeMo Data Designer",
        "parquet file per 1,000 rows",
        "max_parallel_requests; scheduler tasks raised to twice that; its metrics port off",
        "data-designer",
        {"NEMO_TELEMETRY_ENABLED": "false"},
    ),
    Peer(
        "distilabel",
        "distilabel",
        "parquet file per batch, at the end of the batch",
        "batches as large as what may be in flight; its log at warnings",
        "distilabel",
        {"DISTILABEL_LOG_LEVEL": "WARNING"},
    ),
    Peer(
        "curator",
        "Bespoke Curator",
        "line of JSON per reply, left to the system to write",
        "max_concurrent_requests, limits per minute out of the way; litellm backend, since its own fetches a tokenizer",
        "bespokelabs-curator",
        {
            "TELEMETRY_ENABLED": "false",
            "CURATOR_DISABLE_RICH_DISPLAY": "1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "OPENAI_API_KEY": "none",
        },
    ),
    Peer(
        "synthetic_data_kit",
        "synthetic-data-kit",
        "one JSON file at the end of the run",
        "its batch_completion, batches as large as what may be in flight",
        "synthetic-data-kit",
    ),
    Peer("openai", "openai SDK alone", "nothing", "its aiohttp client", "openai"),
    Peer(
        "litellm",
        "litellm alone",
        "nothing",
        "its aiohttp transport, which is the default; its own price list",
        "litellm",
        {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"},
    ),
)
ABSENT: Mapping[str, str] = {
    "verifiers 0.4.0": "installed and read, not run: also its null harness plays each rollout in a process of its own, "
    "which uv furnishes from the network, so 1,000 calls in flight are 1,000 Python processes",
}
"""Why other peers cannot take part, by name."""
