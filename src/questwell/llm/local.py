"""`LocalLLM`: an embedded model as an `LLM`, by llama.cpp's server in this process (xllamacpp, extra `local`).

We talk to it over loopback, with the same `OpenAIClient` as any other endpoint. The server starts at the first call,
so that a replayed run never loads a model.
"""

import asyncio
import json
import os
import secrets
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from questwell.errors import ConfigError
from questwell.http.connections import BrokenError, Connections, NotConnectedError
from questwell.llm.adapting import Manners
from questwell.llm.client import Completion, Request
from questwell.llm.kept_prompts import KeptPrompts
from questwell.llm.limiter import Limiter
from questwell.llm.openai import OpenAIClient, OpenAIOptions
from questwell.llm.prices import FREE
from questwell.llm.weights import Weights

if TYPE_CHECKING:
    from xllamacpp import Server

_KEPT_TOKENS = 1024
"""Room in the shared context for each kept prompt; when it is full, idle slots are cleared."""


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
    copies_mib: int = 512
    """MiB of temporary files with copies of prompts, so that few-shot examples are read once. A token takes 28 kB.
    A process that is killed leaves them to the system's cleaning of temporary files."""
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
        self._served: _Served | None = None

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
            if self._served is None:
                path = self._model if isinstance(self._model, Path) else await asyncio.to_thread(self._model.fetch)
                self._served = await asyncio.to_thread(_Served, path, self._name, self._options)
        return await self._served.complete(request)

    async def aclose(self) -> None:
        """Stop the server and free the weights."""
        if self._served is not None:
            await self._served.aclose()
            self._served = None


class _Served:
    """A running server, with a client for each of its slots."""

    def __init__(self, path: Path, name: str, options: LocalOptions) -> None:
        """Load the model, which takes seconds."""
        key = secrets.token_urlsafe(16)
        slots = max(options.kept_prompts, 2 * options.slots) if options.reuse_prompts else options.slots
        self._folder = tempfile.TemporaryDirectory(prefix="questwell-prompts-")
        try:
            server = _serve(path, name, options, key, slots, Path(self._folder.name))
        except ConfigError:
            self._folder.cleanup()
            raise
        self._server: Server | None = server
        self._url = server.listening_address
        self._connections = Connections({"authorization": f"Bearer {key}"}, options.timeout_s)
        limiter, manners = Limiter(options.slots), Manners(("cache_prompt", "id_slot"))

        def client(**extra: int | bool) -> OpenAIClient:
            more = OpenAIOptions(timeout_s=options.timeout_s, max_retries=2, extra=extra)
            url = f"{self._url}/v1"
            return OpenAIClient(name, url, key, limiter=limiter, pricing=FREE, options=more, manners=manners)

        if options.reuse_prompts:
            self._clients = [client(cache_prompt=True, id_slot=slot) for slot in range(slots)]
            self._kept = KeptPrompts(slots, options.slots, options.copies_mib, self)
        else:
            self._clients = [client(cache_prompt=False)]
            self._kept = None

    async def complete(self, request: Request) -> Completion:
        if self._kept is None:
            return await self._clients[0].complete(request)
        async with self._kept.slot_for(request) as slot:
            completion = await self._clients[slot.number].complete(request)
            slot.tokens = completion.prompt_tokens or 0
            return completion

    async def save(self, slot: int, file: str) -> tuple[int, int]:
        """`Copies.save`, by the server."""
        said = await self._act(slot, "save", file)
        return said.get("n_saved", 0), said.get("n_written", 0)

    async def restore(self, slot: int, file: str) -> None:
        """`Copies.restore`, by the server."""
        await self._act(slot, "restore", file)

    async def delete(self, file: str) -> None:
        """`Copies.delete`."""
        Path(self._folder.name, file).unlink(missing_ok=True)

    async def _act(self, slot: int, action: str, file: str) -> dict[str, int]:
        """Return what the server says of a copy; an empty dict if it failed, for then the prompt is just read again."""
        url, body = f"{self._url}/slots/{slot}?action={action}", json.dumps({"filename": file}).encode()
        try:
            reply = await self._connections.send("POST", url, body)
        except (NotConnectedError, BrokenError):
            return {}
        return json.loads(reply.content) if reply.is_success else {}

    async def aclose(self) -> None:
        for client in self._clients:
            await client.aclose()
        await self._connections.aclose()
        self._server = None
        self._folder.cleanup()


def _serve(path: Path, name: str, options: LocalOptions, key: str, slots: int, copies: Path) -> "Server":
    """Start a server with `slots` slots that saves them to the folder `copies`."""
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
    params.n_parallel = slots  # more than calls at the same time: an idle one keeps its prompt
    params.n_ctx = options.context_tokens * options.slots + _KEPT_TOKENS * (slots - options.slots)
    params.kv_unified = True  # pyright: ignore[reportAttributeAccessIssue]  the slots share the context
    params.kv_unified_per_slot = options.context_tokens  # pyright: ignore[reportAttributeAccessIssue]
    params.cache_idle_slots = False  # pyright: ignore[reportAttributeAccessIssue]
    params.cache_ram_mib = 0  # `KeptPrompts` does this
    params.slot_save_path = f"{copies}{os.sep}"  # pyright: ignore[reportAttributeAccessIssue]
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
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
