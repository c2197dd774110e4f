"""`LocalLLM`: an embedded model as an `LLM`, by llama.cpp's server in this process (xllamacpp, extra `local`).

We talk to it over loopback, with the same `OpenAIClient` as any other endpoint. The server starts at the first call,
so that a replayed run never loads a model.
"""

import asyncio
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from questwell.errors import ConfigError
from questwell.llm.client import Completion, Request
from questwell.llm.limiter import Limiter
from questwell.llm.openai import OpenAIClient, OpenAIOptions
from questwell.llm.prices import FREE
from questwell.llm.weights import Weights

if TYPE_CHECKING:
    from xllamacpp import Server

_KEPT_TOKENS = 1024
"""Room in the shared context for each kept prompt; when it is full, idle slots are cleared."""
_SAME_PROMPT = 0.75
"""Minimum fraction of a prompt that a slot must hold to be used for it; otherwise the least recently used slot is."""


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """How llama.cpp serves the model.

    Options that are not listed keep the engine's default. Measured on 2 busy cores with the 0.5B model: micro-batches
    of 128 to 1024 and flash attention off made no difference beyond the noise (12.5 to 14 ms of CPU per prompt token);
    an 8-bit cache of keys and values cost more (16 ms).
    """

    threads: int | None = None
    """Number of threads; None for every core that this process may use."""
    context_tokens: int = 8192
    """Context of one slot in tokens, prompt and answer together."""
    slots: int = 1
    """Number of calls answered at the same time. On 2 cores one was fastest: reading a prompt delays other answers."""
    kept_prompts: int = 8
    """Number of prompts kept whole with their keys and values. The attempts at a question read the same passages again:
    in order of the calls of eight seeds, a repeated prompt costs one token instead of some 230."""
    prompt_cache_mib: int = 1024
    """MiB of memory for earlier prompts, so that agents with different few-shot prefixes can alternate cheaply."""
    reuse_prompts: bool = True
    """Whether to reuse cached prefixes. If not, every call reads its whole prompt again, and its text at temperature 0
    does not depend on earlier calls (cached prefixes are rounded differently)."""
    timeout_s: float = 600.0
    """Maximum seconds for one call, counted from when it has its slot."""


class LocalLLM:
    """A client of a GGUF model that is served in this process. Belongs to one event loop."""

    def __init__(self, model: Path | Weights, *, options: LocalOptions | None = None) -> None:
        """Use `model`: a file, or weights that are fetched at the first call."""
        self._model = model
        self._name = model.name if isinstance(model, Weights) else model.stem
        self._options = options or LocalOptions()
        self._starting = asyncio.Lock()
        self._server: Server | None = None
        self._client: OpenAIClient | None = None

    @property
    def path(self) -> Path | None:
        """The user's model file; None for weights that are fetched."""
        return self._model if isinstance(self._model, Path) else None

    @property
    def name(self) -> str:
        """The model's name, or the file name without its ending."""
        return self._name

    @property
    def priced(self) -> bool:
        """True: a local model costs nothing."""
        return True

    async def complete(self, request: Request) -> Completion:
        """The model's answer; the first call loads the weights.

        Raises:
            ConfigError: the file is missing, or is not a model that this engine can load.
            AssetError: the weights could not be fetched.
            LLMError: as for `OpenAIClient.complete`.
        """
        async with self._starting:
            if self._client is None:
                self._client = await self._start()
        return await self._client.complete(request)

    async def aclose(self) -> None:
        """Stop the server and free the weights."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None
        self._server = None

    async def _start(self) -> OpenAIClient:
        key = secrets.token_urlsafe(16)
        path = self._model if isinstance(self._model, Path) else await asyncio.to_thread(self._model.fetch)
        self._server = await asyncio.to_thread(_serve, path, self._name, self._options, key)
        return OpenAIClient(
            self._name,
            f"{self._server.listening_address}/v1",
            key,
            limiter=Limiter(self._options.slots),
            pricing=FREE,
            options=OpenAIOptions(
                timeout_s=self._options.timeout_s, max_retries=2, extra={"cache_prompt": self._options.reuse_prompts}
            ),
        )


def _serve(path: Path, name: str, options: LocalOptions, key: str) -> "Server":
    # libgomp reads this when it loads. Threads that spin for long starve each other on busy cores, and threads that
    # sleep at once wake too slowly on free ones; a short spin avoids both (docs/log.md).
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        import xllamacpp
    except ImportError as error:
        raise ConfigError(
            f"a local model needs the extra 'local' (pip install 'questwell[local]'): {error}; "
            "or name an endpoint with --llm openai:MODEL@BASE_URL"
        ) from error
    if not path.is_file():
        raise ConfigError(f"there is no model file {str(path)!r}")
    threads = options.threads or _usable_cores()
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {name}
    kept = max(options.kept_prompts, options.slots) if options.reuse_prompts else options.slots
    params.n_parallel = kept  # more slots than calls at the same time: an idle one keeps its prompt
    params.n_ctx = options.context_tokens * options.slots + _KEPT_TOKENS * (kept - options.slots)
    params.kv_unified = True  # pyright: ignore[reportAttributeAccessIssue]  the slots share the context
    params.kv_unified_per_slot = options.context_tokens  # pyright: ignore[reportAttributeAccessIssue]
    params.cache_idle_slots = False  # pyright: ignore[reportAttributeAccessIssue]
    params.slot_prompt_similarity = _SAME_PROMPT
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = options.prompt_cache_mib if options.reuse_prompts else 0
    params.verbosity = -1  # print nothing on the user's terminal
    params.ui = False
    params.api_keys = [key]  # so that no other process and no page in a browser can use it
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ConfigError(
            f"llama.cpp cannot load {str(path)!r}: {error}; is it a complete GGUF file, and is there enough memory?"
        ) from error


def _usable_cores() -> int:
    if sys.platform == "linux":  # a container or taskset may allow fewer cores than the machine has
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
