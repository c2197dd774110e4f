"""The part of vLLM's API that training uses, with a real policy behind it, which reads the weights it is sent."""

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from peft import PeftModel

from questwell.llm.codec import ChatCodec
from questwell.llm.pretrained import load
from questwell.llm.torch_policy import TorchPolicy
from questwell.llm.vllm_policy import SERVED


class FakeVllm:
    """Serves a model folder; bodies that vLLM would refuse are refused."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.codec: ChatCodec = load(str(folder)).codec
        self.policies = {SERVED: self._policy(folder)}
        self.asked: list[dict[str, Any]] = []
        self.given: list[str] = []
        self.reset = True
        self.answer: dict[str, Any] | None = None

    def _policy(self, folder: Path, adapter: Path | None = None) -> TorchPolicy:
        model = load(str(folder)).model
        if adapter is not None:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft 0.21
                model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
        return TorchPolicy(model, self.codec)

    async def complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body)
        if self.answer is not None:
            return web.json_response(self.answer)
        if body["model"] not in self.policies:
            return web.json_response({"error": {"message": "The model does not exist", "code": 404}}, status=404)
        params = {key: body[key] for key in ("max_tokens", "temperature", "stop", "seed") if key in body}
        found = await self.policies[body["model"]].generate("r", prompt_ids=body["prompt"], sampling_params=params)
        choice = {
            "index": 0,
            "text": "",
            "finish_reason": found.stop_reason,
            "token_ids": list(found.token_ids),
            "logprobs": {"token_logprobs": list(found.log_probs or ()), "tokens": []},
        }
        return web.json_response({"id": "cmpl-1", "object": "text_completion", "choices": [choice]})

    async def load(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["lora_name"] in self.policies:
            return web.json_response({"error": {"message": "has already been loaded"}}, status=400)
        self.given.append(body["lora_path"])
        self.policies[body["lora_name"]] = self._policy(self.folder, Path(body["lora_path"]))
        return web.Response(text="Success")

    async def unload(self, request: web.Request) -> web.Response:
        del self.policies[(await request.json())["lora_name"]]
        return web.Response(text="Success")

    async def rpc(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert body["method"] == "reload_weights"
        self.given.append(body["kwargs"]["weights_path"])
        self.policies[SERVED] = self._policy(Path(body["kwargs"]["weights_path"]))
        return web.json_response({"results": [None]})

    async def clear(self, request: web.Request) -> web.Response:
        return web.json_response({"success": self.reset})


@asynccontextmanager
async def served(fake: FakeVllm) -> AsyncIterator[str]:
    """The address of `fake`, on this machine."""
    app = web.Application()
    app.add_routes(
        [
            web.post("/v1/completions", fake.complete),
            web.post("/v1/load_lora_adapter", fake.load),
            web.post("/v1/unload_lora_adapter", fake.unload),
            web.post("/collective_rpc", fake.rpc),
            web.post("/reset_prefix_cache", fake.clear),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
