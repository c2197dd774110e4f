"""From the model that a user names to a client of it.

local                     the embedded model qwen2.5-coder-1.5b (1.1 GB, fetched once)
local-small               the embedded model qwen2.5-coder-0.5b (0.5 GB, fetched once)
path/to/model.gguf        any GGUF file, served in this process
path/to/folder            a Hugging Face folder, such as a checkpoint of train, run in this process (extra train)
openai:MODEL              MODEL at OPENAI_BASE_URL, or at api.openai.com where that is not set
MODEL@BASE_URL            MODEL at any OpenAI-compatible endpoint, as in Qwen/Qwen3-8B@http://gpu1:8000/v1
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from questwell.errors import ConfigError
from questwell.llm.client import LLM
from questwell.llm.folder import FolderLLM
from questwell.llm.limiter import Limiter
from questwell.llm.local import LocalLLM, LocalOptions
from questwell.llm.openai import OpenAIClient, OpenAIOptions
from questwell.llm.prices import Price
from questwell.llm.weights import EMBEDDED

OPENAI_URL = "https://api.openai.com/v1"

FORMS = (
    "local, local-small, path/to/model.gguf, a Hugging Face folder, openai:MODEL or MODEL@BASE_URL "
    "(such as Qwen/Qwen3-8B@http://127.0.0.1:8000/v1)"
)


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """How to reach models; the defaults suit most."""

    max_in_flight: int = 64
    """Calls to one endpoint at once, at most; fewer while it pushes back."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the endpoint's key; it need not be set for one that wants none."""
    price: Price | None = None
    """None: the public list price, where it is known."""
    endpoint: OpenAIOptions = field(default_factory=OpenAIOptions)
    local: LocalOptions = field(default_factory=LocalOptions)


def connect(spec: str, options: ConnectOptions | None = None) -> LLM:
    """The model that `spec` names, in one of the forms above. Nothing is loaded or called yet.

    Raises:
        ConfigError: `spec` has none of these forms, or names a file that does not exist.
    """
    return connect_all([spec], options)[spec]


def connect_all(specs: Iterable[str], options: ConnectOptions | None = None) -> dict[str, LLM]:
    """A client for each distinct spec; those of one endpoint share its limiter. Close each of the values once.

    Raises:
        ConfigError: as `connect`.
    """
    options = options or ConnectOptions()
    limiters: dict[str, Limiter] = {}
    return {spec: _connect(spec, options, limiters) for spec in dict.fromkeys(specs)}


def _connect(spec: str, options: ConnectOptions, limiters: dict[str, Limiter]) -> LLM:
    if spec in EMBEDDED:
        return LocalLLM(EMBEDDED[spec], options=options.local)
    model, at, base_url = spec.removeprefix("openai:").rpartition("@")
    if at and base_url.startswith(("http://", "https://")) and model:
        return _endpoint(model, base_url, options, limiters)
    if spec.startswith("openai:") and spec != "openai:":
        return _endpoint(
            spec.removeprefix("openai:"), os.environ.get("OPENAI_BASE_URL") or OPENAI_URL, options, limiters
        )
    if spec.endswith(".gguf"):
        path = Path(spec).expanduser()
        if not path.is_file():
            raise ConfigError(f"there is no model file {spec!r}")
        return LocalLLM(path, options=options.local)
    if (Path(spec).expanduser() / "config.json").is_file():
        return FolderLLM(Path(spec).expanduser())
    raise ConfigError(f"cannot tell which model {spec!r} is; name one of: {FORMS}")


def _endpoint(model: str, base_url: str, options: ConnectOptions, limiters: dict[str, Limiter]) -> LLM:
    base_url = base_url.rstrip("/")
    limiter = limiters.setdefault(base_url, Limiter(options.max_in_flight))
    key = os.environ.get(options.api_key_env, "").strip() or None
    if not key and base_url == OPENAI_URL:
        raise ConfigError(f"{model!r} at {base_url} needs a key: set {options.api_key_env}")
    return OpenAIClient(model, base_url, key, limiter=limiter, pricing=options.price, options=options.endpoint)
