"""`FolderLLM`: a Hugging Face folder as an `LLM` in this process."""

import asyncio
from pathlib import Path

from questwell.errors import ConfigError
from questwell.llm.client import Completion, Request
from questwell.llm.policy import PolicyClient


class FolderLLM:
    """A client of the model in a Hugging Face folder, such as a checkpoint of training. Belongs to one event loop.

    The model runs in this process. Its weights are loaded at the first call, so a replayed run never loads them.
    Needs the extra `train`.
    """

    def __init__(self, folder: Path) -> None:
        """Use the model in `folder`; it is not loaded yet."""
        self._folder = folder
        self._starting = asyncio.Lock()
        self._client: PolicyClient | None = None

    @property
    def path(self) -> Path:
        """The folder that contains the weights."""
        return self._folder

    @property
    def name(self) -> str:
        """Name of the folder, preceded by the name of the checkpoint that contains it."""
        return "/".join(self._folder.resolve().parts[-2:])

    @property
    def priced(self) -> bool:
        """True: a local model costs nothing."""
        return True

    async def complete(self, request: Request) -> Completion:
        """The model's answer; raises as `PolicyClient.complete`, or ConfigError if the model cannot be loaded."""
        async with self._starting:
            if self._client is None:
                self._client = await asyncio.to_thread(self._load)
        return await self._client.complete(request)

    async def aclose(self) -> None:
        """Free the weights."""
        self._client = None

    def _load(self) -> PolicyClient:
        try:
            from questwell.llm.pretrained import best_device, load
            from questwell.llm.torch_policy import TorchPolicy
        except ImportError as error:
            raise ConfigError(
                f"a model folder needs the extra 'train' (pip install 'questwell[train]'): {error}; "
                "or serve it with vLLM and name the endpoint"
            ) from error
        device = best_device()
        found = load(str(self._folder), dtype="float32" if device == "cpu" else "bfloat16", device=device)
        policy = TorchPolicy(found.model, found.codec)
        return PolicyClient(policy, found.codec, name=self.name, context_tokens=found.context_tokens)
