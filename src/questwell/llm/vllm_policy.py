"""`VllmPolicy`: a vLLM server as a `Policy`; the server gets the trainer's weights after each update.

We send token ids and get ids and log-probabilities back (`/v1/completions`, `return_token_ids`). New weights go through
a folder that both processes can read: an adapter with `load_lora_adapter`, whole weights with vLLM's `reload_weights`.
The server needs VLLM_ALLOW_RUNTIME_LORA_UPDATING=True for adapters and VLLM_SERVER_DEV_MODE=1 for whole weights.
"""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from questwell.errors import LLMError, LLMRefused, MalformedReply
from questwell.http.retrying import Failure
from questwell.llm.endpoint import Endpoint, EndpointOptions
from questwell.llm.limiter import Limiter
from questwell.llm.policy import TokenOutput

SERVED = "questwell-policy"
"""The server's name for the model."""
_WHOLE_DISTRIBUTION = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
"""Sampling parameters of every call; without them vLLM would use those in the model's generation_config.json."""
_AT_ONCE = 1024
"""Maximum number of calls in flight; vLLM queues calls that it cannot run yet."""


class _Logprobs(BaseModel):
    model_config = ConfigDict(extra="ignore")
    token_logprobs: list[float]


class _Choice(BaseModel):
    model_config = ConfigDict(extra="ignore")
    token_ids: list[int]
    logprobs: _Logprobs
    finish_reason: Literal["stop", "length", "abort"] | None


class _Completion(BaseModel):
    model_config = ConfigDict(extra="ignore")
    choices: list[_Choice]


_R = TypeVar("_R")
_COMPLETION = TypeAdapter(_Completion)


class VllmPolicy:
    """Samples from a vLLM server with the newest weights. Implements `Policy`; belongs to one event loop."""

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        lora: bool,
        ends: frozenset[int],
        model: str = SERVED,
        options: EndpointOptions | None = None,
    ) -> None:
        """Sample from the server at `url`, which shares this machine's file system.

        Args:
            url: address of the server, without /v1.
            folder: a folder through which weights are passed; its contents are deleted.
            lora: whether an adapter is trained; the server must then serve the base weights.
            ends: token ids that end a message.
            model: the server's name for the model.
            options: time-outs and retries.
        """
        self.sampled = 0
        """Number of tokens sampled so far."""
        self.version = 0
        """Number of times that weights were sent to the server."""
        self._endpoint = Endpoint(model, url, None, Limiter(_AT_ONCE), options or EndpointOptions())
        self._folder = folder
        self._lora = lora
        self._ends = sorted(ends)
        self._model = model
        self._named = model
        self._write: Callable[[Path], None] | None = None
        self._giving = asyncio.Lock()

    def renew(self, write: Callable[[Path], None]) -> None:
        """Before the next call, send the server the adapter or model that `write` writes to a folder."""
        self._write = write

    def forget(self) -> None:
        """Do nothing: the server's cache uses no memory of this process."""

    async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]) -> TokenOutput:
        """A sampled continuation with the newest weights.

        Raises:
            LLMError: the call failed; MalformedReply if the answer has no token ids or log-probabilities.
        """
        async with self._giving:
            if self._write is not None:
                await self._give(self._write)
                self._write = None
        body: dict[str, object] = {
            "model": self._named,
            "prompt": prompt_ids,
            "max_tokens": int(sampling_params["max_tokens"]),
            "temperature": float(sampling_params.get("temperature", 1.0)),
            "stop": list(sampling_params.get("stop") or ()),
            "include_stop_str_in_output": True,
            "stop_token_ids": self._ends,
            "skip_special_tokens": False,
            "logprobs": 0,
            "return_token_ids": True,
            **_WHOLE_DISTRIBUTION,
        }
        if sampling_params.get("seed") is not None:
            body["seed"] = int(sampling_params["seed"])
        answered = await self._post("v1/completions", body, _read)
        self.sampled += len(answered.token_ids)
        return answered

    async def aclose(self) -> None:
        """Close the connections; the server keeps running."""
        await self._endpoint.aclose()

    async def _give(self, write: Callable[[Path], None]) -> None:
        """Send the current weights to the server."""
        self.version += 1
        fresh = self._folder / f"weights-{self.version:06d}"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        await asyncio.to_thread(write, fresh)
        place = str(fresh.resolve())
        if self._lora:
            # Each version has its own name, because vLLM's prefix cache is keyed by the adapter's name.
            name = f"{self._model}-{self.version}"
            await self._post("v1/load_lora_adapter", {"lora_name": name, "lora_path": place}, _done)
            before, self._named = self._named, name
            if before != self._model:
                await self._post("v1/unload_lora_adapter", {"lora_name": before}, _done)
        else:
            asked: dict[str, object] = {"method": "reload_weights", "kwargs": {"weights_path": place}}
            await self._post("collective_rpc", asked, _done)
            await self._post("reset_prefix_cache", {}, _reset)

    async def _post(self, path: str, body: dict[str, object], read: Callable[[bytes], _R | Failure[LLMError]]) -> _R:
        return (await self._endpoint.post(path, json.dumps(body).encode(), read)).result


def _read(content: bytes) -> TokenOutput | Failure[LLMError]:
    try:
        (choice,) = _COMPLETION.validate_json(content).choices
    except (ValidationError, ValueError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "not exactly one choice"
        advice = "training needs token ids and log-probabilities of each token: serve with vLLM 0.32 or later"
        return Failure(MalformedReply, f"a reply without token ids ({what})", advice, retriable=False)
    logprobs = choice.logprobs.token_logprobs
    if len(logprobs) != len(choice.token_ids):
        what = f"{len(choice.token_ids)} token ids and {len(logprobs)} log-probabilities"
        return Failure(MalformedReply, what, "serve with vLLM 0.32 or later", retriable=False)
    reason = "aborted" if choice.finish_reason == "abort" else choice.finish_reason
    return TokenOutput(choice.token_ids, logprobs, reason)


def _done(content: bytes) -> bytes:
    return content


def _reset(content: bytes) -> bytes | Failure[LLMError]:
    if json.loads(content).get("success") is True:
        return content
    advice = "nothing else may use the server during training"
    return Failure(LLMRefused, "the cache of the old weights was not cleared", advice, retriable=True)
